package classify

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"bounceline/pipeline/record"
)

var update = flag.Bool("update", false, "write the expected files anew")

// TestCodesOfTheStandards: each code that servers give most has the meaning that the documents give it, and its default.
func TestCodesOfTheStandards(t *testing.T) {
	for code, want := range map[uint16]string{421: "system_error soft", 450: "other soft", 451: "system_error soft", 452: "system_full soft", 550: "user_unknown hard", 552: "mailbox_full soft",
		553: "bad_address_syntax hard", 554: "policy_rejected block", 521: "null_mx hard", 556: "null_mx hard", 571: "policy_rejected block", 503: "protocol_error block", 535: "smtp_auth_required block"} {
		row := record.Row{EventType: record.Attempt, Outcome: record.Bounced, SMTPCode: code}
		c := byCodes(&row)
		if got := c.Category + " " + c.BounceType; got != want || c.Confidence != ByCode {
			t.Errorf("%d: %s (%s), want %s", code, got, c.Confidence, want)
		}
	}
	for code, want := range map[string]string{"5.0.0": "other hard code", "5.1.1": "user_unknown hard dsn", "5.1.6": "recipient_moved hard dsn", "5.2.1": "inactive_mailbox hard code", "5.2.2": "mailbox_full soft dsn",
		"5.2.3": "message_too_large soft dsn", "5.3.1": "system_full soft dsn", "5.3.4": "message_too_large soft dsn", "5.4.1": "connection_failed soft dsn", "5.4.3": "dns_failure soft dsn",
		"5.4.6": "routing_loop soft dsn", "5.4.7": "message_expired soft dsn", "5.5.1": "protocol_error block dsn", "5.5.3": "too_many_recipients soft dsn", "5.7.1": "policy_rejected block dsn",
		"5.7.5": "auth_failed block dsn", "5.7.7": "auth_failed block dsn", "5.1.10": "null_mx hard dsn", "5.1.4": "user_unknown hard code", "5.4.4": "domain_not_found hard code",
		// details that are not registered: by their subject, and no proof
		"5.7.999": "policy_rejected block code", "4.7.650": "policy_rejected block code", "5.2.121": "other hard code", "5.4.316": "connection_failed soft code", "5.3.190": "system_error soft code",
		"5.1.190": "user_unknown hard code"} {
		row := record.Row{EventType: record.Attempt, Outcome: record.Bounced, EnhancedCode: []byte(code), SMTPCode: 599}
		if code[2] == '1' {
			row.SMTPCode = 550
		}
		if code[0] == '4' {
			row.SMTPCode, row.Outcome = 450, record.Deferred
		}
		c := byCodes(&row)
		if got := c.Category + " " + c.BounceType + " " + c.Confidence; got != want {
			t.Errorf("%s: %s, want %s", code, got, want)
		}
	}
	for _, code := range []uint16{334, 354} {
		row := record.Row{EventType: record.Attempt, Outcome: record.Bounced, SMTPCode: code, EnhancedCode: []byte("5.2.2")}
		if c := engine(t).Classify(&row); c.BounceType != General || c.Category != "informational" {
			t.Errorf("%d: %+v", code, c)
		}
	}
}

// TestTables: every entry is whole, stands once and in order.
func TestTables(t *testing.T) {
	last := uint16(0)
	for _, b := range BasicCodes {
		if b.Code <= last || Lookup(b.Category) == nil || b.Meaning == "" || b.Source == "" {
			t.Errorf("basic code %+v is not in order or not whole", b)
		}
		last = b.Code
	}
	seen := map[string]bool{}
	for i := range EnhancedCodes {
		e := &EnhancedCodes[i]
		if seen[e.Code] || Lookup(e.Category) == nil || e.Meaning == "" || e.Source == "" || LookupEnhanced("5."+e.Code) != e {
			t.Errorf("enhanced code %+v stands twice or is not whole", e)
		}
		seen[e.Code] = true
	}
	for subject, details := range map[string]int{"0": 0, "1": 10, "2": 4, "3": 6, "4": 7, "5": 6, "6": 10, "7": 30} { // the registry has no gaps
		for d := 0; d <= details; d++ {
			if code := fmt.Sprintf("%s.%d", subject, d); !seen[code] {
				t.Errorf("the registry's %s is not in the table", code)
			}
		}
	}
	for code := range besides {
		if LookupBasic(code) != nil || LookupBeside(code) == nil {
			t.Errorf("%d is no code of the registry alone", code)
		}
	}
	if LookupEnhanced("5.8.1") != nil || LookupEnhanced("5.1") != nil || LookupBasic(999) != nil || LookupBasic(599) != nil {
		t.Error("codes that there are not were found")
	}
	names := map[string]bool{}
	for _, c := range Categories {
		types := []string{Delivered, General, Soft, Hard, Block}
		if names[c.Name] || !contains(types, c.Permanent) || !contains(types, c.Transient) || c.Action == "" || c.Severity == "" || c.Meaning == "" || c.Advice == "" {
			t.Errorf("category %+v stands twice or is not whole", c)
		}
		names[c.Name] = true
	}
	if len(Categories) != 37 {
		t.Errorf("%d categories, want 34 reasons, other, informational and delivered", len(Categories))
	}
	ways, err := NewWays()
	if err != nil {
		t.Fatal(err)
	}
	known := tables(t)
	for _, w := range ways {
		if !known.hasProvider(w.Provider) {
			t.Errorf("wayback.yaml:%d: there is no provider %q", w.Line, w.Provider)
		}
		for _, s := range w.Steps { // a comma in a list without quotes begins another step
			if s[0] < 'a' || s[0] > 'z' {
				t.Errorf("wayback.yaml:%d: the step %q begins in the middle", w.Line, s)
			}
		}
	}
}

