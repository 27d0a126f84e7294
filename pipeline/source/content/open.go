// Package content reads finished files whatever their compression and knows a file by what is in it: the same bytes
// renamed, compressed or read by another command have one name.
package content

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"bounceline/pipeline/batch"
)

// maxWindow bounds the memory of a decoder: the largest window that zstd and xz use unless asked for more by hand.
const maxWindow = 64 << 20

// A File is a finished file or standard input, decompressed while it is read.
type File struct {
	io.Reader
	Compression string // "", gzip, zstd, xz or bzip2, found by content

	raw    *countingReader
	closer []io.Closer
}

// BytesIn returns how many bytes of the file itself, before decompression, have been read. It may be called while
// another goroutine reads.
func (f *File) BytesIn() int64 { return f.raw.n.Load() }

// Close releases decoder and file.
func (f *File) Close() error {
	var errs []error
	for i := len(f.closer) - 1; i >= 0; i-- {
		errs = append(errs, f.closer[i].Close())
	}
	return errors.Join(errs...)
}

// Open opens a file that is finished, or will be read to its present end. Directories and devices are refused. A read fails
// where the file has been cut meanwhile, and perhaps filled anew.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: there is no such file", path)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%s: this user may not read it (on many systems the group adm may read mail logs)", path)
	case err != nil:
		return nil, err
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	if st.IsDir() {
		f.Close()
		return nil, fmt.Errorf("%s is a directory: name the log files in it, for example %s/mail.log*", path, path)
	}
	var r io.Reader = f
	if st.Mode().IsRegular() {
		r = &steady{file: f}
	}
	out, err := decode(r)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	out.closer = append([]io.Closer{f}, out.closer...)
	return out, nil
}

// A steady file is read from its beginning, and each read makes sure that what stands before it is still what was read.
type steady struct {
	file   *os.File
	at     int64
	before []byte // the last bytes that were read
	check  [batch.MarkerBytes]byte
}

func (s *steady) Read(p []byte) (int, error) {
	n, err := s.file.Read(p)
	before := s.check[:len(s.before)] // looked at after the read: it tells about all that came before it
	if _, err := s.file.ReadAt(before, s.at-int64(len(before))); err != nil || !bytes.Equal(before, s.before) {
		return 0, errors.New("it was cut while it was read: name it again, and its copies")
	}
	s.at += int64(n)
	s.before = batch.AppendTail(s.before, p[:n])
	return n, err
}

// Decode reads from r, which stays the caller's to close, and decompresses what it finds.
func Decode(r io.Reader) (*File, error) { return decode(r) }

func decode(r io.Reader) (*File, error) {
	counted := &countingReader{r: r}
	buffered := bufio.NewReaderSize(counted, 32<<10) // small: reads into larger buffers go past it
	f := &File{raw: counted}
	head, err := buffered.Peek(6)
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}): // RFC 1952, section 2.3.1
		f.Compression = "gzip"
		z, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
		f.Reader, f.closer = z, append(f.closer, z)
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}), // RFC 8878, section 3.1.1
		len(head) >= 4 && head[0]&0xf0 == 0x50 && bytes.Equal(head[1:4], []byte{0x2a, 0x4d, 0x18}): // skippable frame
		f.Compression = "zstd"
		z, err := zstd.NewReader(buffered, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, fmt.Errorf("zstd: %w", err)
		}
		f.Reader, f.closer = z, append(f.closer, closerFunc(func() error { z.Close(); return nil }))
	case bytes.HasPrefix(head, []byte("\xfd7zXZ\x00")): // The .xz File Format, section 2.1.1.1
		f.Compression = "xz"
		if err := checkXZ(buffered); err != nil {
			return nil, err
		}
		z, err := xz.NewReader(buffered)
		if err != nil {
			return nil, fmt.Errorf("xz: %w", err)
		}
		f.Reader = z
	case bytes.HasPrefix(head, []byte("BZh")):
		f.Compression = "bzip2"
		f.Reader = bzip2.NewReader(buffered)
	default:
		f.Reader = buffered
	}
	return f, nil
}

// checkXZ refuses a dictionary over maxWindow before the decoder allocates it. The size stands in the first block
// header's LZMA2 filter (The .xz File Format, sections 3.1 and 5.3.1); a header that is laid out otherwise is left to the
// decoder, which reports it.
func checkXZ(r *bufio.Reader) error {
	const streamHeader = 12
	head, _ := r.Peek(streamHeader + 64)
	if len(head) < streamHeader+6 {
		return nil
	}
	block := head[streamHeader:]
	at := 2 // after block size and flags
	for _, flag := range []byte{0x40, 0x80} {
		if block[1]&flag == 0 {
			continue
		}
		for at < len(block) && block[at]&0x80 != 0 { // compressed or uncompressed size, variable length
			at++
		}
		at++
	}
	if block[1]&0x03 != 0 || at+2 >= len(block) || block[at] != 0x21 {
		return nil
	}
	bits := block[at+2] & 0x3f
	if bits > 40 {
		return nil
	}
	size := uint64(2|bits&1) << (bits/2 + 11)
	if bits == 40 {
		size = 1<<32 - 1
	}
	if size > maxWindow {
		return fmt.Errorf("xz: needs a dictionary of %d MiB, more than the %d MiB allowed: decompress it first",
			size>>20, maxWindow>>20)
	}
	return nil
}

type countingReader struct {
	r io.Reader
	n atomic.Int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}

type closerFunc func() error

func (f closerFunc) Close() error { return f() }
