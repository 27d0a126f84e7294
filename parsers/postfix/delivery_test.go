package postfix

import (
	"fmt"
	"testing"
)

// A delay of seven digits at most is the float32 next to it: what is multiplied is as right as what is divided.
func TestSeconds(t *testing.T) {
	check := func(text string, want float32) {
		if got, n := seconds([]byte(text + "/0.38, dsn=2.0.0")); got != want || n != len(text) {
			t.Fatalf("%s is %v of %d bytes, want %v", text, got, n, want)
		}
	}
	step := 1
	for n := 0; n < 10_000_000; n += step {
		check(fmt.Sprint(n), float32(n))
		for k, power := 1, 10; k <= 6; k, power = k+1, power*10 {
			if text := fmt.Sprintf("%d.%0*d", n/power, k, n%power); len(text) <= 8 {
				check(text, float32(float64(n)/float64(power)))
			}
		}
		if n == 2000 {
			step = 97
		}
	}
	if got, n := seconds([]byte("x.5/0.38, dsn=2.0.0")); got == got || n != len("x.5/0.38") {
		t.Errorf("no number is %v of %d bytes", got, n)
	}
}
