package classify

import (
	"bytes"
	"slices"
)

// A frame is what servers put behind the reason that is none: that they close the connection, whom to ask, the client's address. What the reason
// says goes before what the frame says. IDs and fields of the session, which say nothing at all, are cut off.
type frame uint8

const (
	noFrame      frame = iota
	courtesy           // says nothing, but with the reason it may be a sentence of one provider
	endFrame           // says no more than any reason
	laterFrame         // asks to try again: beside a reason that only says that it is a refusal, it says more
	addressFrame       // names the client's address: beside a reason that only says that it is a refusal, it tells who is refused
	sessionFrame       // is cut off
)

// enough is how many words a reason must have for marks and courtesies to be set aside. With less they may be all that the reply says.
const enough = 2

// withoutHead cuts the marks that stand at i, behind the codes, before the reason.
func withoutHead(out []byte, i int) []byte {
	for {
		n := headLength(out[i:])
		if n == 0 || !says(out[i+n:], enough) || startsWithOne(out[i+n:], noReasons) {
			return out
		}
		out = append(out[:i], out[i+n:]...)
	}
}

func headLength(text []byte) int {
	if len(text) == 0 {
		return 0
	}
	for _, h := range heads[text[0]] {
		if bytes.HasPrefix(text, h) {
			return len(h)
		}
	}
	return 0
}

// heads are marks before a reason, by their first byte.
var heads = func() (table [256][][]byte) {
	for _, h := range []string{"smtp error: ", "delivery failed: ", "delivery failure: ", "permanent failure: ", "permanent error: ", "remote server says: ", "remote server said: ", "server says: ",
		"mail denied: ", "mail refused: ", "mail rejected: ", "message denied: ", "message refused: ", "message rejected: ", "command rejected: ", "your message was rejected: ", "reason: ",
		"rejected: ", "blocked: ", "access denied: ", "denied: ", "refused: ", "failed: ", "bounced: ", "undeliverable: ", "transaction failed: ", "delivery error: ", "fatal: ", "fatal error: ", "error - ", "[err] ",
		"the mail could not be delivered: ", "the message could not be delivered: ", "your message could not be delivered: ", "delivery to @ failed: ", "delivery to <@> failed: ", "we are sorry: ", "mail refused - ", "mail rejected - ", "message refused - ", "message rejected - ", "host esmtp ", "host esmtp: "} {
		table[h[0]] = append(table[h[0]], []byte(h))
	}
	return table
}()

// framed cuts off what says nothing behind the reason, which begins at i, and returns where a frame begins that is to be set aside: at the text's
// end where there is none.
func framed(out []byte, i int) (text []byte, end int, kind frame) {
	end = len(out)
	for {
		start, k := lastPart(out[:end], i)
		if k == noFrame || !says(out[i:start], 1) || k != addressFrame && k != sessionFrame && !says(out[i:start], enough) {
			return out, end, kind
		}
		if k == sessionFrame && kind == noFrame {
			out = append(out[:start], ' ')
			start = len(out)
		}
		if end = start; k != sessionFrame {
			kind = max(kind, k)
		}
	}
}

// lastPart is where the last part of a text begins, if it is one of a frame. No part begins before i.
func lastPart(text []byte, i int) (start int, kind frame) {
	t := trimBetween(text)
	if len(t) <= i {
		return 0, noFrame
	}
	switch last := t[len(t)-1]; last {
	case ')', ']':
		opening := byte('(')
		if last == ']' {
			opening = '['
		}
		if start = bytes.LastIndexByte(t, opening); start > i {
			if kind = inBrackets(t[start+1 : len(t)-1]); kind == noFrame && string(t[start+1:len(t)-1]) == "#ip" && standsAlone(t[:start]) {
				kind = addressFrame
			}
		}
	case '>':
		if start = bytes.LastIndexByte(t, ' ') + 1; startsWithOne(t[start:], sessionFields) {
			kind = sessionFrame
		} else {
			start, kind = closing(t)
		}
	default:
		if start, kind = labelled(t); kind == noFrame {
			if start, kind = closing(t); kind == noFrame {
				start, kind = apart(t)
			}
		}
	}
	if start <= i {
		return 0, noFrame
	}
	// What stands between may go on from the codes: 451 - Please try again later.
	start = max(i, len(trimBetween(t[:start])))
	if kind != sessionFrame && bytes.HasSuffix(t[:start], addressRejected) { // 554 <@>: Recipient address rejected: Transaction failed
		return 0, noFrame
	}
	if kind == laterFrame && (bytes.HasSuffix(t[:start], []byte(":")) || bytes.HasSuffix(t[:start], []byte("host not found")) || bytes.Contains(t[:start], []byte("unavailable"))) { // it is the reason, or a part of it
		return 0, noFrame
	}
	return start, kind
}

