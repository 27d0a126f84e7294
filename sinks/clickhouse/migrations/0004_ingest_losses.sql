-- What was lost of a stream before it could be read, and why, as far as it is known. The ledger says of none of it that it is stored.
CREATE TABLE IF NOT EXISTS ingest_losses
(
    stream   String,
    from_pos UInt64,
    to_pos   UInt64,
    reason   LowCardinality(String),
    noticed  DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
ORDER BY (stream, from_pos, to_pos);
