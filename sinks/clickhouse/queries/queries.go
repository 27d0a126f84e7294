// Package queries is the library of questions that are asked of the stored rows, as named SQL files with typed parameters,
// and the one place where the bounce rate is defined.
//
// A file is a text/template over the functions of [Expand], below a header of comments: what the query answers, then one
// line "-- param NAME Type = default: meaning" for each parameter (no default: it must be given). Parameters are the
// server's own, {name:Type}: values are bound by it and never become part of the text.
package queries

import (
	"embed"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"text/template"
)

//go:embed sql/*.sql
var files embed.FS

// A Query is one of the library.
type Query struct {
	Name        string
	Description string // one sentence
	Params      []Param
	SQL         string // expanded
}

// A Param is one parameter of a query.
type Param struct {
	Name     string
	Type     string // String, UInt64, DateTime64(3, 'UTC') or Zone
	Default  string
	Required bool
	Meaning  string
}

// counted says which rows are a delivery's outcome: attempts and expirations that are no hop inside the site. Probes,
// discards, suspended and suppressed recipients and automatic replies are no outcome of a delivery.
const counted = "event_type IN ('attempt', 'expiration') AND internal_hop = 0"

// rate is the definition of the bounce rate, in percent: of the recipients whose fate is final, how many did not get the
// message. Deferrals are not final; a recipient that is deferred and later delivered counts once, as delivered. It is null
// where nothing is final.
const rate = "round(100 * (bounced + expired) / nullIf(delivered + bounced + expired, 0), 2)"

// rates are the columns of every answer about rates. W is the weight of a row: 1, or the count column of a rollup. Hard,
// soft and block are parts of bounced + expired; what is in none of them has another bounce type.
func rates(w string) string {
	sum := func(condition, name string) string {
		return fmt.Sprintf("sumIf(%s, %s AND %s) AS %s", w, condition, counted, name)
	}
	failed := "outcome IN ('bounced', 'expired') AND bounce_type = "
	return strings.Join([]string{
		sum("outcome = 'delivered'", "delivered"),
		sum("outcome = 'bounced'", "bounced"),
		sum("outcome = 'expired'", "expired"),
		sum("outcome = 'deferred'", "deferrals"),
		rate + " AS bounce_rate",
		sum(failed+"'hard'", "hard"),
		sum(failed+"'soft'", "soft"),
		sum(failed+"'block'", "block"),
	}, ",\n       ")
}

// reply is the text that says why: the far side's, else the server's own, else this recipient's last real answer.
const reply = "multiIf(remote_text != '', remote_text, last_reply != '', last_reply, response_text)"

// shape is the reply without what differs from one message to the next: addresses, and words with digits in them.
// The line ends that Exim writes as a backslash and an n are spaces.
const shape = `replaceRegexpAll(replaceRegexpAll(replaceAll(` + reply + `, '\\n', ' '), '<[^>]*>|[^ ]+@[^ ]+', '<address>'), '[0-9a-zA-Z]*[0-9][0-9a-zA-Z.:-]*', '#')`

// refused says which outcomes are the doing of somebody who refuses the sending side, not the recipient, or slows it down.
const refused = "outcome IN ('bounced', 'deferred') AND (bounce_type = 'block' OR bounce_category = 'rate_limited')"

// refuser is who did: the provider, where it is known, else the host that was asked.
const refuser = "if(provider != '', provider, relay_host)"

var functions = template.FuncMap{
	"counted": func() string { return counted },
	"rate":    func() string { return rate },
	"rates":   rates,
	"reply":   func() string { return reply },
	"shape":   func() string { return shape },
	"refused": func() string { return refused },
	"refuser": func() string { return refuser },
}

// Expand replaces {{counted}}, {{rate}}, {{rates "weight"}} and the like by the SQL that they stand for: the functions above.
func Expand(text string) (string, error) {
	t, err := template.New("query").Funcs(functions).Parse(text)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	if err := t.Execute(&b, nil); err != nil {
		return "", err
	}
	return b.String(), nil
}

// All returns the library, sorted by name.
func All() ([]Query, error) {
	paths, err := fs.Glob(files, "sql/*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(paths)
	var out []Query
	for _, p := range paths {
		text, err := files.ReadFile(p)
		if err != nil {
			return nil, err
		}
		q, err := parse(strings.TrimSuffix(strings.TrimPrefix(p, "sql/"), ".sql"), string(text))
		if err != nil {
			return nil, fmt.Errorf("query %s: %w", p, err)
		}
		out = append(out, q)
	}
	return out, nil
}

var paramLine = regexp.MustCompile(`^param (\w+) (String|UInt64|DateTime64\(3, 'UTC'\)|Zone)(?: = (\S*))?: (.+)$`)

// parse reads one file.
func parse(name, text string) (Query, error) {
	q := Query{Name: name}
	body := text
	for {
		line, rest, _ := strings.Cut(body, "\n")
		comment, ok := strings.CutPrefix(line, "-- ")
		if !ok {
			break
		}
		body = rest
		if strings.HasPrefix(comment, "param ") {
			m := paramLine.FindStringSubmatch(comment)
			if m == nil {
				return q, fmt.Errorf("header %q: write param NAME Type = default: meaning", comment)
			}
			q.Params = append(q.Params, Param{Name: m[1], Type: m[2], Default: m[3], Required: !strings.Contains(comment, " = "), Meaning: m[4]})
			continue
		}
		q.Description = strings.TrimSpace(q.Description + " " + comment)
	}
	if q.Description == "" {
		return q, fmt.Errorf("it has no description")
	}
	var err error
	q.SQL, err = Expand(strings.TrimSpace(body))
	return q, err
}
