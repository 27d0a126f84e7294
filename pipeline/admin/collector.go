package admin

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"bounceline/pipeline"
)

// A Flow is a source and its runner, as they are shown.
type Flow struct {
	Name     string
	Counts   *pipeline.Counts
	Unread   *pipeline.Unread
	Counters func() []Counter // what the source counts itself; optional
	Streams  func() []Stream  // what it reads; optional
}

// A Counter is one figure of a source.
type Counter struct {
	Name   string // one of the families' names below, without prefix
	Reason string // its label, where the family has one
	Value  int64
}

// A Stream is the state of one content that is read.
type Stream struct {
	Name     string    `json:"stream"`
	Path     string    `json:"path"`
	Position int64     `json:"position"` // stored before it
	Size     int64     `json:"size"`     // of the file now; -1 where it is not at the path any longer
	Seen     time.Time `json:"seen"`
}

// Lag is how many bytes are not stored yet, or 0 where that is not known.
func (s Stream) Lag() int64 { return max(0, s.Size-s.Position) }

// A family is a metric: its name, help and labels. All are counters but those that say so.
type family struct {
	name, help string
	label      string // beside flow
	gauge      bool
}

// families are all metrics, but build_info.
var families = []family{
	{"lines_total", "Log lines read, by what they were.", "result", false},
	{"other_lines_total", "Lines that are no delivery, by kind.", "kind", false},
	{"malformed_lines_total", "Lines that could not be read, by reason.", "reason", false},
	{"cut_lines_total", "Lines longer than the limit, of which only the head was read.", "", false},
	{"rows_total", "Rows made of the lines.", "", false},
	{"batches_total", "Batches stored.", "", false},
	{"insert_retries_total", "Inserts that were tried again.", "", false},
	{"context_bytes_total", "Bytes read again for context only.", "", false},
	{"context_evictions_total", "Messages forgotten before they were done, for want of room.", "", false},
	{"rotations_total", "Files that were rotated while they were followed.", "", false},
	{"truncations_total", "Files that were cut while they were followed.", "", false},
	{"vanished_files_total", "Files that were gone before they were read to their end; how much was lost is not known.", "", false},
	{"lost_bytes_total", "Bytes that could not be read any more, by reason.", "reason", false},
	{"deleted_files_bytes", "Disk space of deleted files that are held open until they are stored.", "", true},
	{"journal_gaps_total", "Entries of the journal that were not there any more, or may not be read, when they were to be read.", "", false},
	{"source_lag_bytes", "Bytes of the followed files that are not stored yet.", "", true},
	{"kafka_records_total", "Records read from Kafka, by what was in them.", "content", false},
	{"kafka_repeated_lines_total", "Shipped lines that had passed before.", "", false},
	{"kafka_strange_lines_total", "Shipped lines that were not stored, and are not what is stored under their stream's name: see the log.", "", false},
	{"kafka_known_events_total", "Shipped events that had been read directly: they are not stored again.", "", false},
	{"kafka_parted_streams_total", "Shipped streams that were taken for one that had been read directly, until they went on otherwise.", "", false},
	{"kafka_bad_records_total", "Records, or whole batches of them, that cannot be read, by reason.", "reason", false},
	{"kafka_newer_origins_total", "Shipped lines whose header is of a newer version: they are stored as the topic's own.", "", false},
	{"kafka_skipped_offsets_total", "Offsets of Kafka's topics that were to be read and were not, by reason.", "reason", false},
	{"kafka_generations_total", "Generations of the consumer group that this member was in.", "", false},
	{"kafka_reconnects_total", "Times that reading a partition went on with a new connection.", "", false},
	{"kafka_fenced_batches_total", "Batches given up because their partition went to another member.", "", false},
	{"kafka_lag_records", "Records of a partition that were not read yet.", "partition", true},
	{"dead_letters_total", "Lines and records that were put aside, see bounceline dlq: refused, or unreadable.", "reason", false},
	{"dead_letters_dropped_total", "Of the unreadable ones, those that were not kept: there was no room.", "", false},
	{"streams", "Contents that are followed.", "", true},
	{"sink_refusing_seconds", "How long the sink has been refusing batches; 0 while it takes them.", "", true},
}

// A collector reads the figures when it is asked: counting costs the pipeline nothing more.
type collector struct {
	flows []Flow
	descs map[string]*prometheus.Desc
}

func newCollector(flows []Flow) *collector {
	c := &collector{flows: flows, descs: map[string]*prometheus.Desc{}}
	for _, f := range families {
		labels := []string{"flow"}
		if f.label != "" {
			labels = append(labels, f.label)
		}
		c.descs[f.name] = prometheus.NewDesc("bounceline_"+f.name, f.help, labels, nil)
	}
	return c
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, f := range families {
		out <- c.descs[f.name]
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	for _, f := range c.flows {
		values := f.figures()
		for _, fam := range families {
			kind := prometheus.CounterValue
			if fam.gauge {
				kind = prometheus.GaugeValue
			}
			for label, v := range values[fam.name] {
				labels := []string{f.Name}
				if fam.label != "" {
					labels = append(labels, label)
				}
				out <- prometheus.MustNewConstMetric(c.descs[fam.name], kind, v, labels...)
			}
		}
	}
}

// figures are the flow's values by family and label.
func (f Flow) figures() map[string]map[string]float64 {
	out := map[string]map[string]float64{}
	set := func(name, label string, v float64) {
		if out[name] == nil {
			out[name] = map[string]float64{}
		}
		out[name][label] += v
	}
	n := f.Counts
	set("lines_total", "event", float64(n.Events.Load()))
	set("lines_total", "context", float64(n.Context.Load()))
	set("lines_total", "other", float64(n.Other.Load()))
	set("lines_total", "malformed", float64(n.Malformed.Load()))
	for kind, v := range n.Kinds() {
		class, name, _ := strings.Cut(kind, ": ")
		set(class+"_lines_total", name, float64(v))
	}
	set("cut_lines_total", "", float64(n.Cut.Load()))
	set("rows_total", "", float64(n.Rows.Load()))
	set("batches_total", "", float64(n.Batches.Load()))
	set("insert_retries_total", "", float64(n.Retries.Load()))
	set("dead_letters_total", "refused", float64(n.Dead.Load()))
	set("dead_letters_total", "unreadable", float64(n.Unread.Load()))
	set("dead_letters_dropped_total", "", float64(n.Dropped.Load()))
	set("context_bytes_total", "", float64(n.Quiet.Load()))
	set("kafka_known_events_total", "", float64(n.Elsewhere.Load()))
	set("kafka_parted_streams_total", "", float64(n.Parted.Load()))
	set("context_evictions_total", "", float64(n.Evicted.Load()))
	set("sink_refusing_seconds", "", n.Refused().Seconds())
	if f.Counters != nil {
		for _, c := range f.Counters() {
			set(c.Name, c.Reason, float64(c.Value))
		}
	}
	if f.Streams != nil {
		lag, streams := int64(0), f.Streams()
		for _, s := range streams {
			lag += s.Lag()
		}
		set("source_lag_bytes", "", float64(lag))
		set("streams", "", float64(len(streams)))
	}
	return out
}
