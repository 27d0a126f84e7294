-- Everything that happened to one address, however its capitals are written, newest first.
-- param recipient String: the address, as logged or as it was before aliases
-- param limit UInt64 = 200: at most so many rows
SELECT event_time, host, queue_id, sender, recipient, orig_recipient, relay, event_type, outcome, bounce_type, bounce_category,
       smtp_code, enhanced_code, confidence, delay, response_text
FROM delivery_events
WHERE lower({recipient:String}) IN (lower(recipient), lower(orig_recipient))
ORDER BY event_time DESC, pos DESC, row DESC
LIMIT {limit:UInt64}
