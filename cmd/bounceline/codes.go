package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"bounceline/pipeline/classify"
)

func newCodesCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "codes [CODE|TOKEN|CATEGORY|BLOCKLIST|PROVIDER...]",
		Short: "Say what reply codes and categories mean, and the way back to providers and off blocklists",
		Long: `Codes explains SMTP reply codes, enhanced status codes, the codes of large providers, and the categories that replies are put
into: what each means, what it is taken for where a reply says nothing else, and what to do. Of a blocklist, by its name or a
zone of it, it says where to look an address up and have it removed; of a provider, by its name or a domain such as gmail.com, all
that it documents about refusals; of a word of Sisimai, KumoMTA, PowerMTA, SparkPost, SES or SendGrid, the categories that it
stands for.
Without an argument it lists the tables of codes and categories; as CSV or NDJSON with advice, the words of other systems for a
category, a row for each code and token of a provider with the way back, and the blocklists.`,
		Example: `  bounceline codes 550 5.7.26 S3140
  bounceline codes zen.spamhaus.org
  bounceline codes ip_blocklisted
  bounceline codes gmail
  bounceline codes bad-mailbox
  bounceline codes --output csv > codes.csv`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			guides, err := newGuides()
			if err != nil {
				return err
			}
			out := newScreen(cmd.OutOrStdout())
			entries, err := codeEntries(args, guides)
			if err != nil {
				return err
			}
			if len(args) > 0 && output == "table" {
				for _, e := range entries {
					e.describe(out)
				}
				return out.Flush()
			}
			if err := listCodes(out, output, entries); err != nil {
				return err
			}
			return out.Flush()
		},
		Args: cobra.ArbitraryArgs,
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for i := range classify.Categories {
				names = append(names, classify.Categories[i].Name+"\t"+classify.Categories[i].Meaning)
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
	registerOutput(cmd, &output)
	return cmd
}

// A codeEntry is a code or category that is explained.
type codeEntry struct {
	kind, code string
	meaning    string
	source     string
	trusted    bool
	proves     bool // an enhanced code that is proof without words
	class      byte // of the code, 0 for a category
	category   *classify.Category
	ways       []*classify.Way
	list       *classify.Blocklist
}

// codeEntries finds what the arguments name; without one it is everything.
func codeEntries(args []string, g guides) ([]codeEntry, error) {
	var out []codeEntry
	if len(args) == 0 {
		for i := range classify.BasicCodes {
			out = append(out, basicEntry(&classify.BasicCodes[i]))
		}
		for i := range classify.EnhancedCodes {
			out = append(out, enhancedEntry(&classify.EnhancedCodes[i], "x."+classify.EnhancedCodes[i].Code, 'x'))
		}
		for i := range classify.Categories {
			out = append(out, categoryEntry(&classify.Categories[i]))
		}
		for i := range g.ways {
			out = append(out, codeEntry{ways: []*classify.Way{&g.ways[i]}})
		}
		for i := range g.lists {
			out = append(out, codeEntry{list: &g.lists[i]})
		}
		return out, nil
	}
	for _, a := range args {
		found, err := codeEntry1(a, g)
		about, list := g.ways.About(a), g.lists.About(a)
		if err != nil && len(about) == 0 && list == nil {
			more := wordEntries(a, g)
			if len(more) == 0 {
				return nil, err
			}
			out = append(out, more...)
			continue
		}
		if err != nil {
			found = codeEntry{kind: "token", code: a}
		}
		found.ways, found.list = about, list
		out = append(out, found)
	}
	return out, nil
}

// wordEntries finds what a word means that is no code, category, token or blocklist: the category of another system's word, or providers.
func wordEntries(word string, g guides) (out []codeEntry) {
	for _, c := range classify.Elsewhere(word) {
		out = append(out, categoryEntry(c))
	}
	if out != nil {
		return out
	}
	for _, name := range g.providers.About(word) {
		e := codeEntry{kind: "provider", code: name, ways: g.of(name)}
		if e.ways == nil {
			e.meaning = "nothing is known that it documents about refusals"
		}
		out = append(out, e)
	}
	return out
}

