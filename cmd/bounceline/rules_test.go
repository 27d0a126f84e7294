package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// holds fails the test for each of the parts that a text lacks.
func holds(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q is not in\n%s", p, text)
		}
	}
}

func TestRulesCommands(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mine := write(t, filepath.Join(dir, "mine.yaml"), []byte("- id: house-filter\n  category: policy_rejected\n  any: [xyzzy house filter]\n  match: [\"550 5.7.1 Blocked by the xyzzy house filter\"]\n"+
		"- {id: second, category: spam_content, any: [xyzzy house filter two]}\n"))
	code, out, errs := call(t, "rules", "lint", mine)
	if code != exitUsage {
		t.Errorf("a shadowed rule: exit %d", code)
	}
	holds(t, errs+out, mine+":5: rule second: it can never be reached: rule house-filter at "+mine+":1 comes before it")

	mine = write(t, filepath.Join(dir, "mine.yaml"), []byte("- id: house-filter\n  category: policy_rejected\n  any: [xyzzy house filter, xyzzy house]\n"))
	code, out, _ = call(t, "rules", "lint", mine)
	if code != exitOK {
		t.Errorf("warnings: exit %d", code)
	}
	holds(t, out, mine+":1: rule house-filter: has no sample", `"xyzzy house filter" adds nothing to "xyzzy house"`, "2 warnings")

	code, out, _ = call(t, "rules", "list", "--rules", mine, "--output", "csv")
	if lines := strings.Split(out, "\n"); code != exitOK || !strings.HasPrefix(lines[1], "house-filter,policy_rejected,") {
		t.Errorf("list: exit %d, %s", code, lines[1])
	}

	code, out, _ = call(t, "rules", "show", "--rules", mine, "house-filter", "unknown-stated")
	if code != exitOK || !strings.HasPrefix(out, "# "+mine+":1, tried as number 1 of ") {
		t.Errorf("show: exit %d, %s", code, out)
	}
	holds(t, out, ", tried as number ", "\n- id: house-filter\n  category: policy_rejected\n  any: [xyzzy house filter, xyzzy house]\n\n# rules/", "\n- id: unknown-stated\n")
	if n := strings.Count(out, "\n- id: "); n != 2 {
		t.Errorf("show prints %d rules, not 2:\n%s", n, out)
	}
	if code, _, errs := call(t, "rules", "show", "unknown-statd"); code != exitUsage || !strings.Contains(errs, "did you mean unknown-stated?") {
		t.Errorf("show: exit %d, %s", code, errs)
	}

	cases := write(t, filepath.Join(dir, "cases.yaml"), []byte("- {text: 550 5.7.1 xyzzy house, rule: house-filter, bounce_type: block}\n- text: 550 5.1.1 User unknown\n  bounce_category: mailbox_full\n"))
	code, out, _ = call(t, "rules", "test", "--rules", mine, cases)
	if code != exitRuntime {
		t.Errorf("a case that fails: exit %d", code)
	}
	holds(t, out, cases+":2: 550 5.1.1 User unknown\n  - bounce_category: mailbox_full\n  + bounce_category: user_unknown\n", "2 cases, 1 not as expected")
	cases = write(t, cases, []byte("- {text: x, bounce_categry: y}"))
	if code, _, errs := call(t, "rules", "test", cases); code != exitUsage || !strings.Contains(errs, `cases.yaml:1: unknown key "bounce_categry"; did you mean "bounce_category"?`) {
		t.Errorf("a wrong case: exit %d, %s", code, errs)
	}
	cases = write(t, cases, []byte("- {text: x, bounce_type: sofft, action: reviw, confidence: txt, bounce_category: spam}"))
	code, _, errs = call(t, "rules", "test", cases)
	if code != exitUsage {
		t.Errorf("values that there are not: exit %d", code)
	}
	holds(t, errs, `cases.yaml:1: there is no type "sofft"; did you mean "soft"?`, `there is no action "reviw"; did you mean "review"?`, `there is no confidence "txt"; did you mean "text"?`, `there is no category "spam"`)
	if code, out, _ := call(t, "classify", "--rules", dir, "550 x"); code != exitUsage {
		t.Errorf("a folder with a file that holds no rules: exit %d\n%s", code, out)
	}
	if code, out, _ := call(t, "rules", "test"); code != exitOK || !strings.Contains(out, "0 cases, 0 not") {
		t.Errorf("rules test: exit %d, %s", code, out)
	}
	empty := filepath.Join(t.TempDir(), "empty.yaml")
	if err := os.WriteFile(empty, []byte("# later\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, _ := call(t, "rules", "lint", empty); code != exitOK || !strings.HasPrefix(out, empty+": no rule in it\n") {
		t.Errorf("a file without rules: exit code %d, %q", code, out)
	}
	if code, _, _ := call(t, "rules", "lnt"); code != exitUsage {
		t.Errorf("an unknown command: exit %d", code)
	}
}

// TestRulesDiff: stored failures are judged as the pipeline judged them, but for what a rule changes; nothing stored changes.
func TestRulesDiff(t *testing.T) {
	s := demoStore(t)
	if got := answer(t, s, "rules", "diff"); len(got) > 0 {
		t.Errorf("the rules that judged judge otherwise: %v", got[0])
	}
	mine := write(t, filepath.Join(t.TempDir(), "mine.yaml"), []byte("- {id: house, category: recipient_refused, any: [mailbox is full, over quota], match: [552 Mailbox is full]}\n"))
	stored := func() float64 {
		return answer(t, s, "query", "SELECT countIf(match(lower(if(remote_text != '', remote_text, response_text)), 'mailbox is full|over quota')) AS n FROM delivery_events WHERE bounce_category = 'mailbox_full'")[0]["n"].(float64)
	}
	want, changed := stored(), 0.0
	if want == 0 {
		t.Fatal("the demo has no full mailbox")
	}
	for _, c := range answer(t, s, "rules", "diff", "--rules", mine, "--category", "mailbox_full") {
		changed += c["failures"].(float64)
		if c["category_stored"] != "mailbox_full" || c["category_now"] != "recipient_refused" || c["type_now"] == "" || c["rule_now"] != "house" || c["newest_reply"] == "" {
			t.Errorf("a change is %v", c)
		}
	}
	if changed != want || stored() != want {
		t.Errorf("%v rows would change and %v are stored, want %v", changed, stored(), want)
	}
	code, _, errs := call(t, "rules", "diff", "--state-dir", s.dir, "--rules", mine, "--limit", "1", "--since", "2026-01-01")
	if code != exitOK || !strings.Contains(errs, " judged by rule set ") || !strings.Contains(errs, " otherwise than stored, in ") {
		t.Errorf("exit %d, %s", code, errs)
	}
}

func TestClassifyExplains(t *testing.T) {
	t.Parallel()
	code, out, _ := call(t, "classify", "host mx.example.org[192.0.2.1] said: 554 5.7.1 Service unavailable; Client host [198.51.100.7] blocked using zen.spamhaus.org; \x1b[31m (in reply to RCPT TO command)",
		"550 5.7.26 This mail has been blocked because the sender is unauthenticated. - gsmtp", "451 4.7.1 Greylisted, try again in 5 minutes")
	if code != exitOK {
		t.Errorf("exit %d", code)
	}
	holds(t, out, "ip_blocklisted (block): the sending address is on a blocklist", "blocklist: Spamhaus ZEN; look up and delist here: https://check.spamhaus.org/", "client host [#ip]", "»", "«", "answers:   RCPT TO", "554 transaction failed",
		"auth_failed (block)", "1. find out which check failed", "https://support.google.com/", "wait:      the reply asks for 5m0s", "elsewhere: Sisimai authfailure; KumoMTA AuthenticationFailed; ", "lost:", "rule set ")
	if strings.Contains(out, "\x1b") {
		t.Error("an escape sequence of the text reached the terminal")
	}
}

// TestClassifyStaysInStep: each line of input has its answer, whatever it holds.
func TestClassifyStaysInStep(t *testing.T) {
	long := "550 5.1.1 User unknown " + strings.Repeat("x", maxReply)
	code, out, errs := callWith(t, "550 5.1.1 User unknown\n\n"+long+"\n552 5.2.2 Mailbox full", "classify", "--output", "ndjson")
	if code != exitOK {
		t.Errorf("exit %d, %s", code, errs)
	}
	var got []string
	for line := range strings.Lines(out) {
		_, category, _ := strings.Cut(line, `"bounce_category":"`)
		category, _, _ = strings.Cut(category, `"`)
		got = append(got, category)
	}
	if want := "user_unknown other user_unknown mailbox_full"; strings.Join(got, " ") != want {
		t.Errorf("the answers are %v, not %s", got, want)
	}
	objects := "{\"text\": \"552 5.2.2 Mailbox full\", \"id\": 7}\n\n{\"txt\": \"x\", \"id\": 8}\n{\n{\"text\": \"" + long + "\"}\n{\"smtp_code\": 552}\n"
	code, out, errs = callWith(t, objects, "classify", "--input", "ndjson", "--output", "ndjson")
	if code != exitOK || strings.Count(out, "\n") != 5 {
		t.Fatalf("exit %d, %s\n%.2000s", code, errs, out)
	}
	for i, want := range []string{`{"id":7,"bounce_type":"soft","bounce_category":"mailbox_full"`, "there is nothing to classify: no text", "no object: ", "it is longer than 16777216 bytes", `"bounce_category":"mailbox_full"`} {
		if line := strings.Split(out, "\n")[i]; !strings.Contains(line, want) {
			t.Errorf("answer %d: %.300s, not %s", i, line, want)
		}
	}
}

// TestClassifyRows: rows as parse prints them get the verdict that the pipeline gives them.
func TestClassifyRows(t *testing.T) {
	t.Parallel()
	rows := `{"response_text":"550 5.1.1 User unknown","smtp_command":"MAIL FROM","id":"a"}` + "\n" +
		`{"text":"550 5.1.1 User unknown","recipient":"ann@gmail.com","id":2}` + "\n" +
		`{"text":"host gmail-smtp-in.l.google.com[142.250.1.1] said: 550 5.1.1 User unknown (in reply to RCPT TO command)"}` + "\n" +
		`{"text":"550 5.1.1 it said: host gmail-smtp-in.l.google.com[142.250.1.1] said: 550 5.1.1 User unknown"}` + "\n" +
		`{"text":"SMTP error from remote mail server after RCPT TO:<a@b.example>: host mx01.mail.icloud.com [17.56.9.31]: 550 5.1.1 User unknown","relay_host":""}` + "\n{}\n"
	code, out, errs := callWith(t, rows, "classify", "--input", "ndjson", "--output", "csv")
	if code != exitOK {
		t.Fatalf("exit %d, %s", code, errs)
	}
	lines := strings.Split(out, "\n")
	for i, want := range []string{"id,bounce_type,bounce_category,action,rule,confidence,smtp_code,enhanced_code,smtp_command,provider,list_name,retry_after,ruleset,text,error",
		"a,block,sender_rejected,fix_sender_address,unknown-coded,text,550,5.1.1,MAIL FROM,,,0,", "2,hard,user_unknown,suppress_address,unknown-coded,text,550,5.1.1,,Google,",
		",hard,user_unknown,suppress_address,unknown-coded,text,550,5.1.1,RCPT TO,Google,", ",hard,user_unknown,suppress_address,unknown-coded,text,550,5.1.1,,,",
		",hard,user_unknown,suppress_address,unknown-coded,text,550,5.1.1,RCPT TO,Apple,", ",,other,,,none,0,,,,,0,,,\"there is nothing to classify"} {
		if !strings.HasPrefix(lines[i], want) {
			t.Errorf("row %d is %s, want %s", i, lines[i], want)
		}
	}
}

func TestCodesCommand(t *testing.T) {
	t.Parallel()
	code, out, _ := call(t, "codes", "550", "5.7.26", "S3140", "x.7.999", "ip_blocklisted", "443", "525")
	if code != exitOK {
		t.Errorf("exit %d", code)
	}
	holds(t, out, "550: requested action not taken: mailbox unavailable (RFC 5321)", "5.7.26: multiple authentication checks failed (RFC 7372)", "Google 4.7.26, 5.7.26: ", "Outlook.com S3140, S3150, AS3140, AS3150: ", "its subject counts",
		"KumoMTA:    SpamBlock", "443: no document defines this code",
		"525: only named beside x.7.13, user account disabled; its first digit counts (RFC 5248)")
	if code, out, _ = call(t, "codes", "zen.spamhaus.org", "barracuda", "SORBS"); code != exitOK {
		t.Errorf("exit %d", code)
	}
	holds(t, out, "blocklist:  Spamhaus ZEN; look up and delist here: https://check.spamhaus.org/", "Barracuda; look up and delist here: https://www.barracudacentral.org/",
		"SORBS; the list ended in 2024; ask the receiver to stop using it: ")
	if code, out, _ = call(t, "codes", "microsoft 365", "550"); code != exitOK {
		t.Errorf("exit %d", code)
	}
	holds(t, out, "Microsoft 365\n  Microsoft 365 5.7.606-5.7.649: the sending address is banned", "https://learn.microsoft.com/", "where the reply's words say nothing; suppress does not take that for proof")
	if code, out, _ = call(t, "codes", "5.1.1"); code != exitOK || !strings.Contains(out, "; suppress takes that for proof\n") {
		t.Errorf("exit %d, %s", code, out)
	}
	if code, out, _ = call(t, "codes", "5.2.1", "553"); code != exitOK || strings.Count(out, "; suppress does not take that for proof\n") != 2 {
		t.Errorf("exit %d, %s", code, out)
	}
	if code, out, _ = call(t, "codes", "Bad-Mailbox", "22"); code != exitOK {
		t.Errorf("exit %d", code)
	}
	holds(t, out, "user_unknown: ", "recipient_moved: ", "mailbox_full: the mailbox is over its quota")
	if code, out, _ = call(t, "codes", "hotmail"); code != exitOK || !strings.HasPrefix(out, "Outlook.com\n") || !strings.Contains(out, "Outlook.com S3140") {
		t.Errorf("codes hotmail: exit %d\n%s", code, out)
	}
	if code, _, errs := call(t, "codes", ""); code != exitUsage || !strings.Contains(errs, `"" is neither a code`) || strings.Contains(errs, "did you mean") {
		t.Errorf("exit %d, %s", code, errs)
	}
	if code, _, errs := call(t, "codes", "user_unknwn"); code != exitUsage || !strings.Contains(errs, "did you mean user_unknown?") {
		t.Errorf("exit %d, %s", code, errs)
	}
	code, out, _ = call(t, "codes", "--output", "ndjson")
	if code != exitOK || strings.Count(out, "\n") < 150 {
		t.Errorf("exit %d, %d lines", code, strings.Count(out, "\n"))
	}
	holds(t, out, `{"kind":"enhanced","code":"x.1.1","meaning":"bad destination mailbox address","bounce_category":"user_unknown","type_on_5xx":"hard","type_on_4xx":"soft"`,
		`"sisimai":"mailboxfull","kumomta":"QuotaIssues"`, `{"kind":"provider","code":"S3140","meaning":"`, `"steps":["check the address in Smart Network Data Services"`,
		`{"kind":"blocklist","code":"Spamhaus ZEN",`, `"page":"https://check.spamhaus.org/"`)
	if code, out, _ = call(t, "codes", "--output", "csv", "450"); code != exitOK {
		t.Errorf("exit %d", code)
	}
	holds(t, out, "\nbasic,450,requested mail action not taken: mailbox unavailable,other,,soft,review,low,RFC 5321,false,Read the reply. A rule of your own can name it.,")
}
