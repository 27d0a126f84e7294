-- Addresses to stop mailing, each with its evidence since the last delivery to it: a hard bounce that the far side's words or a
-- trustworthy code prove, or failures of a softer kind that went on for days.
-- param since DateTime64(3, 'UTC') = 1900-01-02: from this time on
-- param until DateTime64(3, 'UTC') = 2298-01-01: to before this time
-- param confidence String = provider,text,dsn: what counts as proof; code would add bare codes, which are often wrong
-- param min UInt64 = 1: how many hard bounces are enough
-- param repeats UInt64 = 3: how many softer failures are enough
-- param days UInt64 = 3: over how many days they must go on
-- param full_days UInt64 = 14: over how many days a mailbox must be full
-- param limit UInt64 = 1000000: at most so many rows
WITH
    evidence AS
    (
        SELECT lowerUTF8(recipient) AS address, recipient, orig_recipient, event_time, queue_id, bounce_category, action, confidence, smtp_code, rule, provider, {{reply}} AS text,
               multiIf(bounce_category = 'mailbox_full', 1, outcome = 'bounced' AND bounce_type = 'hard', 3, 2) AS kind
        FROM delivery_events
        WHERE event_time >= {since:DateTime64(3, 'UTC')} AND event_time < {until:DateTime64(3, 'UTC')} AND {{counted}} AND outcome IN ('bounced', 'deferred') AND position(recipient, '@') > 0
          AND has(splitByChar(',', {confidence:String}), confidence)
          AND (bounce_category = 'mailbox_full' OR bounce_type IN ('hard', 'soft') AND action IN ('suppress_address', 'suppress_domain', 'update_address'))
    ),
    delivery AS
    (
        SELECT lowerUTF8(recipient) AS address, max(event_time) AS last_delivery
        FROM delivery_events
        WHERE event_time >= {since:DateTime64(3, 'UTC')} AND event_time < {until:DateTime64(3, 'UTC')} AND {{counted}} AND outcome = 'delivered'
          AND address IN (SELECT address FROM evidence)
        GROUP BY address
    ),
    failing AS
    (
        SELECT * FROM evidence LEFT JOIN delivery USING (address) WHERE event_time > last_delivery
    ),
    judged AS
    (
        SELECT address,
               multiIf(countIf(kind = 3) >= greatest({min:UInt64}, 1), 3,
                       countIf(kind = 2) >= {repeats:UInt64} AND dateDiff('second', minIf(event_time, kind = 2), maxIf(event_time, kind = 2)) >= 86400 * {days:UInt64}, 2,
                       countIf(kind = 1) >= {repeats:UInt64} AND dateDiff('second', minIf(event_time, kind = 1), maxIf(event_time, kind = 1)) >= 86400 * {full_days:UInt64}, 1, 0) AS decided
        FROM failing
        GROUP BY address
        HAVING decided > 0
    )
SELECT argMax(failing.recipient, event_time) AS recipient,
       ['full', 'repeated', 'hard'][decided] AS why,
       argMax(bounce_category, event_time) AS category,
       if(why = 'full', 'suppress_address', argMax(action, event_time)) AS what_to_do,
       count() AS failures,
       uniqExact(queue_id) AS messages,
       min(event_time) AS first_failure,
       max(event_time) AS last_failure,
       argMax(confidence, event_time) AS evidence,
       argMax(rule, event_time) AS rule_id,
       argMax(provider, event_time) AS provider_name,
       argMax(smtp_code, event_time) AS code,
       argMax(text, event_time) AS last_reply,
       argMax(if(lowerUTF8(orig_recipient) = address, '', orig_recipient), event_time) AS mailed_as
FROM failing INNER JOIN judged USING (address)
WHERE kind = decided
GROUP BY address, decided
ORDER BY last_failure DESC, recipient
LIMIT {limit:UInt64}
