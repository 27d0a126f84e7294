//go:build !faults

package fault

// At does nothing: faults happen in test builds only.
func At(string) error { return nil }

// Environment names no variables: faults happen in test builds only.
var Environment []string
