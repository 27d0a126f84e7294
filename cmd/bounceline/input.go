package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"bounceline/pipeline/source/content"
	"bounceline/pipeline/spell"
)

// An input is a finished file, or standard input, that can be read from its start more than once.
type input struct {
	path     string
	modified time.Time
	growing  bool   // it may still be written: its last line counts only with its newline
	head     []byte // what names it; nil where it is empty
	read     []byte // all that was read to find the head
	size     int64  // of the content, decompressed; -1 as long as it is not known
	onDisk   int64  // of the file itself; 0 for standard input

	file  *content.File // at the content's start
	spool *os.File      // holds standard input if it had to be read twice
	state string
}

func (im *importer) open(path string) (*input, error) {
	in := &input{path: path, modified: time.Now(), size: -1, state: im.state}
	var err error
	if path == "-" {
		in.file, err = content.Decode(im.stdin)
	} else {
		var st os.FileInfo
		if st, err = os.Stat(path); err == nil {
			in.modified, in.onDisk = st.ModTime(), st.Size()
			in.growing = time.Since(in.modified) < settled
			in.file, err = content.Open(path)
		}
	}
	if err != nil {
		return nil, err
	}
	if in.head, in.read, err = content.ReadHead(in.file); err != nil {
		in.close()
		return nil, fmt.Errorf("read: %w", err)
	}
	if in.file.Compression == "" && path != "-" {
		in.size = in.onDisk
	}
	in.file.Reader = content.WithHead(in.read, in.file.Reader)
	return in, nil
}

// cutShort says of the error of a compressed file that ends in the middle what became of its lines.
func cutShort(err error, done string) error {
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	return fmt.Errorf("%w: the compressed file is cut short; the lines before that are %s, the others when it is read whole", err, done)
}

// markers reads the content to its end, for the marker at each position and its size.
func (in *input) markers(at []int64) (map[int64]string, error) {
	if err := in.keep(); err != nil {
		return nil, err
	}
	if err := in.rewind(); err != nil {
		return nil, err
	}
	found, err := content.MarkersOf(in.file, at)
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	_, err = in.length()
	return found, err
}

// length is the size of the content, decompressed.
func (in *input) length() (int64, error) {
	if in.size >= 0 {
		return in.size, nil
	}
	if err := in.keep(); err != nil {
		return 0, err
	}
	if err := in.rewind(); err != nil {
		return 0, err
	}
	n, err := io.Copy(io.Discard, in.file)
	if err != nil {
		return 0, fmt.Errorf("read: %w", err)
	}
	in.size = n
	return n, nil
}

// keep writes standard input to a file in the state directory, so that it can be read again. The file has no name.
func (in *input) keep() error {
	if in.path != "-" || in.spool != nil {
		return nil
	}
	f, err := os.CreateTemp(in.state, "stdin-")
	if err != nil {
		return err
	}
	os.Remove(f.Name())
	in.spool = f
	if _, err := io.Copy(f, in.file); err != nil {
		return fmt.Errorf("keep standard input in %s: %w", in.state, err)
	}
	return nil
}

// rewind goes back to the content's start. Standard input that has not been kept is still there.
func (in *input) rewind() error {
	switch {
	case in.spool != nil:
		if _, err := in.spool.Seek(0, io.SeekStart); err != nil {
			return err
		}
		f, err := content.Decode(in.spool)
		in.file = f
		return err
	case in.path == "-":
		return nil
	}
	in.file.Close()
	f, err := content.Open(in.path)
	if err != nil {
		return err
	}
	in.file = f
	head, read, err := content.ReadHead(f)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if !bytes.HasPrefix(head, in.head) { // the head of a file that is being written may have been less than a line
		return errors.New("it was rotated or cut while it was looked at: name it again, and its copies")
	}
	f.Reader = content.WithHead(read, f.Reader)
	return nil
}

func (in *input) close() {
	if in.file != nil {
		in.file.Close()
	}
	if in.spool != nil {
		in.spool.Close()
	}
}

// showProgress draws a bar on a terminal until the function that it returns is called.
func (im *importer) showProgress(in *input) (stop func()) {
	f, ok := im.progress.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return func() {}
	}
	total := in.onDisk
	if total == 0 {
		total = -1
	}
	bar := progressbar.NewOptions64(total, progressbar.OptionSetWriter(f), progressbar.OptionShowBytes(true),
		progressbar.OptionClearOnFinish(), progressbar.OptionFullWidth(), progressbar.OptionSetPredictTime(true),
		progressbar.OptionThrottle(100*time.Millisecond))
	done, finished := make(chan struct{}), make(chan struct{})
	begun, lines := time.Now(), im.runner.Counts.Lines.Load()
	go func() {
		defer close(finished)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				_ = bar.Finish()
				return
			case <-tick.C:
				c := im.runner.Counts
				rate := float64(c.Lines.Load()-lines) / time.Since(begun).Seconds()
				bar.Describe(fmt.Sprintf("%s  %.0f lines/s  %s", escapeTerminal([]byte(sourceName(in.path))), rate, spell.Count(c.Rows.Load(), "row", "rows")))
				_ = bar.Set64(in.file.BytesIn())
			}
		}
	}()
	return func() { close(done); <-finished }
}
