// Package fulldisk says of errors whether a disk had no room, and what to do then.
package fulldisk

import (
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
)

// Is reports whether the error says that a disk, or somebody's share of it, is full: that passes when somebody makes room.
func Is(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// Explain adds to such an error where room is needed to write the file at path. It returns any other as it is.
func Explain(err error, path string) error {
	if !Is(err) {
		return err
	}
	return fmt.Errorf("%w (the disk that holds %s is full: free some space there; what is stored stays stored)", err, filepath.Dir(path))
}
