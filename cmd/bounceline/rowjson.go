package main

import (
	"math"
	"net/netip"
	"strconv"
	"time"
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
		return append(append(append(dst, '"'), formatAddr(c.Address(row))...), '"')
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

// formatAddr writes an address as people do: "" for none, IPv4 dotted.
func formatAddr(a record.Addr) string {
	if a == (record.Addr{}) {
		return ""
	}
	return netip.AddrFrom16(a).Unmap().String()
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

// appendString appends v as a JSON string (RFC 8259, section 7); invalid UTF-8 becomes U+FFFD.
func appendString(dst, v []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(v); {
		switch b := v[i]; {
		case b == '"' || b == '\\':
			dst = append(dst, '\\', b)
			i++
		case b < 0x20 || b == 0x7f:
			dst = append(dst, '\\', 'u', '0', '0', hex[b>>4], hex[b&15])
			i++
		case b < utf8.RuneSelf:
			dst = append(dst, b)
			i++
		default:
			r, n := utf8.DecodeRune(v[i:])
			dst = utf8.AppendRune(dst, r)
			i += n
		}
	}
	return append(dst, '"')
}
