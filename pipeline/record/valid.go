package record

// The stamps that the tables can hold: their hours are 32-bit Unix times (ClickHouse's DateTime).
const (
	minTime = 0
	maxTime = (1<<32 - 1) * 1000
)

// Invalid says why the row cannot be stored, or nothing where it can. Text of any bytes and length can.
func (r *Row) Invalid() string {
	switch {
	case r.EventTime < minTime || r.EventTime > maxTime:
		return "its time is not between 1970 and 2106"
	case int(r.EventType) >= len(EventTypes) || EventTypes[r.EventType] == "":
		return "its event type is none that there is"
	case int(r.Outcome) >= len(Outcomes) || Outcomes[r.Outcome] == "":
		return "its outcome is none that there is"
	}
	return ""
}
