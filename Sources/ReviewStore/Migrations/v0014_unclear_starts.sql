-- How often this attempt may have been started without an answer that says so: a call of the worker with an unknown outcome, or a lease that
-- ended while its holder had the review. Above 0 the worker is asked before it is called, and the review stays queued, so that callbacks
-- of a run that Baton has not heard of still count.
ALTER TABLE code_reviews ADD COLUMN unclear_starts int NOT NULL DEFAULT 0;

CREATE FUNCTION baton_unclear_cleared() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.unclear_starts := 0;
  RETURN NEW;
END $$;

CREATE TRIGGER code_reviews_unclear_cleared
  BEFORE UPDATE ON code_reviews
  FOR EACH ROW WHEN (OLD.unclear_starts > 0 AND NEW.status = 'pending')
  EXECUTE FUNCTION baton_unclear_cleared();
