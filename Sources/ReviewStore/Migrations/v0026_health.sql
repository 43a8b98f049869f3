-- What holds a process back, as its heartbeat reports it, so that every page, command and probe of every process says the same: its version
-- and roles, circuits, the broker's alarms, Postgres's round trip.
ALTER TABLE baton_holders ADD COLUMN health jsonb NOT NULL DEFAULT '{}';

-- How many rows of each end there are: `what` is 'rows', `label` the status. Counting the rows themselves would read the whole history. From the
-- next step on; until then the counts are those of the changes since this one.
CREATE FUNCTION baton_ended_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.status IN ('completed', 'failed', 'cancelled') THEN
    INSERT INTO baton_counts AS c (what, label, count) VALUES ('rows', NEW.status, 1)
    ON CONFLICT (what, label, shard) DO UPDATE SET count = c.count + 1;
  END IF;
  IF TG_OP = 'UPDATE' AND OLD.status IN ('completed', 'failed', 'cancelled') THEN
    INSERT INTO baton_counts AS c (what, label, count) VALUES ('rows', OLD.status, -1)
    ON CONFLICT (what, label, shard) DO UPDATE SET count = c.count - 1;
  END IF;
  RETURN NULL;
END $$;

-- Claims, leases and dispatches pay no more for it than a look at the condition.
CREATE TRIGGER code_reviews_rows_inserted
  AFTER INSERT ON code_reviews
  FOR EACH ROW WHEN (NEW.status IN ('completed', 'failed', 'cancelled'))
  EXECUTE FUNCTION baton_ended_row();

CREATE TRIGGER code_reviews_rows_updated
  AFTER UPDATE ON code_reviews
  FOR EACH ROW WHEN (OLD.status <> NEW.status
                     AND (NEW.status IN ('completed', 'failed', 'cancelled') OR OLD.status IN ('completed', 'failed', 'cancelled')))
  EXECUTE FUNCTION baton_ended_row();

CREATE FUNCTION baton_ended_rows_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO baton_counts AS c (what, label, count)
  SELECT 'rows', d.status, -count(*)
    FROM deleted d
   WHERE d.status IN ('completed', 'failed', 'cancelled')
   GROUP BY d.status
   ORDER BY d.status
  ON CONFLICT (what, label, shard) DO UPDATE SET count = c.count + EXCLUDED.count;
  RETURN NULL;
END $$;

CREATE TRIGGER code_reviews_rows_deleted
  AFTER DELETE ON code_reviews REFERENCING OLD TABLE AS deleted
  FOR EACH STATEMENT EXECUTE FUNCTION baton_ended_rows_deleted();
