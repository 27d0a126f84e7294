-- The ledger: a row says that all of [from_pos, to_pos) of the stream is stored. It repeats harmlessly.
CREATE TABLE IF NOT EXISTS ingest_batches
(
    stream            String,
    from_pos          UInt64,
    to_pos            UInt64,
    marker            String,
    batch_id          String,
    source            LowCardinality(String),
    via               String,
    anchor            String,
    lines             UInt64,
    event_lines       UInt64,
    rows              UInt64,
    dead_lines        UInt64,
    context           UInt64,
    other             UInt64,
    malformed         UInt64,
    first_event_month UInt32,
    last_event_month  UInt32,
    written           DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY (stream, from_pos, to_pos, via)
SETTINGS non_replicated_deduplication_window = 100000;
