package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// TestReportPage: the page is one well-formed file that fetches nothing, says what the screen says, and shows what a remote
// server wrote as text.
func TestReportPage(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	dir := t.TempDir()
	const evil = `550 5.1.1 User unknown <script>alert(1)</script> " onload="x" '<img src=http://evil.example/x>`
	const slowed = `421 4.7.0 <b>TSS04</b> [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume`
	var log strings.Builder
	for n := range 40 {
		line := delivery(n)
		if n%4 == 0 {
			line = strings.Replace(line, "status=sent (250 2.0.0 Ok: queued as 6D01F22A)", "status=bounced (host mx1.example.org[192.0.2.25] said: "+evil+" (in reply to RCPT TO command))", 1)
			line = strings.Replace(line, "@example.org>", "@<b\u202e>\"x\".example>", 1)
		}
		if n == 1 {
			line = strings.Replace(line, "status=sent (250 2.0.0 Ok: queued as 6D01F22A)", "status=deferred (host mx1.example.org[192.0.2.25] said: "+slowed+" (in reply to end of DATA command))", 1)
		}
		if n >= 20 {
			line = strings.Replace(line, "2026-11-22T05", fmt.Sprintf("2026-11-2%dT05", 3+n%3), 1)
		}
		log.WriteString(line)
	}
	log.WriteString("this is no log line\n")
	bounceline(t, "import", "--state-dir", s.dir, write(t, filepath.Join(dir, "mail.log"), []byte(log.String())))
	code, out, errs := call(t, "report", "--state-dir", s.dir, "--zone", "UTC", "--output", "html")
	if code != exitOK {
		t.Fatalf("exit %d, %s", code, errs)
	}
	root, err := html.Parse(strings.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	columns := 0
	var replies []string
	for n := range root.Descendants() {
		switch {
		case n.Type == html.TextNode && n.Parent.Data != "style":
			text.WriteString(n.Data)
			if n.Parent.Data == "blockquote" {
				replies = append(replies, n.Data)
			}
		case n.Type == html.ElementNode:
			switch n.Data {
			case "script", "img", "link", "iframe", "object", "form":
				t.Errorf("the page has an element %s", n.Data)
			case "div":
				if n.Parent.Type == html.ElementNode && len(n.Parent.Attr) > 0 && n.Parent.Attr[0].Val == "columns" {
					columns++
				}
			}
			for _, a := range n.Attr {
				if strings.HasPrefix(a.Key, "on") || a.Key == "src" || a.Key == "href" || strings.Contains(a.Val, "url(") {
					t.Errorf("%s has %s=%q", n.Data, a.Key, a.Val)
				}
			}
		}
	}
	for _, want := range []string{"Bounce rate 25.64 %", "Of 39 recipients whose delivery has ended, 10 did not", "zone UTC", "user_unknown", "Failures by day", "Nothing.", "41 log lines were read; 1 could not be understood: bounceline query ingested",
		"Who refuses or slows down the sending side", "rate_limited (soft)", "0 bounced, 1 deferral, 1 recipient from mx1; last ", "lower connections and rate", "https://senders.yahooinc.com/smtp-error-codes/"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the page lacks %q:\n%s", want, text.String())
		}
	}
	if len(replies) != 2 || !strings.Contains(replies[0], "User unknown <script>alert(1)</script>") || !strings.Contains(replies[1], "<b>TSS04</b>") {
		t.Errorf("replies %q", replies)
	}
	if !strings.Contains(text.String(), `<b\u202e`) || strings.Contains(text.String(), "\u202e") {
		t.Errorf("the page turns the direction of writing:\n%s", text.String())
	}
	if columns != 4 {
		t.Errorf("%d columns of 4 days", columns)
	}
	if code, _, errs := call(t, "report", "--state-dir", s.dir, "--by", "day", "--output", "html"); code != exitUsage || !strings.Contains(errs, "leave --by out") {
		t.Errorf("exit %d, %s", code, errs)
	}
}
