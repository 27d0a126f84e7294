package spell

import "fmt"

// Count writes a number with the word for one or for many: 1 line, 0 lines.
func Count[N ~int | ~int64 | ~uint64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
