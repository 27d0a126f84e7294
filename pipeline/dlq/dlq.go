// Package dlq keeps the lines whose rows cannot be stored, with the reason, until somebody has mended the cause and stores
// them again; and what stands in a Kafka topic and cannot be read.
//
// The file is NDJSON, one object a line, private, bounded, and shared by the processes of a state directory. A line that was
// read twice may be in it twice; List returns it once.
package dlq

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
	"unicode/utf8"

	"bounceline/pipeline/batch"
	"bounceline/pipeline/fulldisk"
)

// maxBytes is how large the file may become, and maxUnread how large by what could not be read: strangers write that.
const (
	maxBytes  = 64 << 20
	maxUnread = maxBytes / 2
)

// errFull says that the file is as large as it may become: nothing is dropped, so storing waits until there is room.
var errFull = errors.New("the dead-letter file is full")

// An Entry is one line.
type Entry struct {
	Stream  string    `json:"stream"`
	Pos     int64     `json:"pos"`
	Index   uint64    `json:"index,omitempty"`
	Source  string    `json:"source"`
	Time    time.Time `json:"time"` // of the line
	Buried  time.Time `json:"buried"`
	Reason  string    `json:"reason"`
	RuleSet string    `json:"ruleset,omitempty"`
	Text    string    `json:"line,omitempty"`
	Bytes   []byte    `json:"line_base64,omitempty"` // instead of Text, where it is not UTF-8
	Size    int       `json:"size,omitempty"`        // of the whole, where only its head is kept
	Next    int64     `json:"next,omitempty"`        // where it ends, if not at the next position
	Unread  bool      `json:"unread,omitempty"`      // it could not be read; else its rows could not be stored
	Record  *Record   `json:"record,omitempty"`      // of a topic, that it is or was in
}

// A Record is a record of a Kafka topic.
type Record struct {
	Topic     string `json:"topic"`
	Partition int    `json:"partition"`
	Offset    int64  `json:"offset"` // -1: the brokers did not take it
	Key       []byte `json:"key_base64,omitempty"`
	KeyText   string `json:"key,omitempty"`           // instead of Key, where it is UTF-8
	Header    []byte `json:"origin_base64,omitempty"` // see package shipped
}

// Line returns the line, without its newline.
func (e *Entry) Line() []byte {
	if e.Text != "" {
		return []byte(e.Text)
	}
	return e.Bytes
}

// A File is the dead-letter file at a path. The zero value is none. It may be used concurrently.
type File struct{ Path string }

// Bury appends the lines. When it returns nil they are on disk, but for those that could not be read and for which there was no
// room: left is how many.
func (f File) Bury(lines []batch.Dead) (left int, err error) {
	var needed, unread [][]byte
	for i := range lines {
		line, err := encode(&lines[i])
		if err != nil {
			return 0, fmt.Errorf("dead letter: %w", err)
		}
		if lines[i].Unread {
			unread = append(unread, line)
		} else {
			needed = append(needed, line)
		}
	}
	err = f.locked(func() error {
		file, err := os.OpenFile(f.Path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return err
		}
		left, err = f.append(file, needed, unread)
		return errors.Join(err, file.Sync(), file.Close(), syncDir(f.Path))
	})
	return left, err
}

// encode returns the line of the file.
func encode(d *batch.Dead) ([]byte, error) {
	e := Entry{Stream: d.Stream, Pos: d.Pos, Index: d.Index, Source: d.Source, Time: time.UnixMilli(d.Time).UTC(),
		Buried: time.Now().UTC().Truncate(time.Millisecond), Reason: d.Reason, RuleSet: d.RuleSet, Size: d.Size, Next: d.Next, Unread: d.Unread}
	if d.Time <= 0 || d.Time > maxJSONTime {
		e.Time = time.Time{}
	}
	if utf8.Valid(d.Line) {
		e.Text = string(d.Line)
	} else {
		e.Bytes = d.Line
	}
	if r := d.Record; r != nil {
		e.Record = &Record{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Header: r.Header}
		if utf8.Valid(r.Key) {
			e.Record.KeyText = string(r.Key)
		} else {
			e.Record.Key = r.Key
		}
	}
	line, err := json.Marshal(e)
	return append(line, '\n'), err
}

