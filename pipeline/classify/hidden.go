package classify

import (
	"regexp"
	"strings"
)

// hidden replaces what people and pages write for addresses that they do not show, so that it looks like one: [email protected],
// ****@****.com, ann (at) example.org, ann at example dot org, [IP]. It also drops
// what reports put before an address (rfc822;) and mail programs behind it (its link).
func hidden(text string) string {
	lower := strings.ToLower(text)
	for _, h := range hidings {
		if strings.Contains(lower, h.sign) {
			text = h.shape.ReplaceAllString(text, h.by)
		}
	}
	if strings.Contains(text, "**") && strings.ContainsAny(text, ".@") {
		text = starred.ReplaceAllStringFunc(text, func(word string) string {
			if shown := strings.Trim(strings.TrimRight(word, ".*"), "*"); !strings.ContainsAny(shown, "*") && shown != "" && shown[0] != '.' && shown[0] != '@' {
				return word // in bold
			}
			return strings.ReplaceAll(word, "*", "x")
		})
	}
	return text
}

var hidings = []struct {
	sign  string // what the text has then, in lower case
	shape *regexp.Regexp
	by    string
}{
	{"protected", regexp.MustCompile(`(?i)\[e-?mail[ \x{a0}]protected\]`), "xxx@xxx.xxx"},
	{"at", regexp.MustCompile(`(?i)[\w.+-]+ ?(?:\(at\)|\[at\]|\{at\}|<at>|_at_) ?[\w-]+(?:(?:\.| ?[(\[]dot[)\]] ?| dot )[\w-]+)*`), "xxx@xxx.xxx"},
	{" dot ", regexp.MustCompile(`(?i)[\w.+-]+ at [\w-]+(?: dot [\w-]+)+`), "xxx@xxx.xxx"},
	{"rfc822;", regexp.MustCompile(`(?i)\brfc822; ?([\w.+-]+@)`), "$1"},
	{"mailto:", regexp.MustCompile(`(?i)(@[\w.-]+) ?[<(\[]mailto:[^>)\]]*[>)\]]`), "$1"},
	{"ip", regexp.MustCompile(`(?i)[<{%\[]{1,2}` + whose + `ip` + ofWhat + `[>}%\]]{1,2}`), "x.x.x.x"},
	{"mail", regexp.MustCompile(`(?i)[<{%\[]{1,2}` + whose + `e?-?mail` + ofWhat + `[>}%\]]{1,2}`), "<xxx@xxx.xxx>"},
	{"recipient", regexp.MustCompile(`(?i)[<{%]{1,2}recipient` + ofWhat + `[>}%]{1,2}`), "<xxx@xxx.xxx>"},
	{"<***", regexp.MustCompile(`<\*+>`), "<xxx@xxx.xxx>"},
}

const (
	whose  = `(?:(?:your|my|our|the|sender|sending|server|client|source|host|recipient|user)[ _-]?)*`
	ofWhat = `(?:[ _-]?addr(?:ess)?)?(?:[ _-](?:hidden|removed|redacted))?`
)

// starred is an address, a host or an IP address of which stars hide parts.
var starred = regexp.MustCompile(`(?:[\w+-]*\*{2,}[\w*+-]*|[\w+-]+)(?:[.@](?:[\w+-]*\*{2,}[\w*+-]*|[\w+-]+))+`)
