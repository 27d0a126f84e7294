package classify

import "bytes"

// openSPF is in the names of the sites that explain a failed SPF check, to which some servers only point.
var openSPF = []byte("openspf.")

func isURL(w []byte) bool {
	if len(w) > 4 && lower[w[0]] == 'w' && string(w[3]) == "." && lower[w[1]] == 'w' && lower[w[2]] == 'w' {
		return true
	}
	i := bytes.Index(w, []byte("://"))
	return i > 0 && len(w) > i+3
}

// schemeAt is where in the word the URL's scheme begins; 0 in one without.
func schemeAt(word []byte) int {
	i := max(0, bytes.Index(word, []byte("://")))
	for i > 0 && byteClass(word[i-1])&letter != 0 {
		i--
	}
	return i
}

// url masks a URL and returns its length: it goes on behind the n bytes of its first word.
func (w *normaliser) url(text []byte, n, start int) int {
	for n < len(text) && text[n] > ' ' && bytes.IndexByte([]byte("<>\"()[]\\"), text[n]) < 0 {
		n++
	}
	url := text[:n]
	for len(url) > 0 && bytes.IndexByte([]byte(".,;:'!-"), url[len(url)-1]) >= 0 {
		url = url[:len(url)-1]
	}
	host := url
	if i := bytes.Index(host, []byte("://")); i >= 0 {
		host = host[i+3:]
	}
	rest := host[hostLength(host):]
	host = host[:len(host)-len(rest)]
	w.out = w.out[:start]
	known := w.names.domains.near(host)
	if known.find(list) >= 0 {
		segment := rest
		if i := bytes.IndexByte(segment[min(1, len(segment)):], '/'); i >= 0 {
			segment = segment[:i+1]
		}
		w.fold(host)
		w.fold(segment)
	} else {
		w.out = append(w.out, "url"...)
		if bytes.Contains(host, openSPF) {
			w.out = append(w.out, " spf"...)
		}
		if p := known.find(page); p >= 0 {
			if w.signed < 0 {
				w.signed = p
			}
			w.topic(rest)
		}
	}
	return len(url)
}

// topic leaves readable what a provider's page is about, where its URL says so: ?p=NoSuchUser, ?c=rdns, #BL000001. Behind a reply
// that was cut to its last line nothing else does. The name of a chapter, as in #spam-and-abuse, is no topic but a word.
func (w *normaliser) topic(rest []byte) {
	for _, key := range topicKeys {
		if i := bytes.Index(rest, key); i >= 0 {
			n := i + len(key)
			end := n + wordLength(rest[n:])
			w.out = append(w.out, '?')
			w.fold(rest[i+1 : end])
			return
		}
	}
	i := bytes.IndexByte(rest, '#')
	if i < 0 {
		return
	}
	var bits uint8
	end := i + 1 + wordLength(rest[i+1:])
	for _, c := range rest[i+1 : end] {
		bits |= byteClass(c)
	}
	if bits&letter != 0 && bits&digit != 0 {
		w.fold(rest[i:end])
	}
}

var topicKeys = asBytes("?p=", "?c=", "&c=")

func wordLength(b []byte) int {
	n := 0
	for n < len(b) && byteClass(b[n])&(letter|digit) != 0 {
		n++
	}
	return n
}

func hostLength(b []byte) int {
	n := 0
	for n < len(b) && (byteClass(b[n])&(letter|digit|dot) != 0 || b[n] == '-' || b[n] == '_') {
		n++
	}
	return n
}
