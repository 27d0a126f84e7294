package reply

import "bounceline/pipeline/record"

// Number reads the digits that a field begins with, 0 if there are none. What is larger than 2^50 is cut.
func Number(b []byte) uint64 {
	n := uint64(0)
	for _, c := range b {
		if c < '0' || c > '9' || n > 1<<50 {
			break
		}
		n = n*10 + uint64(c-'0')
	}
	return n
}

// Duration reads the seconds of "1d2h3m4s", "59s" and "0.123s", units from weeks down. It is record.Unknown if the text is no
// such thing.
func Duration(b []byte) float32 {
	total, n, scale, digits := 0.0, 0.0, 0.0, false
	for _, c := range b {
		switch {
		case '0' <= c && c <= '9':
			digits = true
			if scale > 0 {
				n += float64(c-'0') * scale
				scale /= 10
			} else {
				n = n*10 + float64(c-'0')
			}
			continue
		case c == '.' && scale == 0:
			scale = 0.1
			continue
		}
		unit := 0.0
		switch c {
		case 'w':
			unit = 7 * 24 * 3600
		case 'd':
			unit = 24 * 3600
		case 'h':
			unit = 3600
		case 'm':
			unit = 60
		case 's':
			unit = 1
		}
		if unit == 0 || !digits {
			return record.Unknown
		}
		total, n, scale, digits = total+n*unit, 0, 0, false
	}
	if len(b) == 0 || digits || scale > 0 {
		return record.Unknown
	}
	return float32(total)
}