// apart is where a client's address or a host begins that stands for itself at the end of a text: Unknown user 192.0.2.1, Unknown user -- mx3.example.org.
func apart(t []byte) (int, frame) {
	i := bytes.LastIndexByte(t, ' ') + 1
	last := t[i:]
	if string(last) != "host" && string(last) != "#ip" {
		return 0, noFrame
	}
	before := bytes.TrimRight(t[:i], " ")
	switch behindDash := bytes.HasSuffix(before, []byte(" -")) || bytes.HasSuffix(before, []byte("--")); {
	case last[0] == 'h' && behindDash:
		return i, courtesy
	case last[0] == '#' && !behindDash && standsAlone(t[:i]):
		return i, addressFrame
	}
	return 0, noFrame
}

// standsAlone reports whether an IP address behind a text is no part of its sentence.
func standsAlone(before []byte) bool {
	text := bytes.TrimRight(before, " ")
	word := text[bytes.LastIndexByte(text, ' ')+1:]
	return len(text) < len(before) && len(word) > 0 && byteClass(word[len(word)-1]) == letter && !hasOneOf(word, leading) && !hasOneOf(word, addressed)
}

// closing is where what a server says at last begins, if a text ends in it.
func closing(t []byte) (int, frame) {
	for _, c := range closings[tail(t)] {
		if bytes.HasSuffix(t, c.words) {
			return len(t) - len(c.words), c.kind
		}
	}
	return 0, noFrame
}

// tails is how many tails may be told apart, a power of two.
const tails = 1 << 10

// tail is a hash of a text's last bytes, no more than the shortest of closings has behind its blank.
func tail(t []byte) (h uint32) {
	for _, b := range t[max(0, len(t)-5):] {
		h = h*33 + uint32(b)
	}
	return h % tails
}

// trimBetween cuts the signs off a text's end that stand between parts.
func trimBetween(t []byte) []byte {
	for len(t) > 0 && between[t[len(t)-1]] {
		t = t[:len(t)-1]
	}
	return t
}

var between = [256]bool{' ': true, '.': true, ',': true, ';': true, '!': true, '-': true, '(': true}

// inBrackets tells what stands in brackets at the end: an ID, or a label with its value.
func inBrackets(inner []byte) frame {
	if bytes.HasPrefix(inner, sessionID) {
		return sessionFrame
	}
	start, kind := labelled(inner)
	if start > 0 {
		return noFrame
	}
	if kind == noFrame {
		for _, c := range closings[tail(inner)] {
			if bytes.Equal(inner, c.words[1:]) {
				return c.kind
			}
		}
	}
	return kind
}

// labelled is where at the end of a text a label with its value begins: queue id #id, your ip: #ip.
func labelled(t []byte) (int, frame) {
	value := bytes.LastIndexByte(t, ' ') + 1
	if value < 2 {
		return 0, noFrame
	}
	if startsWithOne(t[value:], sessionFields) {
		return value, sessionFrame
	}
	if !isValue(t[value:]) {
		return 0, noFrame
	}
	before := bytes.TrimRight(bytes.TrimSuffix(t[:value-1], []byte(" is")), ":=# ")
	for _, l := range labels {
		start := len(before) - len(l.words)
		if !bytes.HasSuffix(before, l.words) || start > 0 && before[start-1] != ' ' {
			continue
		}
		if l.kind == addressFrame && string(t[value:]) != "#ip" {
			continue
		}
		rest := bytes.TrimRight(before[:start], " ")
		if word := rest[bytes.LastIndexByte(rest, ' ')+1:]; len(word) > 0 && (word[len(word)-1] == ':' || hasOneOf(word, leading)) { // a part of the reason
			continue
		}
		return start, l.kind
	}
	return 0, noFrame
}

// isValue reports whether a word is one that is masked, or has a digit.
func isValue(word []byte) bool {
	for _, c := range word {
		if c == '#' || byteClass(c) == digit {
			return true
		}
	}
	return false
}

// says reports whether a text has at least n words.
func says(text []byte, n int) bool {
	for word, rest := nextWord(text); len(word) > 0; word, rest = nextWord(rest) {
		if word[0] != '#' && (len(word) > 1 || word[0] >= 0x80) {
			if n--; n == 0 {
				return true
			}
		}
	}
	return false
}

