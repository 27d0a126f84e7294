package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"bounceline/parsers/reply"
	"bounceline/pipeline/classify"
	"bounceline/pipeline/record"
)

// classifyInput is an object of --input ndjson. The text of what parse prints is response_text.
type classifyInput struct {
	Text         string          `json:"text"`
	ResponseText string          `json:"response_text"`
	SMTPCode     uint16          `json:"smtp_code"`
	EnhancedCode string          `json:"enhanced_code"`
	SMTPCommand  string          `json:"smtp_command"`
	RelayHost    string          `json:"relay_host"`
	Recipient    string          `json:"recipient"`
	MTA          string          `json:"mta"`
	Status       string          `json:"status"`
	ID           json.RawMessage `json:"id"`
}

// classifyOutput is an object of --output ndjson.
type classifyOutput struct {
	ID             json.RawMessage `json:"id,omitempty"`
	BounceType     string          `json:"bounce_type"`
	BounceCategory string          `json:"bounce_category"`
	Action         string          `json:"action"`
	Rule           string          `json:"rule"`
	Confidence     string          `json:"confidence"`
	SMTPCode       uint16          `json:"smtp_code"`
	EnhancedCode   string          `json:"enhanced_code"`
	SMTPCommand    string          `json:"smtp_command"`
	Provider       string          `json:"provider"`
	ListName       string          `json:"list_name"`
	RetryAfter     uint32          `json:"retry_after"`
	RuleSet        string          `json:"ruleset"`
	Text           string          `json:"text"`
	Error          string          `json:"error,omitempty"`
}

// maxReply is how much of a line of input is read.
const maxReply = 16 << 20

func newClassifyCommand() *cobra.Command {
	var input, output string
	var rules ruleFlags
	cmd := &cobra.Command{
		Use:   "classify [TEXT...|-]",
		Short: "Say why replies of mail servers mean that a message bounced",
		Long: `Classify gives reply texts the type, category and action that their rows would get. Texts come from the arguments, or one
a line from standard input. They may be bare replies, what Postfix and Exim log around them, bounce messages, or the JSON that
mail services post to webhooks. The table explains each verdict:
the text as the rules see it with what matched in it, the rules that lost and why, what the codes say, and what to do.`,
		Example: `  bounceline classify "550 5.1.1 <ann@example.org>: Recipient address rejected: User unknown"
  bounceline parse --output ndjson mail.log | bounceline classify --input ndjson --output csv
  bounceline classify --rules my-rules.yaml "550 5.7.1 Blocked by our house filter"
  bounceline classify --input ndjson --output ndjson < replies.ndjson`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if input != "text" && input != "ndjson" {
				return usagef("--input %s: it is text or ndjson", input)
			}
			if err := checkOutput(output); err != nil {
				return err
			}
			engine, err := rules.engine()
			if err != nil {
				return err
			}
			guides, err := newGuides()
			if err != nil {
				return err
			}
			out := bufio.NewWriter(cmd.OutOrStdout())
			c := &classifier{engine: engine, guides: guides, out: out, table: output == "table"}
			if output == "csv" {
				c.csv = newRowWriter(out, output, classifyColumns)
			}
			var in io.Reader = standardInput(cmd)
			if len(args) > 0 && !(len(args) == 1 && args[0] == "-") {
				in = strings.NewReader(argumentLines(args))
			}
			return errors.Join(c.all(in, input == "ndjson"), c.flush())
		},
	}
	rules.register(cmd)
	cmd.Flags().StringVar(&input, "input", "text", "text: a reply a line, or ndjson: objects with text or response_text, smtp_code, enhanced_code, smtp_command, relay_host, recipient, mta, status, id")
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table, or for each input in order an object (ndjson) or a row (csv)")
	return cmd
}

// argumentLines makes a line of each argument; a reply that was given with its line breaks stays one.
func argumentLines(args []string) string {
	lines := make([]string, len(args))
	for i, a := range args {
		lines[i] = strings.Join(strings.FieldsFunc(a, func(r rune) bool { return r == '\n' || r == '\r' }), " ")
	}
	return strings.Join(lines, "\n")
}

// classifier prints verdicts.
type classifier struct {
	engine *classify.Engine
	guides
	out   *bufio.Writer
	table bool
	csv   rowWriter // nil but for --output csv
}

