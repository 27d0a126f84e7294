package classify

import (
	"bytes"
	"unicode/utf8"

	"bounceline/parsers/reply"
)

// maxText bounds how much of a reply is looked at, in bytes.
const maxText = 4096

// normalised is a text as rules see it.
type normalised struct {
	text   []byte // with a blank at both ends
	spare  []byte // memory that correct needs
	cut    int    // where a second reply begins that only follows from the first; len(text) if there is none
	frame  frame  // what begins at cut, if it is no reply
	signed int32  // number of the provider whose page or host the text names, -1 if none
	raw    []byte // what was normalised
	inner  []byte // of a reply that quotes another as its reason, from the innermost one's code on
}

// normalise makes the text that rules look at, in n.text's memory. Case is folded, runs of white space become one blank, the
// lines of a reply are joined without their repeated codes, and of nested replies the innermost is taken. So that neither a
// recipient called spam@ nor a host called blocked.example steers the verdict, addresses become "@", IP addresses "#ip", URLs
// "url", hosts "host", files "file" with their extension, long numbers "#n" (but for AS(12345)) and queue IDs "#id". What names a blocklist stays.
func (n *normalised) normalise(text []byte, names *nameTables) {
	if len(text) > maxText {
		text = text[:maxText]
	}
	text = bytes.TrimPrefix(text, suspended)
	if cap(n.text) < 2*len(text)+keySpace {
		n.text = make([]byte, 0, 2*len(text)+keySpace)
	}
	w := normaliser{names: names, out: n.text[:2*len(text)+3], signed: -1}
	w.out[0] = ' '
	w.pass(text)
	out := w.out
	if i := bytes.Index(out, inReplyTo); i > 1 { // Postfix names the command that was answered
		out = out[:i]
	}
	if out[len(out)-1] != ' ' {
		out = append(out, ' ')
	}
	if len(w.code) > 0 {
		out = w.cutMark(out)
		if w.cut == 0 {
			out = withoutHead(out, w.codesEnd(out))
		}
	}
	if w.bits&joiner != 0 {
		separate(out, len(w.code) > 0)
	}
	n.signed, n.frame = w.signed, noFrame
	if n.cut = w.cut; n.cut <= 0 || n.cut >= len(out) {
		out, n.cut, n.frame = framed(out, w.codesEnd(out))
	}
	n.text, n.raw, n.inner = out, text, w.inner
}

// pass goes over the text once and leaves in out what it becomes. No mask is twice as long as its word (file.js for a.js is the
// one that grows most), so out has room for all.
func (w *normaliser) pass(text []byte) {
	out := w.out
	i, j := 0, 1 // places in text and out
	for {
		if i < len(text) && (text[i] == ' ' || byteTable[text[i]].class&letter != 0) {
			n, word := plainWords(out[j-1:], text[i:])
			if i+n < len(text) && byteClass(text[i+n]) != 0 {
				n = word // the last one goes on with what is not plain
			}
			i, j = i+n, j+n
		}
		start, at := i, j      // where the word began in them
		var bits, before uint8 // what the word so far consists of, with and without its last byte
		var t byteEntry
		for ; i < len(text); i, j = i+1, j+1 {
			if t = byteTable[text[i]]; t.class == 0 {
				break
			}
			before = bits
			bits |= t.class
			out[j] = t.low
		}
		w.bits |= bits
		if bits&special != 0 && (before&special != 0 || codeFollows(text, i) || bits&atSign != 0 && letterBeyond(text[i:]) > 0) {
			w.out = out[:j]
			i = start + w.masked(text[start:], i-start, bits, at)
			j = len(w.out)
			continue
		}
		if i == len(text) {
			break
		}
		switch {
		case t.low == ' ':
			if out[j-1] != ' ' {
				out[j] = ' '
				j++
			}
		case text[i] == '\\' && i+1 < len(text) && (text[i+1] == 'n' || text[i+1] == 'r'): // Exim writes line breaks so
			if out[j-1] != ' ' {
				out[j] = ' '
				j++
			}
			i++
		case text[i] < utf8.RuneSelf:
			out[j] = t.low
			j++
		default:
			w.out = out[:j]
			i += w.foldRune(text[i:]) - 1
			j = len(w.out)
		}
		if out[j-1] == '\'' && contraction(out[:j-1], text[i+1:]) {
			j = len(inFull(out[:j-1]))
			i++
		}
		i++
	}
	w.out = out[:j]
}

