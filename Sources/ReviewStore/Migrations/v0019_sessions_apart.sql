-- A review continues no session of another owner. A session that no review here had is one from before Baton, and is passed on.

-- By this the session is found, at an insert and at a lease. Written once a review, by a callback that changes its status as well.
CREATE INDEX code_reviews_session ON code_reviews (session_id) WHERE session_id IS NOT NULL;

CREATE FUNCTION baton_review_continues() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
  IF EXISTS (
    SELECT 1 FROM code_reviews s
     WHERE s.session_id = NEW.previous_session_id AND (s.owner_type <> NEW.owner_type OR s.owner_id <> NEW.owner_id)
  ) AND NOT EXISTS (
    SELECT 1 FROM code_reviews s
     WHERE s.session_id = NEW.previous_session_id AND s.owner_type = NEW.owner_type AND s.owner_id = NEW.owner_id
       AND s.id <> NEW.id
  ) THEN
    RAISE EXCEPTION 'review continues a session which belongs to another owner'
      USING ERRCODE = 'check_violation', CONSTRAINT = 'code_reviews_session', TABLE = 'code_reviews',
            COLUMN = 'previous_session_id', HINT = 'Leave it NULL, or name a session of the review''s owner';
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER code_reviews_inserted_continues
  AFTER INSERT ON code_reviews
  FOR EACH ROW WHEN (NEW.previous_session_id IS NOT NULL)
  EXECUTE FUNCTION baton_review_continues();

CREATE TRIGGER code_reviews_continues
  AFTER UPDATE ON code_reviews
  FOR EACH ROW WHEN (
    NEW.previous_session_id IS NOT NULL
    AND (NEW.previous_session_id IS DISTINCT FROM OLD.previous_session_id OR NEW.owner_id <> OLD.owner_id
      OR NEW.owner_type <> OLD.owner_type))
  EXECUTE FUNCTION baton_review_continues();
