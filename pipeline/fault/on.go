//go:build faults

package fault

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Variable holds the faults that are to happen: "POINT=ACTION@N", separated by commas. ACTION is kill, fail, or a duration
// to wait; it happens when the point is reached the N'th time.
const Variable = "BOUNCELINE_FAULTS"

// Environment names variables that are handed on to the local engine, which has no others: they put the shim of package
// pipeline/e2e/shim before its files.
var Environment = []string{"LD_PRELOAD", "BOUNCELINE_SHIM"}

type planned struct {
	action string
	nth    int
}

var (
	mu      sync.Mutex
	reached = map[string]int{}
	plan    = sync.OnceValue(func() map[string]planned {
		out := map[string]planned{}
		for _, f := range strings.Split(os.Getenv(Variable), ",") {
			point, rest, _ := strings.Cut(f, "=")
			action, nth, _ := strings.Cut(rest, "@")
			n, err := strconv.Atoi(nth)
			if f != "" && err != nil {
				panic(fmt.Sprintf("%s: %q is not POINT=ACTION@N", Variable, f))
			}
			out[point] = planned{action, n}
		}
		return out
	})
)

// At is called where the process reaches the point. It returns an error if the point is to fail.
func At(point string) error {
	mu.Lock()
	reached[point]++
	n := reached[point]
	mu.Unlock()
	p, ok := plan()[point]
	if !ok || p.nth != n {
		return nil
	}
	switch p.action {
	case "kill":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "fail":
		return fmt.Errorf("fault at %s", point)
	}
	d, err := time.ParseDuration(p.action)
	if err != nil {
		panic(fmt.Sprintf("%s: %q is neither kill nor fail nor a duration", Variable, p.action))
	}
	time.Sleep(d)
	return nil
}
