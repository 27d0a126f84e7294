package classify

import "bytes"

// broken reports whether a reply shows that its end is missing: programs keep only so much of a text. What stands there may be only the beginning of
// the reason, and is no proof that the recipient's address is bad unless a rule or an enhanced code is sure of it. Out is the text as rules see it.
func broken(text, out []byte) bool {
	text = bytes.TrimRight(text, " ")
	last := text[bytes.LastIndexByte(text, ' ')+1:]
	switch {
	case len(last) == 0:
		return false
	case last[len(last)-1] == ':': // what was to follow?
		return true
	case bytes.LastIndexByte(last, '<') > bytes.LastIndexByte(last, '>'): // an address without its end
		return true
	case replyCode(text) && (text[3] == '-' && !hasLastLine(text) || codeCut(text[len("550 "):])):
		return true
	}
	out = bytes.TrimRight(out, " ")
	if dangling[string(out[bytes.LastIndexByte(out, ' ')+1:])] {
		return true
	}
	if !openingTails[tail(out)] {
		return false
	}
	for _, o := range openings {
		end := out[max(0, len(out)-len(o)):]
		if i := bytes.LastIndex(end, o[:openingAtLeast]); i >= 0 && bytes.HasPrefix(o, end[i:]) {
			return true
		}
	}
	return false
}

// hasLastLine reports whether a reply of several lines has the last one, which has no hyphen behind the code.
func hasLastLine(text []byte) bool {
	for rest := text[len("550-"):]; ; {
		i := bytes.Index(rest, text[:3])
		if i < 0 {
			return false
		}
		if rest = rest[i+3:]; len(rest) == 0 || rest[0] == ' ' {
			return true
		}
	}
}

// codeCut reports whether nothing but the beginning of an enhanced status code stands behind the basic code.
func codeCut(text []byte) bool {
	text = bytes.TrimPrefix(text, []byte("#"))
	return len(text) > 0 && len(text) < len("5.1.1") && text[0] >= '4' && text[0] <= '5' && len(bytes.Trim(text, "0123456789.")) == 0 && (len(text) == 1 || text[1] == '.')
}

// openingAtLeast is how much of an opening must stand there.
const openingAtLeast = len("recipient a")

// openings are what servers say before the reason, whatever it is.
var openings = asBytes("recipient address rejected", "requested action not taken", "requested mail action not taken", "requested mail action aborted")

// openingTails are the tails of what may be left of an opening: few texts end in one.
var openingTails = func() (set [tails]bool) {
	for _, o := range openings {
		for n := openingAtLeast; n <= len(o); n++ {
			set[tail(o[:n])] = true
		}
	}
	return set
}()

// dangling are words that end no sentence.
var dangling = func() map[string]bool {
	m := map[string]bool{}
	for _, w := range asBytes("the", "of", "for", "to", "from", "by", "at", "with", "because", "and", "or", "is", "are", "was", "has", "have", "had", "your", "our", "this", "that", "its", "as", "since", "but", "if", "than", "which", "using") {
		m[string(w)] = true
	}
	return m
}()
