package main

import (
	"bytes"
	"context"
	"io"
	"time"

	"bounceline/parsers"
	"bounceline/pipeline/record"
	"bounceline/pipeline/source/stream"
)

// sameRows reports whether the rows stored under the stream's name agree with the content wherever the content reaches: then
// it is an earlier, shorter copy of that stream.
func (d *database) sameRows(ctx context.Context, r io.Reader, options parsers.Options, reference time.Time, name string) (bool, error) {
	p, err := parsers.NewStream(options)
	if err != nil {
		return false, err
	}
	p.SetReference(reference)
	stored, err := d.QueueIDs(ctx, name, 1<<62)
	if err != nil {
		return false, err
	}
	var res record.Result
	end, rows, equal := int64(0), 0, true
	err = stream.Each(r, func(line []byte, at, next int64) bool {
		p.Parse(bytes.TrimSuffix(line, []byte("\n")), &res)
		end = next
		if res.Class == record.Event && res.Rows.Len() > 0 {
			rows++
			equal = stored[at] == string(res.Rows.All()[0].QueueID)
		}
		return equal
	})
	if err != nil {
		return false, err
	}
	for at := range stored {
		if at < end {
			rows--
		}
	}
	return equal && rows == 0, nil
}
