-- Why mail bounced or expired: each category with its share, how many recipients it hit, and one real reply.
-- param since DateTime64(3, 'UTC') = 1900-01-02: from this time on
-- param until DateTime64(3, 'UTC') = 2298-01-01: to before this time
-- param limit UInt64 = 50: at most so many rows
WITH sum(failures) OVER () AS everything
SELECT bounce_category,
       bounce_type,
       count() AS failures,
       round(100 * failures / everything, 2) AS share,
       uniq(recipient) AS recipients,
       topKIf(1)(provider, provider != '')[1] AS most_at,
       max(event_time) AS last_seen,
       argMax({{reply}}, event_time) AS example
FROM delivery_events
WHERE event_time >= {since:DateTime64(3, 'UTC')} AND event_time < {until:DateTime64(3, 'UTC')} AND {{counted}} AND outcome IN ('bounced', 'expired')
GROUP BY bounce_category, bounce_type
ORDER BY failures DESC, bounce_category, bounce_type
LIMIT {limit:UInt64}
