-- Everything that happened to one address, newest first.
-- param recipient String: the address, as logged or as it was before aliases
-- param limit UInt64 = 200: at most so many rows
SELECT event_time, host, queue_id, sender, recipient, orig_recipient, relay, event_type, outcome, bounce_type, bounce_category,
       smtp_code, enhanced_code, confidence, delay, response_text
FROM delivery_events
WHERE recipient = {recipient:String} OR orig_recipient = {recipient:String}
ORDER BY event_time DESC, pos DESC, row DESC
LIMIT {limit:UInt64}
