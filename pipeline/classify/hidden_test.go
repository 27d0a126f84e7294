package classify

import "testing"

// TestHidden: addresses that people and pages do not show, as they write them.
func TestHidden(t *testing.T) {
	for text, want := range map[string]string{
		"550 <[email protected]>: User unknown":                                       "550 <xxx@xxx.xxx>: User unknown",
		"550 [email\u00a0protected] unknown":                                          "550 xxx@xxx.xxx unknown",
		"550 <a***@****.com>: unknown, ****.example.org[***.***.***.***] refused":     "550 <axxx@xxxx.com>: unknown, xxxx.example.org[xxx.xxx.xxx.xxx] refused",
		"550 <*****>: Recipient address rejected":                                     "550 <xxx@xxx.xxx>: Recipient address rejected",
		"550 ann (at) example.org, bob[at]example[dot]org and cid_AT_example.org":     "550 xxx@xxx.xxx, xxx@xxx.xxx and xxx@xxx.xxx",
		"550 ann at example dot org unknown":                                          "550 xxx@xxx.xxx unknown",
		"550 look at example.org, the dot in it":                                      "550 look at example.org, the dot in it",
		"550 Mail from [IP] refused, client host [your IP address], %ip%":             "550 Mail from x.x.x.x refused, client host x.x.x.x, x.x.x.x",
		"550 no <e-mail address> {{email}} %recipient%":                               "550 no <xxx@xxx.xxx> <xxx@xxx.xxx> <xxx@xxx.xxx>",
		"550 your IP address and [zip] are no [tip]":                                  "550 your IP address and [zip] are no [tip]",
		"550 rfc822;ann@example.org unknown, ann@example.org<mailto:ann@example.org>": "550 ann@example.org unknown, ann@example.org",
		"** 550 5.1.1** no, **5.1.1** of ann@example.org":                             "** 550 5.1.1** no, **5.1.1** of ann@example.org",
		"**550 The address is not valid.** Why":                                       "**550 The address is not valid.** Why",
		"<** 550 a.b":                                                                 "<** 550 a.b",
	} {
		if got := hidden(text); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
