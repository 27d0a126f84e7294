package kafka

import (
	"encoding/json"

	"bounceline/pipeline"
)

// maxMetadata is how many bytes a broker keeps with a committed offset (offset.metadata.max.bytes).
const maxMetadata = 4096

// A metadata is what the group keeps with a partition's committed offset.
type metadata struct {
	Version     int     `json:"v"`
	Incarnation int     `json:"i"`           // of the topic, see incarnation
	Marker      string  `json:"m,omitempty"` // of the record before the offset
	Intent      *intent `json:"t,omitempty"` // the batch that may be in flight
}

// An intent is a sealed batch whose fate is not known to be settled. Whoever gets the partition makes it again exactly so.
type intent struct {
	From   int64  `json:"f"`
	To     int64  `json:"t"`
	Anchor string `json:"a,omitempty"` // see batch.Range
}

func (i *intent) span() pipeline.Span {
	if i == nil {
		return pipeline.Span{}
	}
	return pipeline.Span{From: i.From, To: i.To}
}

const metadataVersion = 1

// encode returns the text for the broker. An anchor for which there is no room is left out: the ledger's ranges before the
// intent lead to the same state.
func (m metadata) encode() string {
	m.Version = metadataVersion
	data, err := json.Marshal(m)
	if err == nil && len(data) > maxMetadata && m.Intent != nil {
		bare := *m.Intent
		bare.Anchor = ""
		m.Intent = &bare
		data, err = json.Marshal(m)
	}
	if err != nil { // nothing in it can fail to be encoded
		panic(err)
	}
	return string(data)
}

// decode reads the text. It reports false for what somebody else has written, such as a tool that resets offsets.
func decode(text string) (metadata, bool) {
	var m metadata
	if err := json.Unmarshal([]byte(text), &m); err != nil || m.Version != metadataVersion || m.Incarnation < 0 {
		return metadata{}, false
	}
	if t := m.Intent; t != nil && (t.From < 0 || t.To <= t.From) {
		return metadata{}, false
	}
	return m, true
}
