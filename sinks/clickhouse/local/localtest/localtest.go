// Package localtest gives tests of other packages the local engine.
package localtest

import (
	"os"
	"path/filepath"
	"testing"

	"bounceline/sinks/clickhouse/local"
)

// Main is the TestMain of a package whose tests use [Engine]: the test binary is the engine's own process, too.
func Main(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == local.ChildCommand {
		os.Exit(local.RunChild(os.Args[2], os.Args[3]))
	}
	os.Exit(m.Run())
}

// Library is the path of the ClickHouse library that make engine installs. It panics outside of the module.
func Library() string {
	dir, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, ".engine/node_modules/@chdb/lib-linux-x64-gnu/libchdb.so")
		}
	}
	panic("there is no go.mod above the working directory")
}

// Engine starts an engine of the test's own, which ends with it.
func Engine(t testing.TB) *local.Lease {
	t.Helper()
	l, err := local.Acquire(t.Context(), t.TempDir(), Library())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}
