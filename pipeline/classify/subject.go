package classify

import "bytes"

// predicates say of something that it is not there, or not as it should be, in a normalised text; by their first letters.
var predicates = func() (by [256][][]byte) {
	for _, p := range asBytes("does not exist", "do not exist", "is unknown", "unknown", "not found", "not be found", "not known", "not recogni", "is invalid", "not valid", "is disabled", "been disabled",
		"was suspended", "is suspended", "no longer exists", "not registered", "has expired", "is closed", "is inactive", "is bad", "is wrong", "is malformed") {
		by[p[0]] = append(by[p[0]], p)
	}
	return by
}()

// determiners stand before a thing, and never before somebody's name or address.
var determiners = asBytes("the", "your", "this", "that", "our", "its", "their", "an", "a")

// auxiliaries stand between a subject and its predicate.
var auxiliaries = asBytes("is", "was", "are", "were", "be", "been", "has", "have", "could", "can", "cannot", "does", "did", "may", "might", "seems", "appears", "or", "and", "not", "currently", "probably")

// prepositions do not end a subject but a clause within it: "the address that you write to".
var prepositions = asBytes("to", "at", "in", "from", "for", "of", "by", "with")

// recipients are parts of words for the one that a message is for, his mailbox and his domain, and of words that begin a sentence with another
// subject or leave it open whose the subject is.
var recipients = asBytes("user", "box", "account", "address", "recipient", "name", "alias", "person", "destin", "domain", "list", "group", "employee", "customer", "subscri", "student",
	"contact", "member", "mail", "part", "staff", "number", "extension", "party", "folder", "tenant", "people", "colleague", "resident", "individual", "postfach", "department", "identifier",
	"host", "site", "server", "local", "target", "exist", "whereabout", "access", "service", "one", "some", "all", "most", "many", "both", "half", "any", "each", "none",
	"who", "what", "which", "that", "where", "you", "we", "said", "says", "report", "repl", "because", "since", "for", "@", "#")

// maxSubject is how many words a thing has behind its determiner; in more of them a name may stand.
const maxSubject = 3

// ofAnother reports whether all that a normalised text says of something's absence or state has a subject that is neither a recipient nor a name:
// "the approval code does not exist".
func ofAnother(text []byte) bool {
	said := false
	for i := 1; i < len(text); {
		if startsWithOne(text[i:], predicates[text[i]]) {
			if !isThing(text[:i]) {
				return false
			}
			said = true
		}
		n := bytes.IndexByte(text[i:], ' ')
		if n < 0 {
			break
		}
		i += n + 1
	}
	return said
}

// ofAnother is that of a text in which the literals were found. Most texts have no word by which a thing is known, so that they are not gone through.
func (s *ruleSet) ofAnother(text []byte, f *found) bool { return s.things.any(f) && ofAnother(text) }

// isThing reports whether a text ends in a determiner and a thing, or in a thing of a recipient's. Auxiliaries may follow.
func isThing(text []byte) bool {
	for n := 0; n <= maxSubject; {
		word, before := lastWord(text)
		switch {
		case len(word) == 0 || endsClause(word):
			return false
		case isOne(word, determiners):
			return n > 0
		case n == 0 && isOne(word, auxiliaries):
		case n == 0 && isOne(word, prepositions):
			return false
		case containsOne(word, recipients):
			return isOwner(before)
		default:
			n++
		}
		text = before
	}
	return false
}

// isOwner reports whether a text ends in a thing that is said to be of what follows: "the index of this".
func isOwner(text []byte) bool {
	word, before := lastWord(text)
	if isOne(word, determiners) {
		word, before = lastWord(before)
	}
	if string(word) != "of" {
		return false
	}
	word, _ = lastWord(before)
	return len(word) > 0 && !endsClause(word) && !containsOne(word, recipients)
}

// lastWord returns the last word of a text with the signs beside it, and what is before it.
func lastWord(text []byte) (word, before []byte) {
	text = bytes.TrimRight(text, " ")
	start := bytes.LastIndexByte(text, ' ') + 1
	return text[start:], text[:start]
}

// endsClause reports whether a sentence or a part of it ends with the word.
func endsClause(word []byte) bool {
	return bytes.IndexByte([]byte(".,:;!?)>\"'-"), word[len(word)-1]) >= 0
}

func isOne(word []byte, words [][]byte) bool {
	for _, w := range words {
		if bytes.Equal(w, word) {
			return true
		}
	}
	return false
}
