-- Who refuses us rather than the recipient, or slows us down: provider or relay, blocklist, sending host and reason, with one real reply.
-- param since DateTime64(3, 'UTC') = 1900-01-02: from this time on
-- param until DateTime64(3, 'UTC') = 2298-01-01: to before this time
-- param limit UInt64 = 50: at most so many rows
SELECT {{refuser}} AS refused_by,
       list_name,
       host AS mail_host,
       bounce_category,
       countIf(outcome = 'bounced') AS bounced,
       countIf(outcome = 'deferred') AS deferrals,
       min(event_time) AS first_seen,
       max(event_time) AS last_seen,
       argMax({{reply}}, event_time) AS example
FROM delivery_events
WHERE event_time >= {since:DateTime64(3, 'UTC')} AND event_time < {until:DateTime64(3, 'UTC')} AND {{counted}} AND {{refused}}
GROUP BY refused_by, list_name, mail_host, bounce_category
ORDER BY bounced + deferrals DESC, refused_by, list_name, mail_host, bounce_category
LIMIT {limit:UInt64}
