package envelope

import "bytes"

// copied returns what follows the marks that tools and people put before a line they show: "mail-1  | " (docker compose),
// "mail.log:" and "/var/log/mail.log:417:" (grep), "> " and "- " (quotations). It returns nil where none is there.
func copied(line []byte) []byte {
	if rest := bytes.TrimLeft(line, ">|*-$#`'\" \t"); len(rest) < len(line) {
		return rest
	}
	for i := 0; i < len(line) && i < 256; i++ {
		switch line[i] {
		case '|':
			if i > 0 && i+1 < len(line) && line[i-1] == ' ' && line[i+1] == ' ' {
				return skipSpace(line[i+1:])
			}
		case ':', '-':
			if rest := afterNumber(line[i+1:]); len(candidates(rest)) > 0 && begins(rest) {
				return rest
			}
		}
	}
	return nil
}

// afterNumber skips grep's blanks and line number, "417:" or "417-", which may follow the file's name.
func afterNumber(b []byte) []byte {
	n := 0
	for n < len(b) && n < 9 && digit(b[n]) {
		n++
	}
	if n > 0 && n < len(b) && (b[n] == ':' || b[n] == '-') && begins(skipSpace(b[n+1:])) {
		return skipSpace(b[n+1:])
	}
	return skipSpace(b)
}

// begins reports whether a stamp, a priority or an object begins here.
func begins(b []byte) bool {
	switch {
	case len(b) < 16:
		return false
	case b[0] == '{', b[0] == '<':
		return true
	case digit(b[0]):
		return b[4] == '-' && b[7] == '-' && (b[10] == 'T' || b[10] == ' ')
	}
	return monthOf(b) != 0 && b[3] == ' '
}

// container reads what a container runtime puts between its stamp and the text: "stdout F " and "stderr P " (the Container
// Runtime Interface's log format).
func container(b []byte) (text []byte, partial, ok bool) {
	if len(b) < 9 || b[0] != 's' || b[1] != 't' || b[2] != 'd' || b[6] != ' ' || b[7] != 'F' && b[7] != 'P' {
		return nil, false, false
	}
	end := bytes.IndexByte(b[7:], ' ')
	if end < 0 {
		return nil, false, false
	}
	return b[7+end+1:], b[7] == 'P', true
}