func codeEntry1(arg string, g guides) (codeEntry, error) {
	if c := classify.Lookup(strings.ToLower(arg)); c != nil {
		return categoryEntry(c), nil
	}
	if n, err := strconv.Atoi(arg); err == nil && len(arg) == 3 && n >= 200 && n < 600 {
		if b := classify.LookupBasic(uint16(n)); b != nil {
			return basicEntry(b), nil
		}
		entry := codeEntry{kind: "basic", code: arg, class: arg[0], category: classify.Lookup("other"), source: "not registered",
			meaning: "no document defines this code; its first digit counts"}
		if e := classify.LookupBeside(uint16(n)); e != nil {
			entry.source, entry.meaning = "RFC 5248", fmt.Sprintf("only named beside x.%s, %s; its first digit counts", e.Code, e.Meaning)
		}
		return entry, nil
	}
	if class, rest, ok := strings.Cut(arg, "."); ok && len(class) == 1 && strings.Contains("245x", class) {
		if e := classify.LookupEnhanced("5." + rest); e != nil {
			entry := enhancedEntry(e, arg, class[0])
			if e.Code != rest {
				entry.source = "not registered"
				entry.meaning = "a detail that is not registered; its subject counts: " + e.Meaning
			}
			return entry, nil
		}
	}
	return codeEntry{}, usagef("%q is neither a code such as 550 or 5.7.1, nor a category or another system's word for one, a provider or a token of one, nor a blocklist%s", arg, didYouMean(arg, append(categoryNames(), g.providers.Names()...)))
}

func categoryNames() []string {
	names := make([]string, len(classify.Categories))
	for i := range classify.Categories {
		names[i] = classify.Categories[i].Name
	}
	return names
}

func basicEntry(b *classify.BasicCode) codeEntry {
	return codeEntry{kind: "basic", code: strconv.Itoa(int(b.Code)), meaning: b.Meaning, source: b.Source, class: '0' + byte(b.Code/100), category: classify.Lookup(b.Category)}
}

func enhancedEntry(e *classify.EnhancedCode, code string, class byte) codeEntry {
	return codeEntry{kind: "enhanced", code: code, meaning: e.Meaning, source: e.Source, trusted: e.Trusted, proves: e.Proves(), class: class, category: classify.Lookup(e.Category)}
}

func categoryEntry(c *classify.Category) codeEntry {
	return codeEntry{kind: "category", code: c.Name, meaning: c.Meaning, category: c}
}

// types is the bounce type that the entry's default category gives, for each class that matters.
func (e codeEntry) types() string {
	if e.category == nil {
		return ""
	}
	kinds := []string{e.category.Permanent}
	if e.class == '4' {
		kinds = []string{e.category.Transient}
	}
	if (e.class == 0 || e.class == 'x') && !slices.Contains(kinds, e.category.Transient) {
		kinds = append(kinds, e.category.Transient)
	}
	return strings.Join(kinds, " or ")
}

// codeForm keeps what a code means and what is made of it.
var codeForm = tableForm{optional: []string{"trusted", "source", "severity", "kind", "action"}}

// codeColumns are those of the tables for people; machines get machineColumns as well.
var (
	codeColumns    = []string{"kind", "code", "meaning", "bounce_category", "bounce_type", "action", "severity", "source", "trusted"}
	machineColumns = []string{"kind", "code", "meaning", "bounce_category", "type_on_5xx", "type_on_4xx", "action", "severity", "source", "trusted", "advice", "provider", "steps", "page",
		"sisimai", "kumomta", "powermta", "sparkpost", "ses", "sendgrid"}
)

