package main

import (
	"context"
	"log/slog"
	"path/filepath"

	"bounceline/pipeline"
	"bounceline/pipeline/admin"
	"bounceline/pipeline/source/journal"
	"bounceline/sinks/clickhouse"
)

// journal follows systemd's journal, with a checkpoint of its own.
func (d *daemon) journal(ctx context.Context) (flow, error) {
	j := d.config.Journal
	if !j.Follow {
		return flow{}, nil
	}
	options, err := j.Options()
	if err != nil {
		return flow{}, usagef("journal: %v", err)
	}
	store, err := openCheckpoint(filepath.Join(d.db.StateDir, "journal.checkpoint"), "another bounceline run follows the journal with "+d.db.StateDir)
	if err != nil {
		return flow{}, err
	}
	store.WhenFull(waitForRoom(ctx))
	d.opened = append(d.opened, store)
	r := journal.New(journal.Config{Directory: j.Directory, Source: "journal", Parser: options, Ledger: d.db, Store: store, Buffers: d.buffers,
		Retryable: clickhouse.Retryable, Log: slog.Default()})
	runner := pipeline.NewRunner(d.runner(store))
	counters := func() []admin.Counter {
		return []admin.Counter{{Name: "journal_gaps_total", Value: r.Gaps.Load()}}
	}
	return flow{name: "journal", run: driven(r.Run, runner), counts: runner.Counts, unread: runner.Unread, counters: counters}, nil
}
