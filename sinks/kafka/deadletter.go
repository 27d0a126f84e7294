package kafka

import (
	"encoding/json"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"bounceline/pipeline/shipped"
)

// DeadLetters counts the lines that were kept because the brokers refused them.
type DeadLetters struct{ Lines atomic.Int64 }

// A letter is a line of the file of dead letters.
type letter struct {
	Time      time.Time `json:"time"`
	Topic     string    `json:"topic"`
	Partition int       `json:"partition"`
	Source    string    `json:"source"`
	Stream    string    `json:"stream"`
	From      int64     `json:"from"`
	To        int64     `json:"to"`
	Reason    string    `json:"reason"`
	Raw       string    `json:"raw,omitempty"`        // the line, if it is UTF-8
	RawBase64 []byte    `json:"raw_base64,omitempty"` // else its bytes
}

// write appends a line to the file at path; it is durable when write returns nil.
func (d *DeadLetters) write(path, topic string, partition int, header, value []byte, reason error) error {
	o, err := shipped.Parse(header)
	if err != nil {
		return err
	}
	l := letter{Time: time.Now().UTC(), Topic: topic, Partition: partition, Source: o.Source, Stream: o.Stream, From: o.From, To: o.To, Reason: reason.Error()}
	if utf8.Valid(value) {
		l.Raw = string(value)
	} else {
		l.RawBase64 = value
	}
	data, err := json.Marshal(l)
	if err != nil {
		return err
	}
	if err := appendDurably(path, append(data, '\n')); err != nil {
		return err
	}
	d.Lines.Add(1)
	return nil
}

// appendDurably appends to a file that only this process writes, or leaves it as it was.
func appendDurably(path string, data []byte) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Truncate(st.Size())
		}
	}()
	if _, err := f.WriteAt(data, st.Size()); err != nil {
		return err
	}
	if err := f.Sync(); err != nil || st.Size() > 0 {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
