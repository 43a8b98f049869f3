-- A review that goes back to pending keeps its place among its owner's reviews.
--
-- `available_at` said both when a pending review is due and when its turn comes. So a review that a target's outage had sent back was due in some
-- seconds, but behind all that its owner had submitted since, and an owner with a limit of one could let it wait for minutes.
-- `place_at` is the time by which it has its turn. It is NULL as long as that is `available_at`: before a review is postponed, and after it had to wait for
-- a target of its own. A new attempt gets a new place.

ALTER TABLE code_reviews ADD COLUMN place_at timestamptz;

CREATE OR REPLACE FUNCTION baton_review_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  was_active bool := OLD.status IN ('queued', 'running');
  is_allowed bool;
BEGIN
  is_allowed := CASE OLD.status
    WHEN 'pending' THEN NEW.status IN ('queued', 'cancelled', 'failed')
    WHEN 'queued' THEN NEW.status IN ('pending', 'running', 'completed', 'failed', 'cancelled')
    WHEN 'running' THEN NEW.status IN ('completed', 'failed', 'cancelled')
    WHEN 'failed' THEN NEW.status = 'pending'
    WHEN 'cancelled' THEN NEW.status = 'pending'
    WHEN 'completed' THEN NEW.status = 'pending' AND current_setting('baton.rerun', true) = OLD.id::text
    ELSE false
  END;
  IF NOT COALESCE(is_allowed, false) THEN
    RAISE EXCEPTION 'review % is % and cannot become %', OLD.id, OLD.status, NEW.status
      USING ERRCODE = 'check_violation', CONSTRAINT = 'code_reviews_transition', TABLE = 'code_reviews',
            HINT = 'A failed or cancelled review starts again with: baton retry ' || OLD.id;
  END IF;

  IF NEW.status = 'pending' THEN
    NEW.claimed_at := NULL;
    NEW.claimed_by := NULL;
    NEW.published_at := NULL;
    NEW.republish_count := 0;
    NEW.lease_owner := NULL;
    NEW.lease_expires_at := NULL;
    NEW.prepared_at := NULL;
    NEW.dispatched_at := NULL;
    NEW.gate_result := NULL;
    NEW.unclear_starts := 0;
    IF NOT was_active THEN    -- a retry: a new attempt, which starts with nothing of the old one
      NEW.attempt := OLD.attempt + 1;
      IF NEW.available_at IS NOT DISTINCT FROM OLD.available_at THEN NEW.available_at := now(); END IF;
      NEW.place_at := NULL;
      NEW.lease_losses := 0;
      NEW.dispatch_failures := 0;
      NEW.reconciled_at := NULL;
      IF OLD.session_id IS NOT NULL THEN NEW.past_session_ids := OLD.past_session_ids || OLD.session_id; END IF;
      NEW.session_id := NULL;
      NEW.cli_session_id := NULL;
      NEW.agent_version := NULL;
      NEW.error_code := NULL;
      NEW.error_message := NULL;
      NEW.started_at := NULL;
      NEW.completed_at := NULL;
      NEW.check_run_id := NULL;
      NEW.model := NULL;
      NEW.total_tokens_in := NULL;
      NEW.total_tokens_out := NULL;
      NEW.total_cost_microusd := NULL;
    END IF;
  ELSIF NEW.status = 'queued' THEN
    NEW.claimed_at := COALESCE(NEW.claimed_at, now());
  ELSIF NEW.status = 'running' THEN
    NEW.started_at := COALESCE(OLD.started_at, now());
  ELSE
    NEW.completed_at := now();
  END IF;

  NEW.updated_at := now();
  RETURN NEW;
END $$;
