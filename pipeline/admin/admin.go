// Package admin shows a running pipeline to the people and programs that watch it, over HTTP: whether it is alive, whether
// it is getting its rows stored, what it reads and how far, and its metrics.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// readyFor is how long the sink may refuse batches before the pipeline is no longer ready.
const readyFor = 10 * time.Second

// Status is what /status says.
type Status struct {
	Version string       `json:"version"`
	Started time.Time    `json:"started"`
	Ready   bool         `json:"ready"`
	Flows   []FlowStatus `json:"flows"`
}

// FlowStatus is what /status says of one flow.
type FlowStatus struct {
	Name      string                        `json:"name"`
	Refusing  string                        `json:"refusing,omitempty"` // how long the sink has been refusing batches
	LastError string                        `json:"last_error,omitempty"`
	Streams   []Stream                      `json:"streams,omitempty"`
	Counters  map[string]map[string]float64 `json:"counters"`
	Unread    []Unread                      `json:"not_understood,omitempty"`
}

// Unread is a reason for which lines were not understood, with the last of them.
type Unread struct {
	Reason string   `json:"reason"`
	Count  int64    `json:"count"`
	Lines  []string `json:"lines"`
}

// Reloads notes how reading configuration and rules again went. The zero value is ready: what was read at the start was good.
type Reloads struct {
	failed atomic.Bool
	last   atomic.Int64 // Unix seconds; 0 before the first
}

// Done notes a reload.
func (r *Reloads) Done(good bool, at time.Time) {
	r.failed.Store(!good)
	r.last.Store(at.Unix())
}

// pages is what is answered, shown at / to whoever opens the address in a browser.
const pages = "bounceline\n\n/status   files, positions, counters, lines that were not understood (JSON)\n/metrics  for Prometheus\n/readyz   whether batches are taken\n/healthz  whether the process lives\n"

// A Server answers /healthz, /readyz, /status and /metrics, and at / says so.
type Server struct {
	version string
	started time.Time
	flows   []Flow
	mux     *http.ServeMux
}

// New returns a server that shows the flows.
func New(version string, flows []Flow, reloads *Reloads) *Server {
	s := &Server{version: version, started: time.Now(), flows: flows, mux: http.NewServeMux()}
	registry := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "bounceline_build_info", Help: "The program's version.", ConstLabels: prometheus.Labels{"version": version}})
	build.Set(1)
	good := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "bounceline_config_last_reload_successful", Help: "Whether the last reload of configuration and rules was good."},
		func() float64 {
			if reloads.failed.Load() {
				return 0
			}
			return 1
		})
	when := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "bounceline_config_last_reload_timestamp_seconds", Help: "When configuration and rules were last reloaded; 0 before the first time."},
		func() float64 { return float64(reloads.last.Load()) })
	registry.MustRegister(newCollector(flows), build, good, when, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	s.mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	s.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "alive") })
	s.mux.HandleFunc("GET /readyz", s.ready)
	s.mux.HandleFunc("GET /status", s.status)
	s.mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, pages) })
	return s
}

// Serve answers at the address until ctx is done.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	h := &http.Server{Handler: s.mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = h.Close() })
	defer stop()
	if err := h.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Status is the state now.
func (s *Server) Status() Status {
	out := Status{Version: s.version, Started: s.started, Ready: true}
	for _, f := range s.flows {
		fs := FlowStatus{Name: f.Name, Counters: f.figures()}
		if d := f.Counts.Refused(); d > 0 {
			fs.Refusing, fs.LastError = d.Round(time.Millisecond).String(), f.Counts.LastError()
			out.Ready = out.Ready && d < readyFor
		}
		for _, k := range f.Unread.Kinds() {
			u := Unread{Reason: k.Reason, Count: k.Count}
			for _, l := range k.Lines {
				u.Lines = append(u.Lines, strings.ToValidUTF8(string(l.Line), "\uFFFD"))
			}
			fs.Unread = append(fs.Unread, u)
		}
		if f.Streams != nil {
			fs.Streams = f.Streams()
		}
		out.Flows = append(out.Flows, fs)
	}
	return out
}

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	if st := s.Status(); !st.Ready {
		for _, f := range st.Flows {
			if f.Refusing != "" {
				w.WriteHeader(http.StatusServiceUnavailable)
				fmt.Fprintf(w, "%s: the sink has refused batches for %s: %s\n", f.Name, f.Refusing, f.LastError)
				return
			}
		}
	}
	fmt.Fprintln(w, "ready")
}

func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(s.Status())
}
