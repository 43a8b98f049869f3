-- What happened to reviews, counted where it is written, whichever process wrote it: a reaper that cron runs is gone before anybody
-- could ask it for metrics. Only grows; deleting reviews takes nothing away.
CREATE TABLE baton_counts (
  what  text NOT NULL,              -- 'completed', 'failed', 'reaped', 'reconciled'
  label text NOT NULL,              -- error code, reason or result; '' where there is none
  -- Of the session that counts, so that sessions seldom wait for each other's commits. A transaction by hand that ends reviews and stays
  -- open holds up one in sixteen all the same.
  shard int NOT NULL DEFAULT pg_backend_pid() % 16,
  count bigint NOT NULL,
  PRIMARY KEY (what, label, shard)
) WITH (fillfactor = 50);           -- updated in place

CREATE FUNCTION baton_review_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO baton_counts AS c (what, label, count)
  VALUES (NEW.status, CASE NEW.status WHEN 'failed' THEN COALESCE(NEW.error_code, '') ELSE '' END, 1)
  ON CONFLICT (what, label, shard) DO UPDATE SET count = c.count + 1;
  RETURN NULL;
END $$;

-- Claims and dispatches pay no more for it than looking at the condition.
CREATE TRIGGER code_reviews_ended
  AFTER UPDATE ON code_reviews
  FOR EACH ROW WHEN (NEW.status IN ('completed', 'failed') AND OLD.status IS DISTINCT FROM NEW.status)
  EXECUTE FUNCTION baton_review_ended();