// cutMark cuts the mark that some servers, Postfix first, put before what went wrong: 554 5.7.1 Error: too many hops. It says no
// more than the code, and in a sentence an error is one of the server's own.
func (w *normaliser) cutMark(out []byte) []byte {
	i := w.codesEnd(out)
	if !bytes.HasPrefix(out[i:], errorMark) {
		return out
	}
	w.cut = max(0, w.cut-len(errorMark))
	return append(out[:i], out[i+len(errorMark):]...)
}

// codesEnd is where the text goes on behind the codes.
func (w *normaliser) codesEnd(out []byte) int {
	i := 1
	if len(w.code) > 0 {
		i = len(" 550 ")
		if len(w.enhanced) > 0 {
			i += len(w.enhanced) + 1
		}
	}
	return min(i, len(out))
}

// codeFollows reports whether a word that ends before i in a colon is followed by a reply.
func codeFollows(text []byte, i int) bool {
	return text[i-1] == ':' && i+4 < len(text) && replyCode(text[i+1:])
}

var (
	suspended = []byte("delivery temporarily suspended: ")
	inReplyTo = []byte("(in reply to ")
	errorMark = []byte("error: ")
	ellipsis  = []byte("...")
	// microsoftCode is what Microsoft 365 writes before the number of the check that failed: AS(201806281).
	microsoftCode = []byte(" as(")
)

// normaliser is the state of one pass over a text.
type normaliser struct {
	names    *nameTables
	out      []byte
	code     []byte // the reply's code, as in the text
	enhanced []byte // and its enhanced code
	cut      int
	inner    []byte // where this is one that another quotes, from its code on
	signed   int32
	bits     uint8 // what the words consist of
}

// masked replaces the word of n bytes, which stands at the end of the output too, by its mask. It returns how much of the text
// that was.
func (w *normaliser) masked(text []byte, n int, bits uint8, start int) int {
	word := text[:n]
	if bits&digit != 0 && bits&(atSign|letter) == 0 && n >= 3 && w.codes(text, n, start) {
		return n
	}
	if bits&digit != 0 && n > 4 && word[3] == '-' && w.continued(word, start) {
		return 4 // the rest is a word of its own
	}
	if bits&(letter|digit|dot|atSign|divider) == letter|digit|dot {
		if i := bytes.Index(word, ellipsis); i > 0 && i+len(ellipsis) < n && lettersOnly(word[:i]) {
			w.out = w.out[:start+i+len(ellipsis)]
			return i + len(ellipsis) // what was denied is no part of the ID behind it
		}
	}
	switch {
	case bits&atSign != 0 && (word[n-1] != '@' || letterBeyond(text[n:]) > 0):
		w.out = w.out[:w.localPart(start, word, bits)]
		if ofStaff(w.out, word) {
			w.out = append(w.out, "postmaster"...)
		} else {
			w.out = append(w.out, '@')
		}
		for n < len(text) { // a domain with letters that are not ASCII
			wide := letterBeyond(text[n:])
			if wide == 0 && byteClass(text[n])&(letter|digit|dot|joiner) == 0 {
				break
			}
			n += max(1, wide)
		}
		return n
	case bits&divider != 0 && isURL(word):
		before := schemeAt(word) // of a word that runs into a URL without a blank
		return before + w.url(text[before:], n-before, start+before)
	case bits&divider != 0 && (string(w.out[start:]) == "said:") && n+4 < len(text) && text[n] == ' ' && replyCode(text[n+1:]):
		if ofSender(w.out) { // what the sender's own server said of it
			return len(text)
		}
		if w.code != nil {
			w.inner = text[n+1:]
		}
		w.out, w.code, w.enhanced, w.cut = w.out[:1], nil, nil, 0
		return n
	case bits&divider != 0 && bits&(digit|dot) != 0 && !isIP(trimmed(word)):
		if string(w.out[start:min(start+5, len(w.out))]) == "ipv6:" && isIP(trimmed(word[5:])) {
			w.out = append(append(w.out[:start], "#ip"...), word[5+len(trimmed(word[5:])):]...)
			return n
		}
		w.pieces(word, start)
		return n
	}
	if core := trimmed(word); len(core) > 0 {
		w.piece(core, bits, start)
		w.out = append(w.out, word[len(core):]...)
	}
	return n
}

