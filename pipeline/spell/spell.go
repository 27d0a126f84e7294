// Package spell is about words for people: what a mistyped one may have meant, and which form goes with a number.
package spell

import "strings"

// distance is the number of insertions, deletions and replacements of bytes that make a into b, both short.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j]+1, row[j+1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

// Nearest is the name that a mistyped word may have meant, capitals aside: the one of the smallest distance, where that is at
// most a third of the word (or one), or the first one that begins with the word. It is empty where none is near.
func Nearest(word string, names []string) string {
	word = strings.ToLower(word)
	best, least := "", 1+max(1, len(word)/3)
	for _, name := range names {
		n := strings.ToLower(name)
		d := distance(word, n)
		if strings.HasPrefix(n, word) {
			d = min(d, 1)
		}
		if d < least {
			best, least = name, d
		}
	}
	return best
}
