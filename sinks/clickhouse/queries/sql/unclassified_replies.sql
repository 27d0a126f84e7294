-- Failure replies that no rule understood, alike ones together, the most frequent first: material for rules.
-- param since DateTime64(3, 'UTC') = 1900-01-02: from this time on
-- param until DateTime64(3, 'UTC') = 2298-01-01: to before this time
-- param limit UInt64 = 50: at most so many rows
SELECT smtp_code,
       enhanced_code,
       {{shape}} AS shape,
       count() AS events,
       uniq(recipient_domain) AS domains,
       max(event_time) AS last_seen,
       argMax({{reply}}, event_time) AS example
FROM delivery_events
WHERE event_time >= {since:DateTime64(3, 'UTC')} AND event_time < {until:DateTime64(3, 'UTC')} AND event_type IN ('attempt', 'expiration') AND outcome IN ('deferred', 'bounced', 'expired') AND bounce_category = 'other'
GROUP BY smtp_code, enhanced_code, shape
ORDER BY events DESC, smtp_code, enhanced_code, shape
LIMIT {limit:UInt64}
