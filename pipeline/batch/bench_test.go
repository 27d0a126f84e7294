package batch_test

import (
	"bytes"
	"testing"

	"bounceline/parsers"
	"bounceline/pipeline/batch"
	"bounceline/pipeline/classify"
	"bounceline/pipeline/e2e/loggen"
	"bounceline/pipeline/record"
)

// BenchmarkAdd copies the rows of a generated log into a batch.
func BenchmarkAdd(b *testing.B) {
	var log bytes.Buffer
	if err := loggen.Write(&log, 20_000, 1); err != nil {
		b.Fatal(err)
	}
	p, err := parsers.NewStream(parsers.Options{})
	if err != nil {
		b.Fatal(err)
	}
	engine, err := classify.New(classify.Options{})
	if err != nil {
		b.Fatal(err)
	}
	var rows []record.Row
	for line := range bytes.Lines(log.Bytes()) {
		var r record.Result
		p.Parse(bytes.TrimSuffix(line, []byte("\n")), &r)
		for _, row := range r.Rows.All() {
			row.Class = engine.Classify(&row)
			row.Source, row.Stream = []byte("mail.log"), []byte("file-6c4bae951b8a61182b58872bf60544c5-0")
			rows = append(rows, row)
		}
	}
	all := batch.New()
	b.ReportAllocs()
	for b.Loop() {
		all.Reset()
		for i := range rows {
			all.Line(nil, 0)
			all.Add(&rows[i])
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(rows)), "ns/row")
}
