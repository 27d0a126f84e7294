//go:build !noengine

package local

import (
	"fmt"

	"github.com/ebitengine/purego"
)

// load loads the engine's library and returns its main function.
func load(library string) (func(argc int32, argv **byte) int32, error) {
	handle, err := purego.Dlopen(library, purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", library, err)
	}
	var main func(argc int32, argv **byte) int32
	purego.RegisterLibFunc(&main, handle, "chdb_query_cmdline")
	return main, nil
}