func contains(list []string, v string) bool {
	for _, x := range list {
		if x == v {
			return true
		}
	}
	return false
}

func TestWayBack(t *testing.T) {
	ways, err := NewWays()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		provider, reply, enhanced string
		code                      uint16
		want                      string // what the first step begins with
	}{
		{"Google", "550 5.7.26 not authenticated", "5.7.26", 550, "find out which check failed"},
		{"Google", "421 4.7.28 unusual rate", "4.7.28", 421, "stop bulk mail"},
		{"", "550 5.7.1 part of their network is on our block list (S3140).", "5.7.1", 550, "check the address in Smart"},
		{"Google", "421-4.7.0 Our system has detected that this message is\\n421-4.7.0 suspicious due to the nature of the content", "4.7.0", 421, "look at reputation and spam rate"},
		{"Google", "421-4.7.24 The SPF record has suspicious entries", "4.7.24", 421, "take entries out of the SPF record"},
		{"Microsoft 365", "550 5.7.515 Access denied", "5.7.515", 550, "let SPF and DKIM pass"},
		{"Microsoft 365", "550 5.7.510 Access denied", "5.7.510", 550, "send to the provider over IPv4"},
		{"Yahoo/AOL", "553 5.7.1 [BL23] Connections will not be accepted", "5.7.1", 553, "look the address up at Spamhaus"},
		{"Microsoft 365", "550 5.7.625 Access denied", "5.7.625", 550, "find out who abused"},
		{"Microsoft 365", "550 5.7.700 Access denied", "5.7.700", 550, "look for a compromised"},
		{"Microsoft 365", "451 4.7.500 Server busy", "4.7.500", 451, "lower connections"},
		{"Yahoo/AOL", "421 4.7.0 [TSS04] Messages temporarily deferred", "4.7.0", 421, "lower connections"},
		{"Yahoo/AOL", "553 5.7.2 [TSS09] All messages permanently deferred", "5.7.2", 553, "stop all mail"},
		{"Apple", "550 5.7.1 [CS01] Message rejected", "5.7.1", 550, "check SPF"},
		{"Proofpoint", "554 5.7.1 Blocked - see https://ipcheck.proofpoint.com/?ip=192.0.2.1", "5.7.1", 554, "look the address up"},
		{"Mimecast", "550 Envelope blocked - User Entry", "", 550, "find the words"},
		{"", "451 4.7.1 Received too many messages from a new or untrusted IP (G28)", "4.7.1", 451, "find the code"},
		{"", "550 5.7.1 [ESA] sender blocked", "5.7.1", 550, "open the link in the reply"},
		{"Free", "421 Too many spams from your IP (192.0.2.1), please visit http://postmaster.free.fr/", "", 421, "look the address up"},
		{"GoDaddy", "550 5.7.1 refused", "5.7.1", 550, "find the words"},
		{"GoDaddy", "554 This IP is listed on the Exploits Block List (XBL). IB105", "", 554, "ask for removal"},
		{"Microsoft 365", "550 5.7.650 x", "5.7.650", 550, ""},
		{"", "550 5.7.26 x", "5.7.26", 550, ""},
		{"Tutanota", "550 5.7.26 x", "5.7.26", 550, ""},
	} {
		w := ways.Find(c.provider, []byte(c.reply), c.code, c.enhanced)
		got := ""
		if w != nil {
			got = w.Steps[0]
		}
		if !strings.HasPrefix(got, c.want) || (c.want == "") != (w == nil) {
			t.Errorf("%s, %s: %q, want %q", c.provider, c.reply, got, c.want)
		}
	}
	for code, want := range map[string]string{"5.7.26": "Google", "s3140": "Outlook.com", "TSS04": "Yahoo/AOL", "[CS01]": "Apple", "AUP#1260": "Charter", "OFR_506": "Orange", "5.7.610": "Microsoft 365", "[ESA]": "MailChannels", "G28": "Rackspace"} {
		if about := ways.About(code); len(about) == 0 || about[0].Provider != want {
			t.Errorf("%s: %v, want %s", code, about, want)
		}
	}
	yahoo := ways.About("TSS04")[0]
	if got := strings.Join(yahoo.Signs(), " "); !strings.HasPrefix(got, "TSS01 TSS02 ") {
		t.Errorf("the way back from TSS04 is found by %q", got)
	}
	if about := ways.About("550"); about != nil {
		t.Errorf("550 alone: %v", about)
	}
}

