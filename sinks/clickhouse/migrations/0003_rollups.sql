-- Every row of delivery_events is in each rollup, so that the sums of events equal its count.
CREATE TABLE IF NOT EXISTS rollup_domain_hourly
(
    hour             DateTime('UTC'),
    recipient_domain LowCardinality(String),
    provider         LowCardinality(String),
    host             LowCardinality(String),
    event_type       Enum8('attempt' = 1, 'suspended' = 2, 'expiration' = 3, 'probe' = 4, 'discard' = 5, 'suppressed' = 6, 'autoreply' = 7),
    outcome          Enum8('delivered' = 1, 'deferred' = 2, 'bounced' = 3, 'expired' = 4, 'other' = 5),
    internal_hop     UInt8,
    bounce_type      LowCardinality(String),
    bounce_category  LowCardinality(String),
    events           SimpleAggregateFunction(sum, UInt64)
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(hour)
ORDER BY (hour, recipient_domain, provider, host, event_type, outcome, internal_hop, bounce_type, bounce_category)
SETTINGS non_replicated_deduplication_window = 100000;

CREATE MATERIALIZED VIEW IF NOT EXISTS rollup_domain_hourly_mv TO rollup_domain_hourly AS
SELECT toStartOfHour(toDateTime(event_time, 'UTC')) AS hour, recipient_domain, provider, host, event_type, outcome, internal_hop, bounce_type,
       bounce_category, count() AS events
FROM delivery_events
GROUP BY hour, recipient_domain, provider, host, event_type, outcome, internal_hop, bounce_type, bounce_category;

CREATE TABLE IF NOT EXISTS rollup_sender_hourly
(
    hour          DateTime('UTC'),
    sender_domain LowCardinality(String),
    event_type    Enum8('attempt' = 1, 'suspended' = 2, 'expiration' = 3, 'probe' = 4, 'discard' = 5, 'suppressed' = 6, 'autoreply' = 7),
    outcome       Enum8('delivered' = 1, 'deferred' = 2, 'bounced' = 3, 'expired' = 4, 'other' = 5),
    internal_hop  UInt8,
    bounce_type   LowCardinality(String),
    events        SimpleAggregateFunction(sum, UInt64)
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(hour)
ORDER BY (hour, sender_domain, event_type, outcome, internal_hop, bounce_type)
SETTINGS non_replicated_deduplication_window = 100000;

CREATE MATERIALIZED VIEW IF NOT EXISTS rollup_sender_hourly_mv TO rollup_sender_hourly AS
SELECT toStartOfHour(toDateTime(event_time, 'UTC')) AS hour, sender_domain, event_type, outcome, internal_hop, bounce_type, count() AS events
FROM delivery_events
GROUP BY hour, sender_domain, event_type, outcome, internal_hop, bounce_type;
