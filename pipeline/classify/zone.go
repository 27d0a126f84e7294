package classify

import (
	"bytes"
	"sync"

	"bounceline/pipeline/record"
)

const (
	maxZone   = 64   // bytes of the name of a blocklist that is in no table
	maxZones  = 1024 // of them that are kept to be given out again
	maxBefore = 16   // bytes before it that are looked at
)

// zones gives blocklists that are in no table one string each, so that naming them again allocates nothing.
type zones struct {
	mu    sync.RWMutex
	known map[string]string
}

func (z *zones) name(zone []byte) string {
	z.mu.RLock()
	s, ok := z.known[string(zone)]
	z.mu.RUnlock()
	if ok {
		return s
	}
	s = string(zone)
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.known == nil {
		z.known = map[string]string{}
	}
	if len(z.known) < maxZones {
		z.known[s] = s
	}
	return s
}

// listed is the zone that the row's reply names as the list which its verdict rests on, for lists that are in no table. Empty if it names none.
func (j *judge) listed(r *record.Row, category string) string {
	switch category {
	case "ip_blocklisted", "sender_rejected", "spam_content":
	default:
		return ""
	}
	text := r.RemoteText
	if len(text) == 0 {
		text = r.ResponseText
	}
	var room [maxZone]byte
	if z := zoneIn(text[:min(len(text), maxText)], room[:0]); z != nil {
		return j.zones.name(z)
	}
	return ""
}

// Words before the name of a list: surelyZone is what Postfix says (smtpd_check.c), maybeZone is also said of others.
var (
	surelyZone = asBytes("blocked using ")
	maybeZone  = asBytes(" using ", "listed in ", "listed at ", "listed on ", "listed by ", "found in ", "found on ", "found at ", "rbl ", "dnsbl ", "rbl: ", "dnsbl: ", "rbl:", "dnsbl:", "(rbl ", "(dnsbl ",
		"blacklist ", "blocklist ", "blocked by ", "rejected by ", "denied by ", "according to ")
)

// zoneIn finds the name of a list's zone in a reply, and returns it in small letters, in the room that it is given; nil if there is none. The host
// behind "blocked using" is one; behind other words it must have a name as lists have it: dnsbl.example.net.
func zoneIn(text, room []byte) []byte {
	for end := 0; ; {
		i := bytes.IndexByte(text[end:], '.')
		if i < 0 {
			return nil
		}
		from := end + i
		for end = from + 1; end < len(text) && hostByte(text[end]); end++ {
		}
		for from > 0 && hostByte(text[from-1]) {
			from--
		}
		if from == 0 || text[from-1] != ' ' && text[from-1] != ':' { // no word is before it
			continue
		}
		host := bytes.TrimRight(text[from:end], ".-")
		if len(host) == 0 || len(host) > maxZone || byteClass(host[len(host)-1]) == digit || bytes.IndexByte(host, '.') <= 0 || end < len(text) && (text[end] == '@' || text[end] == '/') {
			continue // no host, but the end of a sentence, an IP address, part of an address or a URL
		}
		room = room[:0]
		for _, c := range text[max(0, from-maxBefore):from] {
			room = append(room, lower[c])
		}
		sure := endsWithOne(room, surelyZone)
		if !sure && !endsWithOne(room, maybeZone) {
			continue
		}
		room = room[:0]
		for _, c := range host {
			room = append(room, lower[c])
		}
		if sure || namedAsList(room) {
			return room
		}
	}
}

func hostByte(c byte) bool {
	return byteClass(c)&(letter|digit|dot) != 0 || c == '-'
}

// listNames are how labels of lists begin.
var listNames = asBytes("rbl", "dnsbl", "dnsrbl", "blackl", "blackh", "blockl")

// namedAsList reports whether a host has a label as the zones of lists have it.
func namedAsList(host []byte) bool {
	for rest := host[:bytes.LastIndexByte(host, '.')]; len(rest) > 0; {
		var label []byte
		label, rest, _ = bytes.Cut(rest, []byte("."))
		if bytes.HasSuffix(bytes.TrimRight(label, "0123456789"), []byte("bl")) || startsWithOne(label, listNames) {
			return true
		}
	}
	return false
}
