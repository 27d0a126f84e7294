-- Replies to failed tries that were never seen before a time, alike ones together: what has changed out there.
-- param since DateTime64(3, 'UTC') = 7d: first seen from this time on
-- param limit UInt64 = 50: at most so many rows
SELECT min(event_time) AS first_seen,
       if(provider != '', provider, relay_host) AS from_whom,
       {{shape}} AS shape,
       count() AS events,
       argMax(bounce_category, event_time) AS category,
       argMax({{reply}}, event_time) AS example
FROM delivery_events
WHERE event_type IN ('attempt', 'expiration') AND outcome IN ('deferred', 'bounced', 'expired') AND {{reply}} != ''
GROUP BY from_whom, shape
HAVING first_seen >= {since:DateTime64(3, 'UTC')}
ORDER BY events DESC, first_seen, from_whom, shape
LIMIT {limit:UInt64}
