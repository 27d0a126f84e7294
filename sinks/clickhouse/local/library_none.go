//go:build noengine

package local

import "errors"

// load refuses: loading libraries needs a dynamic linker, and this build, the tag noengine, is static.
func load(string) (func(argc int32, argv **byte) int32, error) {
	return nil, errors.New("this build of bounceline loads no engine: name a ClickHouse server with --clickhouse")
}