var (
	// noReasons are what only says with the mark before it why: mx.example.org ESMTP not accepting messages, Access denied: your IP 192.0.2.1,
	// Yahoo's delivery error: dd ...
	noReasons = asBytes("not ", "your ip ", "dd ")
	sessionID = []byte("#id ")
	// addressRejected is the end of the words with which Postfix refuses an address, whatever the reason is that follows.
	addressRejected = []byte(" address rejected:")
	// sessionFields are what Postfix logs of the session behind a reply that it gave.
	sessionFields = asBytes("helo=", "from=<", "to=<", "proto=")
	// leading are words behind which a label is a part of the reason's sentence.
	leading = asBytes("per", "this", "a", "an", "each", "one", "every", "from", "by", "for", "of", "at", "with", "on", "to", "in", "via", "because", "as", "since", "and", "or", "the", "that", "if", "using", "than", "but", "until", "when", "has", "blocked", "rejected", "denied")

	// addressed are words that an address behind them belongs to.
	addressed = asBytes("hostname", "name", "helo", "ip", "ips", "address", "host", "server", "client", "network", "range", "mta", "relay", "machine", "system", "listed", "blacklisted", "banned", "refused", "said", "is", "was", "are", "you", "site", "connection", "not", "mail", "only", "ip4", "ipv4", "ipv6", "detected", "found", "lookup", "resolve", "against", "through", "between", "verify", "von", "vom", "de", "da", "do", "di", "van", "od", "fra", "från", "desde", "depuis", "dal", "by", "adresse", "ist", "est", "es", "pour", "para", "für", "för", "til")

	labels = func() (list []part) {
		for _, w := range asBytes("queue id", "session id", "transaction id", "message id", "msg id", "request id", "tracking id", "support id", "event id", "reference id", "error id", "transaction", "session", "ticket", "state") {
			list = append(list, part{w, sessionFrame})
		}
		for _, w := range asBytes("reference", "reference number", "ref", "error code", "code") { // of the incident, or a provider's for the reason
			list = append(list, part{w, courtesy})
		}
		for _, whose := range []string{"your", "sender", "client", "remote", "source", "sending", "connecting"} {
			list = append(list, part{[]byte(whose + " ip"), addressFrame}, part{[]byte(whose + " ip address"), addressFrame})
		}
		return list
	}()

	// closings are what servers say at last, by their tails: many end in one letter, and each text would be compared with all of these.
	closings = func() (table [tails][]part) {
		kind := courtesy
		add := func(w string) { n := tail([]byte(w)); table[n] = append(table[n], part{[]byte(w), kind}) }
		for _, please := range []string{" if you have any questions, please contact ", " if you have questions, please contact ", " please contact ", " contact "} {
			for _, whom := range []string{"your administrator", "your system administrator", "your mail administrator", "your email administrator", "your network administrator", "the administrator", "the system administrator", "your postmaster", "the postmaster", "postmaster", "postmaster for help", "postmaster for assistance", "<postmaster>", "the recipient", "the recipient directly", "the recipient by other means", "the recipient by phone", "the intended recipient", "the intended recipient by other means", "your provider", "your isp", "your service provider", "your internet service provider", "your it department", "technical support", "our support", "support for assistance", "customer support", "the helpdesk", "the help desk", "the site administrator"} {
				add(please + whom)
			}
		}
		for _, page := range []string{" url", " <url>"} {
			for _, see := range []string{" see", " please see", " please visit", " visit", " refer to", " please refer to", " check", " please check", " read", " more info:", " more information:", " more information at", " details:", " details at", " help:"} {
				add(see + page)
				for _, why := range []string{" for details", " for more details", " for help", " for information", " for more information", " for more info", " for further information"} {
					add(see + page + why)
				}
			}
		}
		for _, think := range []string{"believe", "feel", "think"} {
			for _, this := range []string{" this is", " that this is", " this to be"} {
				add(" if you " + think + this + " an error")
				add(" if you " + think + this + " a mistake")
			}
		}
		for _, w := range []string{"closing connection", "closing the connection", "closing transmission channel", "closing channel", "connection closed", "disconnecting", "session closed", "session ended", "session terminated", "goodbye", "good bye", "thank you", "thanks",
			"message refused", "message rejected", "message denied", "message not accepted", "mail rejected", "mail refused", "command rejected", "delivery failed", "delivery refused", "transaction failed",
			"- rejected", "- refused", "- denied"} {
			add(" " + w)
		}
		for _, it := range []string{"", " message", " mail", " the message", " your message", " your mail", " this message", " email", " e-mail"} {
			for _, is := range []string{" return", " returned", " returning", " is returned", " was returned", " is being returned", " has been returned", " will be returned", " bounced"} {
				for _, to := range []string{" to sender", " to the sender", " to its sender", " message to sender", " mail to sender"} {
					add(it + is + to)
				}
			}
		}
		kind = endFrame
		add(" giving up")
		add("; rejected")
		add(" -- rejected")
		kind = laterFrame
		for _, please := range []string{" please", ""} {
			for _, again := range []string{"try again", "try again later", "try later", "retry", "retry later", "come back later"} {
				add(please + " " + again)
			}
		}
		for _, parts := range table { // the longest first, of which others are the end
			slices.SortStableFunc(parts, func(a, b part) int { return len(b.words) - len(a.words) })
		}
		return table
	}()
)

// A part is words that begin or make a frame: a label of a value, or what is said at last.
type part struct {
	words []byte
	kind  frame
}
