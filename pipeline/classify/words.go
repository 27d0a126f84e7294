package classify

import "bytes"

// isIP reports whether a word looks like an IP address, with a port or the length of a prefix or without. Four numbers with
// dots between them are taken for one whatever they are: they are no code.
func isIP(w []byte) bool {
	dots, colons := 0, 0
	for _, c := range w {
		switch {
		case c == '.':
			dots++
		case c == ':':
			colons++
		case c == '/' && dots+colons > 1, byteClass(c) == digit, 'a' <= c && c <= 'f', 'A' <= c && c <= 'F':
		default:
			return false
		}
	}
	return dots == 3 && colons <= 1 && w[0] <= '9' || colons >= 2 && len(w) > 4
}

// fileExtensions are what names of files end in, as far as servers name files.
var fileExtensions = map[string]bool{"exe": true, "zip": true, "js": true, "jse": true, "bat": true, "cmd": true, "scr": true, "pif": true, "vbs": true, "vbe": true,
	"jar": true, "doc": true, "docx": true, "docm": true, "xls": true, "xlsx": true, "xlsm": true, "ppt": true, "pdf": true, "htm": true, "html": true, "php": true, "asp": true,
	"aspx": true, "txt": true, "rar": true, "iso": true, "img": true, "lnk": true, "rtf": true, "eml": true, "dll": true, "msi": true, "hta": true, "wsf": true, "ace": true}

// wideDomains are top-level domains that are known in capitals too; two letters are a country's.
var wideDomains = map[string]bool{"com": true, "net": true, "org": true, "edu": true, "gov": true, "mil": true, "int": true, "info": true, "biz": true, "arpa": true, "local": true}

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
	if fileExtensions[string(folded)] {
		return "file"
	}
	if bits&capital != 0 && len(last) != 2 && !wideDomains[string(folded)] {
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
	if i == n { // a word with a hyphen
		return len(w) >= 20 && digits(w) > 6
	}
	return i-n > 9 || i < len(w) && byteClass(w[i])&(joiner|dot) == 0
}
