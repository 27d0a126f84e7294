-- Addresses to stop mailing, each with its evidence: hard bounces that the far side's words or a trustworthy code prove,
-- with no delivery to the address since.
-- param since DateTime64(3, 'UTC') = 1900-01-02: from this time on
-- param until DateTime64(3, 'UTC') = 2298-01-01: to before this time
-- param min UInt64 = 1: only with at least so many such bounces
-- param limit UInt64 = 1000000: at most so many rows
SELECT recipient,
       countIf(proof) AS hard_bounces,
       argMaxIf(bounce_category, event_time, proof) AS category,
       argMaxIf(action, event_time, proof) AS what_to_do,
       argMaxIf(confidence, event_time, proof) AS evidence,
       minIf(event_time, proof) AS first_bounce,
       maxIf(event_time, proof) AS last_bounce,
       argMaxIf(smtp_code, event_time, proof) AS code,
       argMaxIf({{reply}}, event_time, proof) AS reply
FROM
(
    SELECT *, outcome = 'bounced' AND bounce_type = 'hard' AND confidence IN ('provider', 'text', 'dsn')
              AND action IN ('suppress_address', 'suppress_domain', 'update_address') AS proof
    FROM delivery_events
    WHERE event_time >= {since:DateTime64(3, 'UTC')} AND event_time < {until:DateTime64(3, 'UTC')} AND {{counted}} AND outcome IN ('delivered', 'bounced') AND position(recipient, '@') > 0
      AND recipient IN (SELECT recipient FROM delivery_events WHERE event_time >= {since:DateTime64(3, 'UTC')} AND event_time < {until:DateTime64(3, 'UTC')} AND outcome = 'bounced' AND bounce_type = 'hard')
)
GROUP BY recipient
HAVING hard_bounces >= greatest({min:UInt64}, 1) AND last_bounce > maxIf(event_time, outcome = 'delivered')
ORDER BY last_bounce DESC, recipient
LIMIT {limit:UInt64}
