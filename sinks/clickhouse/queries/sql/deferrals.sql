-- Where mail waits: recipients whose last outcome is a deferral, by domain and reason, with the longest delay and one reply.
-- param since DateTime64(3, 'UTC') = 1900-01-02: from this time on
-- param until DateTime64(3, 'UTC') = 2298-01-01: to before this time
-- param limit UInt64 = 50: at most so many rows
SELECT recipient_domain,
       argMax(last.2, last.1) AS mailbox_provider,
       last.3 AS bounce_category,
       count() AS waiting,
       sum(tries) AS deferrals,
       max(longest) AS longest_delay_seconds,
       max(last.1) AS last_try,
       argMax(last.4, last.1) AS example
FROM
(
    SELECT host, queue_id, recipient, any(recipient_domain) AS recipient_domain,
           countIf(outcome = 'deferred') AS tries,
           max(delay) AS longest,
           argMax(outcome, (event_time, pos, row)) AS last_outcome,
           argMax((event_time, provider, bounce_category, {{reply}}), (event_time, pos, row)) AS last
    FROM delivery_events
    WHERE event_time >= {since:DateTime64(3, 'UTC')} AND event_time < {until:DateTime64(3, 'UTC')} AND event_type IN ('attempt', 'expiration', 'suspended') AND internal_hop = 0
      AND queue_id IN (SELECT queue_id FROM delivery_events WHERE event_time >= {since:DateTime64(3, 'UTC')} AND event_time < {until:DateTime64(3, 'UTC')} AND outcome = 'deferred')
    GROUP BY host, queue_id, recipient
    HAVING last_outcome = 'deferred'
)
GROUP BY recipient_domain, bounce_category
ORDER BY waiting DESC, recipient_domain, bounce_category
LIMIT {limit:UInt64}