// listCodes prints the tables: for people each kind by itself.
func listCodes(out io.Writer, output string, entries []codeEntry) error {
	if output != "table" {
		w := newRowWriter(out, output, machineColumns)
		for _, e := range entries {
			for _, values := range e.machineRows() {
				if err := w.Write(values); err != nil {
					return err
				}
			}
		}
		return w.Close()
	}
	var w rowWriter
	kind := ""
	for _, e := range entries {
		if e.category == nil { // a provider or a blocklist has none of the columns
			continue
		}
		if e.kind != kind {
			if w != nil {
				if err := w.Close(); err != nil {
					return err
				}
				fmt.Fprintln(out)
			}
			w, kind = newTable(out, codeForm, codeColumns...), e.kind
		}
		if err := w.Write([]any{e.kind, e.code, e.meaning, e.category.Name, e.types(), e.category.Action, string(e.category.Severity), e.source, e.trusted}); err != nil {
			return err
		}
	}
	if w == nil {
		return nil
	}
	return w.Close()
}

// machineRows are the entry's rows in the order of machineColumns: itself, and one for each code and token of the ways back.
func (e codeEntry) machineRows() (rows [][]any) {
	if c := e.category; c != nil {
		on5, on4 := c.Permanent, c.Transient
		switch {
		case e.class == '4':
			on5 = ""
		case e.class == '5':
			on4 = ""
		}
		row := []any{e.kind, e.code, e.meaning, c.Name, on5, on4, c.Action, string(c.Severity), e.source, e.trusted, c.Advice, "", []any{}, ""}
		x := c.Elsewhere
		for _, word := range []string{x.Sisimai, x.KumoMTA, x.PowerMTA, x.SparkPost, x.SES, x.SendGrid} {
			row = append(row, word)
		}
		rows = append(rows, row)
	}
	plain := func(kind, code, meaning, advice, provider string, steps []any, page string) {
		rows = append(rows, []any{kind, code, meaning, "", "", "", "", "", "", false, advice, provider, steps, page, "", "", "", "", "", ""})
	}
	for _, w := range e.ways {
		steps := make([]any, len(w.Steps))
		for i, s := range w.Steps {
			steps[i] = s
		}
		for _, code := range w.Signs() {
			plain("provider", code, w.Meaning, "", w.Provider, steps, w.Page)
		}
	}
	if b := e.list; b != nil {
		plain("blocklist", b.Name, "", b.Advice(), "", []any{}, b.Page)
	}
	return rows
}

// describe prints all about one entry.
func (e codeEntry) describe(out io.Writer) {
	fmt.Fprintf(out, "%s", escapeTerminal([]byte(e.code)))
	if e.meaning != "" {
		fmt.Fprintf(out, ": %s", e.meaning)
	}
	if e.source != "" {
		fmt.Fprintf(out, " (%s)", e.source)
	}
	fmt.Fprintln(out)
	if c := e.category; c != nil {
		if e.kind != "category" {
			how := "where the reply's words say nothing"
			if e.trusted {
				how = "even where the reply's words are vague"
			} else if c.Permanent == classify.Hard && c.Name != "other" && e.proves {
				how += "; suppress takes that for proof"
			} else if c.Permanent == classify.Hard && c.Name != "other" {
				how += "; suppress does not take that for proof"
			}
			fmt.Fprintf(out, "  taken for:  %s (%s), %s\n", c.Name, e.types(), how)
		} else {
			fmt.Fprintf(out, "  type:       %s on 5xx, %s on 4xx\n", c.Permanent, c.Transient)
		}
		fmt.Fprintf(out, "  to do:      %s\n  action:     %s; severity %s\n", c.Advice, c.Action, c.Severity)
		if e.kind == "category" {
			for _, w := range c.Elsewhere.Words() {
				fmt.Fprintf(out, "  %-11s %s\n", w.System+":", w.Word)
			}
		}
	}
	if b := e.list; b != nil {
		fmt.Fprintf(out, "  blocklist:  %s; %s\n", b.Name, b.Advice())
	}
	for _, w := range e.ways {
		describeWay(out, w.Provider+" "+strings.Join(w.Signs(), ", "), w)
	}
	fmt.Fprintln(out)
}

// describeWay prints the way back to whoever is named.
func describeWay(out io.Writer, whom string, w *classify.Way) {
	fmt.Fprintf(out, "  %s: %s\n", whom, w.Meaning)
	for i, s := range w.Steps {
		fmt.Fprintf(out, "    %d. %s\n", i+1, s)
	}
	fmt.Fprintf(out, "    %s\n", w.Page)
}
