package classify

import "bytes"

// maxText bounds how much of a reply is looked at.
const maxText = 2048

// normalise appends to dst the text as rules see it: in lower case, with addresses, host names, IP addresses and URLs masked,
// so that a recipient called spam@ or a host called blocked.example steers nothing. Words that rules need are kept: names
// of blocklists, and tokens in capitals such as RESOLVER.RST.
func normalise(dst, text []byte) []byte {
	if len(text) > maxText {
		text = text[:maxText]
	}
	for i := 0; i < len(text); {
		n := wordLength(text[i:])
		if n == 0 {
			b := text[i]
			if b < 0x20 || b == 0x7f {
				b = ' '
			}
			if !(b == ' ' && len(dst) > 0 && dst[len(dst)-1] == ' ') {
				dst = append(dst, fold(b))
			}
			i++
			continue
		}
		dst = appendWord(dst, text[i:i+n])
		i += n
	}
	return dst
}

// wordLength is the length of the run of bytes that addresses, hosts and URLs are made of.
func wordLength(b []byte) int {
	n := 0
	for n < len(b) {
		c := b[n]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '-' || c == '_' || c == '@' || c == '/' ||
			c == ':' || c == '+' || c == '=' || c == '%' || c >= 0x80) {
			break
		}
		n++
	}
	return n
}

func appendWord(dst, w []byte) []byte {
	end := len(w)
	for end > 0 && (w[end-1] == '.' || w[end-1] == ':' || w[end-1] == '-') {
		end--
	}
	core := w[:end]
	mask := ""
	switch {
	case bytes.Contains(core, []byte("://")) || bytes.HasPrefix(core, []byte("www.")):
		mask = "url"
	case bytes.IndexByte(core, '@') > 0:
		mask = "@"
	case isIP(core):
		mask = "#ip"
	case isHost(core):
		mask = "host"
	}
	if mask != "" && mask != "@" && knownList(core) {
		mask = ""
	}
	if mask == "" {
		for _, c := range core {
			dst = append(dst, fold(c))
		}
	} else {
		dst = append(dst, mask...)
	}
	return append(dst, w[end:]...)
}

// isIP reports whether a word looks like an IP address.
func isIP(w []byte) bool {
	dots, colons := 0, 0
	for _, c := range w {
		switch {
		case c == '.':
			dots++
		case c == ':':
			colons++
		case '0' <= c && c <= '9', 'a' <= c && c <= 'f', 'A' <= c && c <= 'F':
		default:
			return false
		}
	}
	return dots == 3 && colons <= 1 || colons >= 2 && len(w) > 4
}

// isHost reports whether a word is a host name in lower case: labels, and a last one of letters. A token in capitals is none.
func isHost(w []byte) bool {
	dot := bytes.LastIndexByte(w, '.')
	if dot <= 0 || len(w)-dot < 3 {
		return false
	}
	for _, c := range w[dot+1:] {
		if c < 'a' || c > 'z' {
			return false
		}
	}
	for _, c := range w[:dot] {
		if 'A' <= c && c <= 'Z' || c == '=' || c == '/' || c == ':' {
			return false
		}
	}
	return true
}

func fold(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// blocklists are names by which replies tell the list, and whether it lists addresses; others list domains.
var blocklists = []struct {
	mark, name string
	address    bool
}{
	{"dbl.spamhaus", "Spamhaus DBL", false}, {"/dbl", "Spamhaus DBL", false}, {"spamhaus", "Spamhaus", true}, {"spamcop", "SpamCop", true}, {"barracudacentral", "Barracuda", true},
	{"sorbs", "SORBS", true}, {"uceprotect", "UCEPROTECT", true}, {"uribl", "URIBL", false}, {"surbl", "SURBL", false},
	{"invaluement", "Invaluement", true}, {"mailspike", "Mailspike", true}, {"psbl", "PSBL", true}, {"spamrats", "SpamRATS", true}, {"dnswl", "DNSWL", true}, {"abuseat", "CBL", true},
	{"truncate.gbudb", "GBUdb", true}, {"nixspam", "NiX Spam", true}, {"manitu", "NiX Spam", true}, {"backscatterer", "Backscatterer", true}, {"senderscore", "Sender Score", true},
	{"proofpoint", "Proofpoint", true}, {"cloudmark", "Cloudmark", true}, {"trendmicro", "Trend Micro", true}, {"hostkarma", "Hostkarma", true}, {"0spam", "0spam", true},
}

func knownList(w []byte) bool {
	for i := range blocklists {
		if bytes.Contains(w, []byte(blocklists[i].mark)) {
			return true
		}
	}
	return false
}

// listName is the blocklist that a normalised text names; empty if none.
func listName(text []byte) string {
	for i := range blocklists {
		if bytes.Contains(text, []byte(blocklists[i].mark)) {
			return blocklists[i].name
		}
	}
	return ""
}