// append writes the lines behind the last whole one. What stands behind that is of a process that was cut off: its lines were
// not acknowledged, and come again.
func (f File) append(file *os.File, needed, unread [][]byte) (left int, err error) {
	end, err := wholeLines(file)
	if err != nil {
		return 0, err
	}
	data := bytes.Join(needed, nil)
	if len(data) > 0 && end+int64(len(data)) > maxBytes {
		return 0, fmt.Errorf("%w (%s, %d MiB): mend the cause and run bounceline dlq replay, or move the file away", errFull, f.Path, maxBytes>>20)
	}
	for _, line := range unread {
		if end+int64(len(data)+len(line)) > maxUnread {
			left++
			continue
		}
		data = append(data, line...)
	}
	if len(data) == 0 {
		return left, nil
	}
	_, err = file.WriteAt(data, end)
	return left, err
}

// wholeLines returns where the last whole line ends, and cuts the file there.
func wholeLines(file *os.File) (int64, error) {
	st, err := file.Stat()
	if err != nil {
		return 0, err
	}
	end := st.Size()
	var last [4096]byte
	for end > 0 {
		part := last[:min(end, int64(len(last)))]
		if _, err := file.ReadAt(part, end-int64(len(part))); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(part, '\n'); i >= 0 {
			end -= int64(len(part) - i - 1)
			break
		}
		end -= int64(len(part))
	}
	if end == st.Size() {
		return end, nil
	}
	return end, file.Truncate(end)
}

// maxJSONTime is the last moment of the last year that JSON's stamps (RFC 3339) can hold, in Unix milliseconds.
const maxJSONTime = 253402300799999

// List returns the entries, each line once, in the order in which they came.
func (f File) List() ([]Entry, error) {
	if _, err := os.Stat(f.Path); errors.Is(err, fs.ErrNotExist) { // nor is its lock made
		return nil, nil
	}
	var out []Entry
	err := f.locked(func() (err error) {
		out, err = f.read()
		return err
	})
	return out, err
}

func (f File) read() ([]Entry, error) {
	file, err := os.Open(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var out []Entry
	at := map[key]int{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, maxBytes)
	for n := 1; lines.Scan(); n++ {
		var e Entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			if !bytes.HasSuffix(lines.Bytes(), []byte("}")) {
				continue // the rest of a line that was being written
			}
			return nil, fmt.Errorf("%s, line %d: %w", f.Path, n, err)
		}
		if i, there := at[keyOf(&e)]; there {
			out[i] = e
			continue
		}
		at[keyOf(&e)] = len(out)
		out = append(out, e)
	}
	return out, lines.Err()
}

type key struct {
	stream string
	pos    int64
	index  uint64
}

func keyOf(e *Entry) key { return key{e.Stream, e.Pos, e.Index} }

// Remove takes the entries out of the file.
func (f File) Remove(done []Entry) error {
	gone := map[key]bool{}
	for i := range done {
		gone[keyOf(&done[i])] = true
	}
	return f.locked(func() error {
		all, err := f.read()
		if err != nil {
			return err
		}
		var data bytes.Buffer
		w := json.NewEncoder(&data)
		w.SetEscapeHTML(false)
		for i := range all {
			if gone[keyOf(&all[i])] {
				continue
			}
			if err := w.Encode(all[i]); err != nil {
				return err
			}
		}
		return f.replace(data.Bytes())
	})
}

// replace puts the data in the file's place, as a whole.
func (f File) replace(data []byte) error {
	tmp := f.Path + ".new"
	file, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return errors.Join(os.Rename(tmp, f.Path), syncDir(f.Path))
}

// locked runs do while no other process does.
func (f File) locked(do func() error) error {
	lock, err := os.OpenFile(f.Path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("dead letters: %w", err)
	}
	defer lock.Close()
	for {
		err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err == nil {
		err = do()
	}
	if err != nil {
		return fmt.Errorf("dead letters: %w", fulldisk.Explain(err, f.Path))
	}
	return nil
}

func syncDir(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
