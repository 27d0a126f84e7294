-- Streams that are being taken out: all before to_pos that was stored by the time. A row goes when that is done.
CREATE TABLE IF NOT EXISTS ingest_removals
(
    stream      String,
    to_pos      UInt64,
    stored      DateTime64(3, 'UTC'),
    first_event DateTime64(3, 'UTC'),
    last_event  DateTime64(3, 'UTC')
)
ENGINE = MergeTree
ORDER BY stream;
