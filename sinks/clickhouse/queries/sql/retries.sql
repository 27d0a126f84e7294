-- What became of mail that was deferred: how much was delivered after all and how long that took, by provider.
-- param since DateTime64(3, 'UTC') = 1900-01-02: from this time on
-- param until DateTime64(3, 'UTC') = 2298-01-01: to before this time
-- param limit UInt64 = 50: at most so many rows
SELECT if(last_provider = '', '(no known provider)', last_provider) AS mailbox_provider,
       count() AS deferred,
       countIf(fate = 'delivered') AS delivered_later,
       countIf(fate IN ('bounced', 'expired')) AS given_up,
       countIf(fate = 'deferred') AS waiting,
       round(100 * delivered_later / deferred, 2) AS delivered_percent,
       round(avg(tries), 1) AS tries_each,
       round(medianExactIf(assumeNotNull(waited), fate = 'delivered' AND isNotNull(waited)), 1) AS median_delay_seconds
FROM
(
    SELECT host, queue_id, recipient,
           argMax(provider, (event_time, pos, row)) AS last_provider,
           argMax(outcome, (event_time, pos, row)) AS fate,
           argMax(delay, (event_time, pos, row)) AS waited,
           countIf(outcome = 'deferred') AS tries
    FROM delivery_events
    WHERE event_time >= {since:DateTime64(3, 'UTC')} AND event_time < {until:DateTime64(3, 'UTC')} AND {{counted}}
      AND queue_id IN (SELECT queue_id FROM delivery_events WHERE event_time >= {since:DateTime64(3, 'UTC')} AND event_time < {until:DateTime64(3, 'UTC')} AND outcome = 'deferred')
    GROUP BY host, queue_id, recipient
    HAVING tries > 0
)
GROUP BY mailbox_provider
ORDER BY deferred DESC, mailbox_provider
LIMIT {limit:UInt64}
