package reply

import "testing"

// TestCode: the codes of the RFC, and those of failures with a second digit of the servers' own.
func TestCode(t *testing.T) {
	for text, want := range map[string]uint16{
		"250 ok": 250, "354": 354, "421-a": 421, `450\n`: 450, "554 no": 554, "471 4.7.1 limits": 471, "571 blocked": 571, "599 no": 599,
		"260 no": 0, "360": 0, "650 no": 0, "150 no": 0, "55": 0, "5500": 0, "550.": 0, "5a0 no": 0, "": 0,
	} {
		if got := Code([]byte(text)); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

// TestLinesOfOtherCodes: the last line decides, but a number in a line that says more would follow is no line.
func TestLinesOfOtherCodes(t *testing.T) {
	for text, want := range map[string]uint16{
		"450-4.5.3 bob@example.com has sent to 300 recipients": 450, "451-graylisted, try again in 300 seconds": 451, "550-5.7.1 sent 500 mails today": 550,
		"250-2.1.5 fine 550 5.1.1 no": 550, "450-4.2.0 full 550 5.2.2 full": 550, "550-no 550 really": 550,
	} {
		if code, _ := Parse([]byte(text), " "); code != want {
			t.Errorf("%q: %d, want %d", text, code, want)
		}
	}
}

// TestRepeatedCode: some servers begin a reply with its code twice.
func TestRepeatedCode(t *testing.T) {
	for text, want := range map[string]string{
		"550 550 5.1.1 User unknown": "5.1.1", "550 550 #5.1.0 Address rejected": "5.1.0", "550 5.7.1 550 5.1.1 x": "5.7.1", "550 551 5.1.1 x": "", "550 550": "", "550 550 ": "",
	} {
		if code, enhanced := Parse([]byte(text), " "); code != 550 || string(enhanced) != want {
			t.Errorf("%q: %d %q, want %q", text, code, enhanced, want)
		}
	}
}