// codes takes a word of digits and signs as a part of the reply's codes, if it is one.
func (w *normaliser) codes(text []byte, n, start int) bool {
	word := text[:n]
	switch {
	case w.code == nil && start == 1:
		if !replyCode(text) {
			return false
		}
		w.code = text[:3]
		if n > 4 && word[3] == '-' {
			w.enhanced = word[4:]
			w.out[start+3] = ' '
		} else if n == 4 {
			w.out[start+3] = ' '
		}
	case len(w.code) > 0 && n == 3 && replyCode(text) && fromNextHop(w.out[:start]):
		w.inner, w.out = text, append(w.out[:1], word...)
		w.code, w.enhanced, w.cut = text[:3], nil, 0
	case len(w.code) > 0 && w.enhanced == nil && start == 5 && word[1] == '.':
		w.enhanced = word
	case len(w.code) > 0 && n == 3 && bytes.Equal(word, w.code) && !w.another(text), len(w.code) > 0 && n == 4 && word[3] == '-' && bytes.Equal(word[:3], w.code),
		len(w.code) > 0 && n > 4 && word[3] == '-' && bytes.Equal(word[:3], w.code) && bytes.Equal(word[4:], w.enhanced),
		len(w.enhanced) > 0 && bytes.Equal(word, w.enhanced) && start > 5:
		w.out = w.out[:start] // repeated at the beginning of the next line
	case len(w.code) > 0 && w.cut == 0 && n == 3 && start > 12 && replyCode(text) && consequence(text) && !reported(w.out[:start]):
		w.cut = start
		return true
	default:
		return false
	}
	return true
}

// continued takes the code of a line that goes on, glued to the line's first word: 550-This.
func (w *normaliser) continued(word []byte, start int) bool {
	if !replyCode(word) {
		return false
	}
	if w.code == nil && start == 1 {
		w.code = word[:3]
		w.out = append(w.out[:start+3], ' ')
		return true
	}
	if len(w.code) > 0 && bytes.Equal(word[:3], w.code) {
		w.out = w.out[:start]
		return true
	}
	return false
}

// another reports whether a reply that begins as the one before it, with the same basic code, is another one: it has an enhanced
// code of its own. Sendmail puts so what it makes of a reply behind it.
func (w *normaliser) another(text []byte) bool {
	if w.enhanced == nil || len(text) < len("550 5.1.1") {
		return false
	}
	code := reply.Enhanced(text[len("550 "):])
	return code != nil && !bytes.Equal(code, w.enhanced)
}

// replyCode reports whether text begins with a code of a failure and a blank or hyphen (RFC 5321, section 4.2).
func replyCode(text []byte) bool {
	return len(text) > 3 && '2' <= text[0] && text[0] <= '5' && '0' <= text[1] && (text[1] <= '5' || text[1] <= '9' && text[0] >= '4') && byteClass(text[2]) == digit && (text[3] == ' ' || text[3] == '-')
}

// consequence reports whether a second reply only follows from a first: what commands get that were sent ahead, to which the
// first reply was already the answer.
func consequence(text []byte) bool {
	if text[0] != '4' && text[0] != '5' || len(text) < 9 {
		return false
	}
	if text[4] == text[0] && text[5] == '.' {
		return true
	}
	return text[0] == '5' && text[1] == '0' && text[2] == '3'
}

// reason is the text without its frame, or without a complaint about the order of commands behind it: 554 Message refused 503 RCPT first.
func (n *normalised) reason() []byte {
	if n.frame != noFrame && n.frame != laterFrame || bytes.HasPrefix(bytes.TrimLeft(n.text[n.cut:], " "), []byte("503")) {
		return n.text[:n.cut]
	}
	return n.text
}

