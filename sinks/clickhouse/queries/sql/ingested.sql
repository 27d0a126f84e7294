-- What has been stored, by source: lines read and what they were, and rows.
SELECT source,
       uniq(stream) AS streams,
       sum(lines) AS read,
       sum(event_lines) AS events,
       sum(context) AS context_lines,
       sum(other) AS other_lines,
       sum(malformed) AS not_understood,
       sum(rows) AS stored_rows,
       max(written) AS last_written
FROM ingest_batches FINAL
WHERE lines > 0
GROUP BY source
ORDER BY source
