package reply

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"bounceline/pipeline/record"
)

// IP agrees with net/netip, wherever the text stands.
func TestIP(t *testing.T) {
	texts := []string{"0.0.0.0", "1.2.3.4", "192.0.2.25", "255.255.255.255", "10.200.3.40", "256.1.1.1", "1.2.3", "1.2.3.4.5", "1..3.4", ".1.2.3", "1.2.3.", "1.2.3.4444", "1.2.3.a", "1./2.3.4", "1.2./.4",
		"2001:db8::25", "::1", "::ffff:192.0.2.1", "fe80::1%eth0", "", "unknown", "x.x.x.x", "1.2.3.4 ", "-1.2.3.4", "1.2.3.0x", "999.0.0.1", "1.300.0.1"}
	for a := range 256 {
		texts = append(texts, fmt.Sprintf("%d.%d.%d.%d", a, a*7%256, 255-a, a/3))
	}
	for _, text := range texts {
		want, err := netip.ParseAddr(text)
		valid := err == nil && want.Zone() == ""
		for _, behind := range []string{"", "]", "]:25, delay=2.4, delays=0.11", "99999999999", "................"} {
			line := []byte(text + behind)
			got, ok := IP(line[:len(text):cap(line)])
			if ok != valid {
				t.Errorf("%q before %q: %t, want %t", text, behind, ok, valid)
			} else if ok && got != want.As16() {
				t.Errorf("%q is %v", text, got)
			}
		}
	}
	for _, text := range append(texts, "01.2.3.4", "0001.2.3.4", "1.2.3.0004", "1.2.3.4]", "]", "1.2.3]4.5", "1.2.3.4]5", "\xb1.2.3.4") {
		for _, behind := range []string{"]:25, delay=2.4, delays=0.11", "99999]9999999999999999", "................]........", ".9]...9.]..", "]"} {
			line := []byte(text + behind)
			end := bytes.IndexByte(line, ']')
			want, ok := IP(line[:end])
			var got record.Addr
			if n := QuickIPv4(line, &got); n > 0 && (n != end || !ok || got != want) || n == 0 && got != (record.Addr{}) {
				t.Errorf("%q: %v of %d bytes, want %v", line, got, n, want)
			} else if n == 0 && ok && want[10] == 0xff && !bytes.Contains(line[:end], []byte(":")) && len(line) >= 20 {
				t.Errorf("%q is not read", line)
			}
		}
	}
	if got, ok := IP([]byte("IPv6:2001:db8::1")); !ok || got != netip.MustParseAddr("2001:db8::1").As16() {
		t.Errorf("a literal is %v, %t", got, ok)
	}
	if _, ok := IP([]byte(strings.Repeat("1", 46))); ok {
		t.Error("a long number is an address")
	}
}
