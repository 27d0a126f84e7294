-- Bounce rate of each day, in the zone.
-- param since DateTime64(3, 'UTC') = 1900-01-02: from this time on
-- param until DateTime64(3, 'UTC') = 2298-01-01: to before this time
-- param zone Zone = : time zone of the days
SELECT toDate(event_time, {zone:String}) AS day,
       {{rates "1"}}
FROM delivery_events
WHERE event_time >= {since:DateTime64(3, 'UTC')} AND event_time < {until:DateTime64(3, 'UTC')} AND {{counted}}
GROUP BY day
ORDER BY day
