-- What is done by hand in psql is put right here as well, so that no statement has to expect it.

-- A claim that does not say when it was made: made now. (The condition was NULL for one, which let it pass.)
DROP TRIGGER code_reviews_changed ON code_reviews;
CREATE TRIGGER code_reviews_changed
  BEFORE UPDATE ON code_reviews
  FOR EACH ROW WHEN (
    OLD.status IS DISTINCT FROM NEW.status
    AND NOT (OLD.status = 'pending' AND NEW.status = 'queued' AND COALESCE(NEW.claimed_at = NEW.updated_at, false)))
  EXECUTE FUNCTION baton_review_changed();

CREATE FUNCTION baton_review_claimed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.claimed_at := now();
  RETURN NEW;
END $$;

CREATE TRIGGER code_reviews_inserted_claimed
  BEFORE INSERT ON code_reviews
  FOR EACH ROW WHEN (NEW.status = 'queued' AND NEW.claimed_at IS NULL)
  EXECUTE FUNCTION baton_review_claimed();

UPDATE code_reviews SET claimed_at = now() WHERE status = 'queued' AND claimed_at IS NULL;

-- An owner with reviews on their way has a row, without which nothing of his is claimed: who deletes it gets the defaults back.
CREATE FUNCTION baton_owners_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO review_owners (owner_type, owner_id)
  SELECT d.owner_type, d.owner_id
    FROM deleted d
   WHERE EXISTS (
     SELECT 1 FROM code_reviews r
      WHERE r.owner_type = d.owner_type AND r.owner_id = d.owner_id AND r.status IN ('pending', 'queued', 'running'))
   ORDER BY 1, 2
  ON CONFLICT DO NOTHING;
  IF FOUND THEN NOTIFY baton_pending; END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER review_owners_deleted
  AFTER DELETE ON review_owners REFERENCING OLD TABLE AS deleted
  FOR EACH STATEMENT EXECUTE FUNCTION baton_owners_deleted();

-- And who has none when an ended review starts again, gets one.
CREATE FUNCTION baton_review_restarted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO review_owners (owner_type, owner_id) VALUES (NEW.owner_type, NEW.owner_id) ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;

CREATE TRIGGER code_reviews_restarted
  AFTER UPDATE ON code_reviews
  FOR EACH ROW WHEN (NEW.status = 'pending' AND OLD.status IN ('failed', 'cancelled'))
  EXECUTE FUNCTION baton_review_restarted();

INSERT INTO review_owners (owner_type, owner_id)
SELECT DISTINCT owner_type, owner_id FROM code_reviews WHERE status IN ('pending', 'queued', 'running')
ON CONFLICT DO NOTHING;
