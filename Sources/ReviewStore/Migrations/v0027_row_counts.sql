-- The rows from before the last step. One statement, so one snapshot: in it, whatever was counted since is taken off, so that no writer has to
-- wait. A shard of its own, which no session has: no count waits for this one.
INSERT INTO baton_counts (what, label, shard, count)
SELECT 'rows', status, 16, COALESCE(r.rows, 0) - COALESCE(c.counted, 0)
  FROM (SELECT r.status, count(*) AS rows
          FROM code_reviews r
         WHERE r.status IN ('completed', 'failed', 'cancelled')
         GROUP BY r.status) r
  FULL JOIN (SELECT b.label AS status, sum(b.count) AS counted
               FROM baton_counts b
              WHERE b.what = 'rows'
              GROUP BY b.label) c USING (status);
