package main

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"bounceline/pipeline/record"
)

// appendRow appends a row's columns as the members of a JSON object, without its braces, named and valued as in the
// table: flags are 0 or 1, an unknown delay is null, an absent address is "".
func appendRow(dst []byte, row *record.Row) []byte {
	for i := range record.Columns {
		c := &record.Columns[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, '"'), c.Name...), `":`...)
		dst = appendValue(dst, c, row)
	}
	return dst
}

func appendValue(dst []byte, c *record.Column, row *record.Row) []byte {
	switch c.Kind {
	case record.Text, record.Word:
		v := c.Bytes(row)
		if c.Lower {
			v = lowerASCII(v)
		}
		return appendString(dst, v)
	case record.Enum:
		return appendString(dst, []byte(c.Values[c.Number(row)]))
	case record.Float:
		v := float64(c.Real(row))
		if math.IsNaN(v) {
			return append(dst, "null"...)
		}
		return strconv.AppendFloat(dst, v, 'g', -1, 32)
	case record.IP:
		dst = append(dst, '"')
		if a := c.Address(row); a != (record.Addr{}) {
			dst = netip.AddrFrom16(a).Unmap().AppendTo(dst)
		}
		return append(dst, '"')
	case record.Millis:
		dst = append(dst, '"')
		dst = time.UnixMilli(int64(c.Number(row))).UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z")
		return append(dst, '"')
	case record.Int32:
		return strconv.AppendInt(dst, int64(int32(uint32(c.Number(row)))), 10)
	default:
		return strconv.AppendUint(dst, c.Number(row), 10)
	}
}

func lowerASCII(v []byte) []byte {
	for i, b := range v {
		if 'A' <= b && b <= 'Z' {
			out := append([]byte(nil), v...)
			for ; i < len(out); i++ {
				if 'A' <= out[i] && out[i] <= 'Z' {
					out[i] += 'a' - 'A'
				}
			}
			return out
		}
	}
	return v
}

// appendString appends v as a JSON string (RFC 8259, section 7); invalid UTF-8 becomes U+FFFD. What a terminal must not see, as escapeTerminal
// has it, is written as an escape, which is the same text to whoever reads JSON.
func appendString(dst, v []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	plain := 0 // from here on nothing needs to be escaped
	for i := 0; i < len(v); {
		b := v[i]
		if verbatim[b] {
			i++
			continue
		}
		dst = append(dst, v[plain:i]...)
		switch {
		case b == '"' || b == '\\':
			dst = append(dst, '\\', b)
			i++
		case b < utf8.RuneSelf:
			dst = append(dst, '\\', 'u', '0', '0', hex[b>>4], hex[b&15])
			i++
		default:
			r, n := utf8.DecodeRune(v[i:])
			dst = appendEscaped(dst, r)
			i += n
		}
		plain = i
	}
	return append(append(dst, v[plain:]...), '"')
}

// verbatim is which bytes stand for themselves in a JSON string.
var verbatim = func() (t [256]bool) {
	for c := byte(0x20); c < 0x7f; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// escapeJSON does to JSON of others what appendString does: what a terminal would obey becomes an escape. Outside of strings there is nothing of
// the kind.
func escapeJSON(data []byte) []byte {
	out := make([]byte, 0, len(data))
	for len(data) > 0 {
		r, n := utf8.DecodeRune(data)
		if r == '\n' || r == '\t' {
			out = append(out, byte(r))
		} else {
			out = appendEscaped(out, r)
		}
		data = data[n:]
	}
	return out
}

// appendEscaped appends a character of a JSON string, as an escape if a terminal would obey it.
func appendEscaped(dst []byte, r rune) []byte {
	switch high, low := utf16.EncodeRune(r); {
	case !unsafeRune(r, utf8.RuneLen(r)):
		return utf8.AppendRune(dst, r)
	case r < 0x10000:
		return fmt.Appendf(dst, `\u%04x`, r)
	default:
		return fmt.Appendf(dst, `\u%04x\u%04x`, high, low)
	}
}
