-- Bounce rate of each mailbox provider, those with the most failures first; what has no known provider is one row.
-- param since DateTime64(3, 'UTC') = 1900-01-02: from this time on
-- param until DateTime64(3, 'UTC') = 2298-01-01: to before this time
-- param min UInt64 = 1: only where at least so many recipients have a final outcome
-- param limit UInt64 = 50: at most so many rows
SELECT if(provider = '', '(no known provider)', provider) AS mailbox_provider, uniq(recipient_domain) AS domains,
       {{rates "1"}}
FROM delivery_events
WHERE event_time >= {since:DateTime64(3, 'UTC')} AND event_time < {until:DateTime64(3, 'UTC')} AND {{counted}}
GROUP BY mailbox_provider
HAVING delivered + bounced + expired >= {min:UInt64}
ORDER BY bounced + expired DESC, bounce_rate DESC, mailbox_provider
LIMIT {limit:UInt64}
