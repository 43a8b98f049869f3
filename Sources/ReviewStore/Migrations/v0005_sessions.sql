-- The sessions of a review's earlier attempts. A worker need not say which attempt it reports on; a late word on an earlier one is
-- then known by its session, when the row has none yet of the new attempt.
ALTER TABLE code_reviews ADD COLUMN past_session_ids text[] NOT NULL DEFAULT '{}';

CREATE FUNCTION baton_session_past() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.past_session_ids := OLD.past_session_ids || OLD.session_id;
  RETURN NEW;
END $$;

CREATE TRIGGER code_reviews_session_past
  BEFORE UPDATE ON code_reviews
  FOR EACH ROW WHEN (
    NEW.status = 'pending' AND OLD.status IN ('failed', 'cancelled') AND OLD.session_id IS NOT NULL)
  EXECUTE FUNCTION baton_session_past();
