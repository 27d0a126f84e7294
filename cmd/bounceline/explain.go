package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"bounceline/pipeline/classify"
	"bounceline/pipeline/record"
)

// explain prints a verdict and how it came about. Errors of the writer stay with it.
func (c *classifier) explain(text string, row *record.Row) {
	x := c.engine.Explain(row)
	category := classify.Lookup(x.Class.Category)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(c.out, "  %-10s %s\n", name+":", escapeTerminal([]byte(fmt.Sprintf(format, args...))))
	}
	fmt.Fprintln(c.out, escapeTerminal([]byte(text)))
	fmt.Fprintf(c.out, "  %s (%s): %s\n", x.Class.Category, x.Class.BounceType, category.Meaning)
	line("to do", "%s", category.Advice)
	line("action", "%s; severity %s", x.Class.Action, category.Severity)
	if x.Class.BounceType == classify.Hard && x.Class.Confidence == classify.ByCode {
		line("proof", "none: a code alone, or words that only make it likely, are often wrong, so suppress does not list the address")
	}
	if x.Class.Provider != "" {
		line("provider", "%s", x.Class.Provider)
	}
	if x.Class.ListName != "" {
		advice := ""
		if b := c.lists.Find(x.Class.ListName); b != nil {
			advice = "; " + b.Advice()
		}
		line("blocklist", "%s%s", x.Class.ListName, advice)
	}
	if x.Class.RetryAfter > 0 {
		line("wait", "the reply asks for %s", time.Duration(x.Class.RetryAfter)*time.Second)
	}
	if category.Permanent != classify.Delivered && category.Permanent != classify.General && x.Class.BounceType != classify.Hard {
		if w := c.ways.Find(x.Class.Provider, []byte(text), row.SMTPCode, string(row.EnhancedCode)); w != nil {
			describeWay(c.out, w.Provider, w)
		}
	}
	rule := x.Class.Rule
	if rule == "" {
		rule = "none"
	}
	line("rule", "%s, confidence %s, rule set %s", rule, x.Class.Confidence, x.Class.RuleSet)
	if x.Because != "" {
		line("because", "%s", x.Because)
	}
	line("text", "%s", marked(x.Text, x.Matched))
	line("codes", "%s", codesSay(row, x))
	if row.SMTPCommand != "" {
		line("answers", "%s", row.SMTPCommand)
	}
	var elsewhere []string
	for _, w := range category.Elsewhere.Words() {
		elsewhere = append(elsewhere, w.System+" "+w.Word)
	}
	if len(elsewhere) > 0 {
		line("elsewhere", "%s", strings.Join(elsewhere, "; "))
	}
	for _, l := range x.Lost {
		line("lost", "%s (%s): %s", l.Rule, l.Category, l.Why)
	}
	if x.More > 0 {
		fmt.Fprintf(c.out, "  %-10s and %d more\n", "", x.More)
	}
	fmt.Fprintln(c.out)
}

// codesSay tells what the codes of a reply mean by themselves.
func codesSay(row *record.Row, x classify.Explanation) string {
	var parts []string
	if row.SMTPCode != 0 {
		s := strconv.Itoa(int(row.SMTPCode)) + " is not registered"
		if x.Basic != nil {
			s = fmt.Sprintf("%d %s (by itself %s)", x.Basic.Code, x.Basic.Meaning, x.Basic.Category)
		}
		parts = append(parts, s)
	}
	if len(row.EnhancedCode) > 0 {
		s := string(row.EnhancedCode) + " is no registered code"
		if x.Enhanced != nil {
			s = fmt.Sprintf("%s %s (by itself %s)", row.EnhancedCode, x.Enhanced.Meaning, x.Enhanced.Category)
		}
		parts = append(parts, s)
	}
	if len(parts) == 0 {
		return "the text has none"
	}
	return strings.Join(parts, "; ")
}

// marked puts what matched in a text between » and «.
func marked(text string, matched []string) string {
	padded := " " + text + " "
	inside := make([]bool, len(padded)+1)
	for _, m := range matched {
		if i := strings.Index(padded, m); i >= 0 && strings.TrimSpace(m) != "" {
			from := i + len(m) - len(strings.TrimLeft(m, " "))
			for k := from; k < from+len(strings.TrimSpace(m)); k++ {
				inside[k] = true
			}
		}
	}
	if !slices.Contains(inside, true) {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(padded); i++ {
		if inside[i] && (i == 0 || !inside[i-1]) {
			b.WriteString("»")
		}
		b.WriteByte(padded[i])
		if inside[i] && !inside[i+1] {
			b.WriteString("«")
		}
	}
	return strings.TrimSpace(b.String())
}
