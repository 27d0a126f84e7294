-- One message by its queue ID: every attempt, oldest first, with the hops before and after it where the reply named them.
-- param queue_id String: the queue ID, as logged
-- param limit UInt64 = 1000: at most so many rows
SELECT event_time, host, queue_id, next_queue_id, sender, recipient, relay, event_type, outcome, bounce_category, smtp_code,
       enhanced_code, delay, response_text
FROM delivery_events
WHERE queue_id = {queue_id:String}
   OR next_queue_id = {queue_id:String}
   OR queue_id IN (SELECT next_queue_id FROM delivery_events WHERE queue_id = {queue_id:String} AND next_queue_id != '')
ORDER BY event_time, stream, pos, row
LIMIT {limit:UInt64}