// TestCodesDocument: docs/codes.md is what the tables say. With -update it is written.
func TestCodesDocument(t *testing.T) {
	const path = "../../docs/codes.md"
	want := codesDocument(t)
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what the tables say (%v): go test ./pipeline/classify -run TestCodesDocument -update", path, err)
	}
}

func codesDocument(t *testing.T) []byte {
	var b bytes.Buffer
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("# Categories and codes\n\nMade from the tables that replies are classified by; `bounceline codes` prints the same.\n")
	p("## Categories\n\nThe type depends on the reply's class. What other systems call the category stands beside it.\n")
	p("| category | on 5xx | on 4xx | action | severity | meaning | what to do |\n| --- | --- | --- | --- | --- | --- | --- |")
	for _, c := range Categories {
		p("| `%s` | %s | %s | %s | %s | %s | %s |", c.Name, c.Permanent, c.Transient, c.Action, c.Severity, c.Meaning, c.Advice)
	}
	p("\n| category | Sisimai | KumoMTA | PowerMTA | SparkPost | SES | SendGrid |\n| --- | --- | --- | --- | --- | --- | --- |")
	for _, c := range Categories {
		x := c.Elsewhere
		p("| `%s` | %s | %s | %s | %s | %s | %s |", c.Name, x.Sisimai, x.KumoMTA, x.PowerMTA, x.SparkPost, x.SES, x.SendGrid)
	}
	p("\n## Basic codes\n\nWhat a code is taken for where the reply's words and its enhanced code say nothing. A code that is not here counts by its\nfirst digit.\n")
	p("| code | taken for | type | meaning | source |\n| --- | --- | --- | --- | --- |")
	for _, c := range BasicCodes {
		cat := Lookup(c.Category)
		kind := cat.Permanent
		if c.Code/100 == 4 {
			kind = cat.Transient
		}
		p("| %s | `%s` | %s | %s | %s |", strconv.Itoa(int(c.Code)), c.Category, kind, c.Meaning, c.Source)
	}
	p("\n## Enhanced codes\n\nThe registry of RFC 5248. A trusted code beats vague words; the others lose to any words. A detail that is not registered\ncounts by its subject, as x.y.0 does, and proves nothing; nor do x.1.4, x.2.1 and x.4.4, which are given for much else.\n")
	p("| code | taken for | on 5.x | on 4.x | trusted | meaning | source |\n| --- | --- | --- | --- | --- | --- | --- |")
	for _, c := range EnhancedCodes {
		cat := Lookup(c.Category)
		p("| x.%s | `%s` | %s | %s | %s | %s | %s |", c.Code, c.Category, cat.Permanent, cat.Transient, map[bool]string{true: "yes"}[c.Trusted], c.Meaning, c.Source)
	}
	ways, err := NewWays()
	if err != nil {
		t.Fatal(err)
	}
	p("\n## The way back to providers\n")
	for _, w := range ways {
		p("**%s** %s: %s\n", w.Provider, strings.Join(append(append([]string(nil), w.Codes...), inCode(w.Tokens)...), ", "), w.Meaning)
		for i, s := range w.Steps {
			p("%d. %s", i+1, s)
		}
		p("\n<%s>\n", w.Page)
	}
	lists, err := NewBlocklists()
	if err != nil {
		t.Fatal(err)
	}
	p("## The way off blocklists\n\nBy the name that column `list_name` has. An entry ends when its reason does, so find that first.\n")
	p("| blocklist | named by | look up and delist | |\n| --- | --- | --- | --- |")
	for _, b := range lists {
		ended := ""
		if b.Ended != "" {
			ended = "ended in " + b.Ended
		}
		p("| %s | %s | <%s> | %s |", b.Name, strings.Join(inCode(append(append([]string(nil), b.Domains...), b.Words...)), ", "), b.Page, ended)
	}
	return append(bytes.TrimRight(b.Bytes(), "\n"), '\n')
}

func inCode(words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = "`" + strings.TrimSpace(w) + "`"
	}
	return out
}
