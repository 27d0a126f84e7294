package classify

import (
	"regexp"
	"strings"
)

// bare is a reply without what people and pages put around it: tags, marks of lists, times, stars and bars; and with a blank behind
// its code, which tables and lists set apart in other ways: **550 No such user**, 550 = No such user, No such user (550). Another text
// stays as it is.
func bare(text string) string {
	if strings.Contains(text, "</") || strings.Contains(text, "<br") || strings.Contains(text, "<BR") {
		text = strings.TrimSpace(tags.ReplaceAllString(text, " "))
	}
	if m := ahead.FindStringSubmatchIndex(text); m != nil && (text[m[1]-1] != '"' || strings.HasSuffix(text, `"`)) && (m[2] > 0 || m[1]-m[3] > 1 || text[m[3]] != ' ' && text[m[3]] != '-') {
		before, code, rest := text[:m[2]], text[m[2]:m[3]], text[m[1]:]
		if strings.ContainsAny(before, "*|") {
			rest = strings.TrimRight(rest, " *|")
		}
		if text[m[1]-1] == '"' {
			rest = strings.TrimSuffix(rest, `"`)
		}
		if text[m[3]] == '-' {
			return code + "-" + rest
		}
		return code + " " + rest
	}
	if m := behind.FindStringSubmatch(text); m != nil && !coded.MatchString(m[1]) {
		return m[2] + " " + m[1]
	}
	return text
}

var (
	tags = regexp.MustCompile(`(?i)(?: *</?(?:b|i|u|p|br|em|strong|code|pre|tt|kbd|span|div|font|li|ul|ol|td|tr|th|table|blockquote)(?: [^>]*)?/?> *)+`)

	// ahead is what stands before the text of a reply, with its code.
	ahead = regexp.MustCompile(`^(?:[ >*•·|]|\d{1,2}[.)] |\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?Z?\]?:? |\[?\d\d:\d\d:\d\d(?:[.,]\d+)?\]? )*\[?(` + failureCode + `)(?:\]:? +| *[–—=|/]+ *| "|[ -])`)
	coded = regexp.MustCompile(`\b(?:` + failureCode + `)[ -]`)
	// behind is a text with the code behind it.
	behind = regexp.MustCompile(`^((?:[45]\.\d{1,3}\.\d{1,3} )?[^0-9].*[a-z.!]) ?[(\[](?:(?:error )?code:? )?(` + failureCode + `)[)\]]\.?$`)
)

// failureCode has the codes that servers give for failures.
const failureCode = `4(?:21|[2-5]\d)|5[0-7]\d`
