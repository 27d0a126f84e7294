package classify

import "bytes"

// isIP reports whether a word looks like an IP address, with a port or the length of a prefix or without. Four numbers with
// dots between them are taken for one whatever they are: they are no code. Letters may stand for numbers that people hide.
// Three numbers with colons are the time of day.
func isIP(w []byte) bool {
	dots, colons := 0, 0
	gap, before := false, byte(0) // two colons one behind the other
	for _, c := range w {
		switch {
		case c == '.':
			dots++
		case c == ':':
			gap = gap || before == ':'
			colons++
		case c == '/' && dots+colons > 1, byteClass(c) == digit, 'a' <= c && c <= 'f', 'A' <= c && c <= 'F':
		default:
			return hiddenIP(w)
		}
		before = c
	}
	return dots == 3 && colons <= 1 && (w[0] <= '9' || hiddenIP(w)) || (gap || colons > 2) && len(w) > 4
}

// hiddenIP reports whether a word stands for an IP address whose numbers are not to be seen: x.x.x.x, 192.0.xxx.xxx, a.b.c.d.
func hiddenIP(w []byte) bool {
	if len(w) > len("xxxx.xxxx.xxxx.xxxx") || bytes.Count(w, []byte(".")) != 3 {
		return false
	}
	parts := 0
	for part := range bytes.SplitSeq(w, []byte(".")) {
		if parts++; len(part) == 0 || len(part) > 4 {
			return false
		}
		for _, c := range part {
			if class := byteClass(c); class != digit && (class&letter == 0 || lower[c] != lower[part[len(part)-1]]) {
				return false
			}
		}
	}
	return parts == 4
}

// fileExtension reports whether names of files end so, as far as servers name files.
func fileExtension(lower []byte) bool {
	switch string(lower) {
	case "exe", "zip", "js", "jse", "bat", "cmd", "scr", "pif", "vbs", "vbe", "jar", "doc", "docx", "docm", "xls", "xlsx", "xlsm", "ppt", "pdf", "htm", "html", "php", "asp",
		"aspx", "txt", "rar", "iso", "img", "lnk", "rtf", "eml", "dll", "msi", "hta", "wsf", "ace":
		return true
	}
	return false
}

// wideDomain reports whether a top-level domain is known in capitals too; two letters are a country's.
func wideDomain(lower []byte) bool {
	switch string(lower) {
	case "com", "net", "org", "edu", "gov", "mil", "int", "info", "biz", "arpa", "local":
		return true
	}
	return len(lower) == 2
}

// isListZone reports whether a host's name says that it is the zone of a blocklist, of which there are hundreds: rbl.example.net.
func isListZone(host []byte) bool {
	for {
		i := bytes.IndexByte(host, '.')
		if i < 0 {
			return false
		}
		if c := host[0] | 0x20; c == 'b' || c == 'd' || c == 'r' {
			for _, label := range listLabels {
				if bytes.EqualFold(host[:i], label) {
					return true
				}
			}
		}
		host = host[i+1:]
	}
}

var listLabels = asBytes("bl", "rbl", "dnsbl", "dnsrbl", "rbl1", "rbl2", "blacklist", "blocklist", "blackholes")

// hostMask is "host" or "file" where a word with a dot in it is one, else empty. A token with capitals, such as
// RESOLVER.ADR.RecipNotFound, is none, unless it ends in a common top-level domain.
func hostMask(w []byte, bits uint8) string {
	i := bytes.LastIndexByte(w, '.')
	last := w[i+1:]
	if i <= 0 || len(last) < 2 {
		return ""
	}
	var buf [8]byte
	folded := buf[:0]
	for _, c := range last {
		if byteClass(c)&letter == 0 && !(len(last) > 4 && bytes.HasPrefix(last, []byte("xn--"))) {
			return ""
		}
		if len(folded) < len(buf) {
			folded = append(folded, lower[c])
		}
	}
	if fileExtension(folded) {
		return "file"
	}
	if bits&capital != 0 && !wideDomain(folded) {
		for _, c := range w[:i] {
			if byteClass(c)&capital != 0 {
				return ""
			}
		}
		for _, c := range last {
			if byteClass(c)&capital != 0 {
				return ""
			}
		}
	}
	return "host"
}

func digits(w []byte) int {
	n := 0
	for _, c := range w {
		if byteClass(c) == digit {
			n++
		}
	}
	return n
}

// isID reports whether a word of letters and digits is the name of one message or connection rather than a code that servers
// give to an error. Codes have letters, then digits, then perhaps more behind a sign: s3140, ofr_506, lpn007_517.
func isID(w []byte) bool {
	if len(w) < 9 || digits(w) < 2 {
		return false
	}
	i := 0
	for i < len(w) && byteClass(w[i])&letter != 0 {
		i++
	}
	if i == 0 || i > 8 {
		return len(w) >= 12 || i == 0
	}
	if i < len(w) && byteClass(w[i]) == joiner {
		i++
	}
	n := i
	for i < len(w) && byteClass(w[i]) == digit {
		i++
	}
	if len(w) >= 20 && digits(w) > 6 {
		return true
	}
	if i == n { // a word with a hyphen
		return false
	}
	return i-n > 9 || i < len(w) && byteClass(w[i])&(joiner|dot) == 0
}

// contraction reports whether before ends in the verb of a word such as isn't, of which the apostrophe was just read and rest is
// what follows.
func contraction(before, rest []byte) bool {
	return len(rest) > 0 && lower[rest[0]] == 't' && (len(rest) == 1 || byteClass(rest[1])&letter == 0) &&
		len(before) > 2 && before[len(before)-1] == 'n' && byteClass(before[len(before)-2])&letter != 0
}

// inFull completes the words that end in a contraction, which lacks apostrophe and t: is not, cannot, will not. So that there is
// one way to say no, whichever a rule has.
func inFull(b []byte) []byte {
	switch {
	case bytes.HasSuffix(b, []byte(" can")):
		return append(b, "not"...)
	case bytes.HasSuffix(b, []byte(" won")):
		return append(b[:len(b)-len("won")], "will not"...)
	}
	return append(append(b[:len(b)-1], ' '), "not"...)
}

// separate makes words of a token such as user_unknown or Mailbox-Full where it is all that a text says. In a longer text such
// tokens are names, of tests and parameters, and what they hold is not what the text says. One with hyphens and no code before it
// is a name too: that of a category in another program's report.
func separate(text []byte, coded bool) {
	words := 0
	for word := range bytes.FieldsSeq(text) {
		if bytes.IndexByte(word, '/') >= 0 { // a list's page
			return
		}
		if spoken(word) {
			if words++; words > 1 {
				return
			}
		}
	}
	for i := 2; i+2 < len(text); i++ {
		if (text[i] == '_' || text[i] == '-' && coded) && byteClass(text[i-1])&letter != 0 && byteClass(text[i+1])&letter != 0 {
			text[i] = ' '
		}
	}
}

// spoken reports whether a word of a normalised text has letters and is no mask.
func spoken(word []byte) bool {
	letters := 0
	for _, c := range word {
		if byteClass(c)&letter != 0 {
			letters++
		} else if byteClass(c)&(digit|atSign) != 0 || c == '#' {
			return false
		}
	}
	return letters > 1 && string(word) != "host" && string(word) != "url"
}
