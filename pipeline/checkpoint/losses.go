package checkpoint

import (
	"crypto/rand"
	"slices"
	"strings"
)

// A Loss is the part [From, To) of a stream that was gone before it could be read, or of a content that never got a name, see
// Unnamed.
type Loss struct {
	Stream string `json:"stream"`
	From   int64  `json:"from"`
	To     int64  `json:"to"`
	Reason string `json:"reason"`
}

// maxLosses is how many losses are kept one by one. Beyond it those of one stream and reason are joined, and what is lost of
// further streams is one sum for each reason.
const maxLosses = 1000

const unnamed = "unnamed-"

// Unnamed is a new name for what is lost of a content before it could be looked up.
func Unnamed() string { return unnamed + strings.ToLower(rand.Text()) }

// Lose keeps a loss until it is told. To keep the same one again changes nothing.
func (st *State) Lose(l Loss) {
	if slices.Contains(st.Losses, l) {
		return
	}
	st.Losses = slices.Clone(st.Losses) // copies of the state share them
	if len(st.Losses) < maxLosses {
		st.Losses = append(st.Losses, l)
		return
	}
	for i := range st.Losses {
		if x := &st.Losses[i]; x.Stream == l.Stream && x.Reason == l.Reason {
			x.From, x.To = min(x.From, l.From), max(x.To, l.To) // what is stored between them is known to be
			return
		}
	}
	for i := maxLosses; i < len(st.Losses); i++ {
		if x := &st.Losses[i]; x.Reason == l.Reason {
			x.To += l.To - l.From
			return
		}
	}
	st.Losses = append(st.Losses, Loss{Stream: Unnamed(), To: l.To - l.From, Reason: l.Reason})
}

// Account notes that what is lost of the stream before the position is counted.
func (st *State) Account(stream string, to int64) {
	for i := range st.Streams {
		if x := &st.Streams[i]; x.Name == stream {
			x.Lost = max(x.Lost, to)
		}
	}
}

// Told forgets losses that somebody else keeps by now. What was joined with one of them meanwhile is kept.
func (st *State) Told(losses []Loss) {
	st.Losses = slices.DeleteFunc(slices.Clone(st.Losses), func(l Loss) bool { return slices.Contains(losses, l) })
}
