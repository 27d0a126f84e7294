package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"reflect"
	"syscall"
	"time"

	"bounceline/pipeline/config"
)

// reloadOnHangup reads configuration and rules again at each SIGHUP until ctx is done. Both are checked first; what is wrong
// is said and changes nothing. Rules are exchanged while the pipeline runs; what else has changed in the configuration needs
// a restart, which is said too.
func (d *daemon) reloadOnHangup(ctx context.Context, file string) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	go func() {
		defer signal.Stop(hangup)
		for {
			select {
			case <-hangup:
				err := d.reload(file)
				d.reloads.Done(err == nil, time.Now())
				if err != nil {
					slog.Error("not reloaded; what was in force stays so", "error", err)
				}
			case <-ctx.Done():
				return
			}
		}
	}()
}

func (d *daemon) reload(file string) error {
	if file != "" {
		c, err := config.Load(file)
		if err == nil {
			err = config.InFile(file, c.Validate())
		}
		if err != nil {
			return err
		}
		if keys := changed(d.loaded, c); len(keys) > 0 {
			slog.Warn("the configuration has changed where only a restart helps", "file", file, "keys", keys)
		}
	}
	before := d.engine.Version()
	if err := d.engine.Reload(); err != nil {
		return err
	}
	slog.Info("rules reloaded", "before", before, "now", d.engine.Version())
	return nil
}

// changed names the top-level keys in which the configurations differ.
func changed(a, b config.Config) (keys []string) {
	va, vb := reflect.ValueOf(a), reflect.ValueOf(b)
	for i := range va.NumField() {
		if !reflect.DeepEqual(va.Field(i).Interface(), vb.Field(i).Interface()) {
			keys = append(keys, va.Type().Field(i).Tag.Get("yaml"))
		}
	}
	return keys
}