// behindRefusal is what a reason says behind the words with which Postfix refuses a recipient, whatever the reason is; nil where it says no more.
func behindRefusal(reason []byte) []byte {
	if i := bytes.Index(reason, recipientRejected); i >= 0 && says(reason[i+len(recipientRejected):], 1) {
		return reason[i+len(recipientRejected)-1:]
	}
	return nil
}

var recipientRejected = []byte(" recipient address rejected: ")

// reported reports whether what stands before a second reply says that another host gave it. Then it is the reason for the first:
// 554 5.4.4 <mx.example.org #5.4.4 smtp; 550 5.4.4 Unable to relay>.
func reported(before []byte) bool {
	before = bytes.TrimRight(before, " :'\"(<#")
	return endsWithOne(before, reports)
}

// fromNextHop reports whether what stands before a second reply are the words of amavis about the server to which it passes mail on:
// 554 5.7.0 Reject, id=1-2 - Rejected by next-hop MTA on relaying, from MTA(smtp:[127.0.0.1]:10025): 550 5.1.1 User unknown.
func fromNextHop(before []byte) bool {
	return bytes.HasSuffix(before, behindNextHop) && bytes.Contains(before, nextHop)
}

var nextHop, behindNextHop = []byte(" from mta("), []byte("): ")

var reports = asBytes("smtp;", " said", " was", " returned", " answered", " replied", " responded", " responded with", " replied with")

func (w *normaliser) fold(b []byte) {
	for _, c := range b {
		w.out = append(w.out, lower[c])
	}
}

// pieces masks the parts of a word such as ip=192.0.2.1 or mx.example.org:25 each by itself. A host with a path is a URL.
func (w *normaliser) pieces(word []byte, start int) {
	w.out = w.out[:start]
	for len(word) > 0 {
		n := 0
		var bits uint8
		for n < len(word) && byteClass(word[n])&divider == 0 {
			bits |= byteClass(word[n])
			n++
		}
		if n > 0 {
			core := trimmed(word[:n])
			at := len(w.out)
			w.fold(core)
			w.piece(core, bits, at)
			if n < len(word) && word[n] == '/' && string(w.out[at:]) == "host" {
				w.out = append(w.out[:at], "url"...)
				return
			}
			w.out = append(w.out, word[len(core):n]...)
		}
		if n < len(word) {
			w.out = append(w.out, word[n])
			n++
		}
		word = word[n:]
	}
}

// trimmed is a word without the signs of punctuation at its end.
func trimmed(w []byte) []byte {
	for len(w) > 0 && (w[len(w)-1] == '.' || w[len(w)-1] == ':' || w[len(w)-1] == '-') {
		w = w[:len(w)-1]
	}
	return w
}

// piece masks a word without dividers, which stands in the output from at on.
func (w *normaliser) piece(core []byte, bits uint8, at int) {
	w.out = w.out[:at+len(core)]
	mask := ""
	switch {
	case bits&dot != 0 || bits&divider != 0:
		switch {
		case isIP(core):
			mask = "#ip"
		case bits&letter != 0:
			if mask = hostMask(core, bits); mask == "host" {
				known := w.names.domains.near(core)
				if known.find(list) >= 0 {
					return
				}
				if p := known.find(server); p >= 0 && w.signed < 0 {
					w.signed = p
				}
				if isListZone(core) {
					mask = "dnsbl"
				}
			} else if mask == "file" {
				ext := core[bytes.LastIndexByte(core, '.'):]
				w.out = append(w.out[:at], mask...)
				w.fold(ext)
				return
			} else if bits&digit != 0 && isID(core) {
				mask = "#id"
			}
		}
	case bits&letter == 0:
		if digits(core) >= 5 && !bytes.HasSuffix(w.out[:at], microsoftCode) {
			mask = "#n"
		}
	case bits&digit != 0 && isID(core):
		mask = "#id"
	}
	if mask != "" {
		w.out = append(w.out[:at], mask...)
	}
}