// all classifies each line. Answers of --output ndjson and lines stay in step: a line that is no object, and an empty reply, get
// one too. Only between objects empty lines mean nothing.
func (c *classifier) all(in io.Reader, objects bool) error {
	lines := bufio.NewReaderSize(in, 64<<10)
	for {
		if lines.Buffered() == 0 { // whoever wrote the last line may wait for its answer
			if err := c.flush(); err != nil {
				return err
			}
		}
		line, cut, err := readLine(lines)
		if err == io.EOF && len(line) == 0 {
			return nil
		}
		if err != nil && err != io.EOF {
			return fmt.Errorf("read: %w", err)
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(bytes.TrimSpace(line)) == 0 && (objects || c.table) {
			continue
		}
		if err := c.one(line, cut, objects); err != nil {
			return err
		}
	}
}

// flush lets out what was printed.
func (c *classifier) flush() error {
	if c.csv != nil {
		if err := c.csv.Close(); err != nil {
			return err
		}
	}
	return c.out.Flush()
}

// readLine reads a line with its end, and at most maxReply bytes of it; cut says that it has more.
func readLine(r *bufio.Reader) (line []byte, cut bool, err error) {
	for {
		part, err := r.ReadSlice('\n')
		kept := min(len(part), maxReply-len(line))
		line, cut = append(line, part[:kept]...), cut || kept < len(part)
		if err != bufio.ErrBufferFull {
			return line, cut, err
		}
	}
}

// one classifies a line: a reply, or an object with one.
func (c *classifier) one(line []byte, cut, object bool) error {
	in := classifyInput{Text: string(line)}
	var bad error
	if object {
		in = classifyInput{}
		switch err := json.Unmarshal(line, &in); {
		case cut:
			bad = fmt.Errorf("it is longer than %d bytes", maxReply)
		case err != nil:
			bad = fmt.Errorf("no object: %w", err)
		case in.Text == "" && in.ResponseText == "" && in.SMTPCode == 0 && in.EnhancedCode == "" && in.Status == "":
			bad = errors.New("there is nothing to classify: no text, smtp_code, enhanced_code or status")
		}
	}
	switch {
	case bad != nil && c.table:
		_, err := fmt.Fprintf(c.out, "%s\n\n", escapeTerminal([]byte(bad.Error())))
		return err
	case bad != nil:
		return c.print(classifyOutput{ID: in.ID, Error: bad.Error(), BounceCategory: "other", Confidence: classify.ByNothing})
	case c.table:
		row := in.row()
		c.explain(in.reply(), &row)
		return nil
	}
	return c.print(c.verdict(in))
}

// reply is the text that is classified.
func (in classifyInput) reply() string {
	if in.Text == "" {
		return in.ResponseText
	}
	return in.Text
}

// row is what is classified.
func (in classifyInput) row() record.Row {
	text, relay := in.reply(), in.RelayHost
	if relay == "" {
		relay = relayIn(text)
	}
	return classify.Case{Text: text, SMTPCode: in.SMTPCode, EnhancedCode: in.EnhancedCode, SMTPCommand: in.SMTPCommand, RelayHost: relay, Recipient: in.Recipient, MTA: in.MTA,
		Status: in.Status}.Row()
}

// relayNamed is how Postfix and Exim name the host that answered, before its reply.
var relayNamed = regexp.MustCompile(`(?:\bhost |\bH=)([0-9A-Za-z._-]+) ?\[[0-9A-Fa-f.:]+\]`)

// relayIn is the host that an MTA names before a reply, as it stands in the row of the whole line; empty where the text begins with the reply
// itself, which may quote what another server said.
func relayIn(text string) string {
	if reply.Code([]byte(text)) != 0 {
		return ""
	}
	if m := relayNamed.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}

// verdict classifies one reply.
func (c *classifier) verdict(in classifyInput) classifyOutput {
	row := in.row()
	v := c.engine.Classify(&row)
	return classifyOutput{ID: in.ID, BounceType: v.BounceType, BounceCategory: v.Category, Action: v.Action, Rule: v.Rule, Confidence: v.Confidence,
		SMTPCode: row.SMTPCode, EnhancedCode: string(row.EnhancedCode), SMTPCommand: row.SMTPCommand, Provider: v.Provider, ListName: v.ListName,
		RetryAfter: v.RetryAfter, RuleSet: v.RuleSet, Text: in.reply()}
}

// classifyColumns are those of --output csv.
var classifyColumns = []string{"id", "bounce_type", "bounce_category", "action", "rule", "confidence", "smtp_code", "enhanced_code", "smtp_command", "provider", "list_name", "retry_after",
	"ruleset", "text", "error"}

// print writes an object and a line break, or a row.
func (c *classifier) print(o classifyOutput) error {
	if c.csv != nil {
		return c.csv.Write([]any{strings.Trim(string(o.ID), `"`), o.BounceType, o.BounceCategory, o.Action, o.Rule, o.Confidence, o.SMTPCode, o.EnhancedCode, o.SMTPCommand, o.Provider,
			o.ListName, o.RetryAfter, o.RuleSet, o.Text, o.Error})
	}
	data, err := json.Marshal(o)
	if err != nil {
		return err
	}
	_, err = c.out.Write(append(escapeJSON(data), '\n'))
	return err
}
