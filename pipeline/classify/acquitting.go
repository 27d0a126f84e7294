package classify

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// newAcquitting reads configs/acquitting.yaml: words of things that are no recipient.
func newAcquitting(data []byte) ([]string, error) {
	var words []string
	if err := yaml.Unmarshal(data, &words); err != nil {
		return nil, fmt.Errorf("acquitting.yaml: %w", err)
	}
	var errs []error
	for i, w := range words {
		switch {
		case strings.TrimSpace(w) == "" || w != strings.ToLower(w):
			errs = append(errs, fmt.Errorf("acquitting.yaml: %q is empty or has capitals", w))
		case slices.ContainsFunc(words[:i], func(o string) bool { return strings.Contains(w, o) }):
			errs = append(errs, fmt.Errorf("acquitting.yaml: %q holds one before it", w))
		}
	}
	return words, errors.Join(errs...)
}

// asksFor reports whether the rule asks for one of the words itself, so that it knows what it is said of.
func (r *Rule) asksFor(words []string) bool {
	for _, asked := range [][]string{r.Any, r.With, r.All} {
		for _, literal := range asked {
			if slices.ContainsFunc(words, func(w string) bool { return strings.Contains(literal, w) }) {
				return true
			}
		}
	}
	return false
}
