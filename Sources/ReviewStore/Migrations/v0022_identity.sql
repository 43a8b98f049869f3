-- A repository is known by its platform's number, at its instance. Names are labels: they follow changes of a repository's name and owner, and
-- their letter case never matters. A row that an application inserts without the number is known by its name until a webhook brings the number.
--
-- The unique key over the names stays, because statements of earlier releases name its columns. So two repositories that had the same name
-- one after the other share the review of the same number and commit.

ALTER TABLE code_reviews ADD COLUMN platform_repository_id bigint;

-- At GitLab it is the project's number, which has a column of its own. The name is written as the pull request's other reviews have it.
CREATE FUNCTION baton_review_named() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
  label text;
BEGIN
  IF NEW.platform = 'gitlab' THEN
    NEW.platform_repository_id := COALESCE(NEW.platform_repository_id, NEW.platform_project_id);
    NEW.platform_project_id := COALESCE(NEW.platform_project_id, NEW.platform_repository_id);
  END IF;
  SELECT r.repo_full_name INTO label
    FROM code_reviews r
   WHERE lower(r.repo_full_name) = lower(NEW.repo_full_name) AND r.pr_number = NEW.pr_number
     AND r.owner_id = NEW.owner_id AND r.owner_type = NEW.owner_type AND r.platform = NEW.platform
   ORDER BY r.repo_full_name = NEW.repo_full_name DESC, r.created_at DESC
   LIMIT 1;
  IF FOUND THEN NEW.repo_full_name := label; END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER code_reviews_inserted_named
  BEFORE INSERT ON code_reviews
  FOR EACH ROW EXECUTE FUNCTION baton_review_named();

-- The place of an event among those of its pull request, under the number too; and the commit that it names, for the way from commit to commit
-- within one second.
ALTER TABLE webhook_deliveries
  ADD COLUMN pull_request_id text,
  ADD COLUMN head_sha        text;
CREATE INDEX webhook_deliveries_pull_request_id ON webhook_deliveries (pull_request_id, pr_updated_at)
  WHERE pull_request_id IS NOT NULL;

-- A pull request that was closed before its review began has no failed review, so no reaction says so. As before otherwise.
CREATE OR REPLACE FUNCTION baton_feedback_due() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
  subjects text[] := '{}';
BEGIN
  IF NOT EXISTS (
    SELECT 1 FROM platform_integrations i
     WHERE i.id = NEW.platform_integration_id AND i.owner_type = NEW.owner_type AND i.owner_id = NEW.owner_id
       AND i.platform = NEW.platform AND i.revoked_at IS NULL
       AND (i.token_ciphertext IS NOT NULL OR i.installation_id IS NOT NULL)
  ) THEN RETURN NULL; END IF;

  IF NEW.status = 'completed' THEN subjects := '{hooray}';
  ELSIF NEW.status = 'failed' AND NEW.error_code IS DISTINCT FROM 'pull_request_closed' THEN subjects := '{confused}';
  END IF;
  -- A check that was begun is brought to its end, whatever the configuration says by then.
  IF EXISTS (SELECT 1 FROM baton_feedback f WHERE f.review_id = NEW.id AND f.subject = 'gate')
    OR (NEW.status NOT IN ('completed', 'failed', 'cancelled') AND EXISTS (
      SELECT 1 FROM agent_configs c
       WHERE c.owner_type = NEW.owner_type AND c.owner_id = NEW.owner_id AND c.platform = NEW.platform
         AND c.is_enabled AND c.config ->> 'gate_threshold' IN ('all', 'warning', 'critical')))
  THEN subjects := subjects || 'gate'::text;
  END IF;

  INSERT INTO baton_feedback AS f (review_id, subject)
  SELECT NEW.id, s FROM unnest(subjects) s
  ON CONFLICT (review_id, subject) DO UPDATE
    SET version = f.version + 1,
        due_since = now(),
        due_at = now(),
        given_up_at = NULL;
  RETURN NULL;
END $$;

-- A completed review may begin another attempt, only in a transaction that names it: its pull request got another base.
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
    IF NOT was_active THEN    -- a retry: a new attempt, which starts with nothing of the old one
      NEW.attempt := OLD.attempt + 1;
      IF NEW.available_at IS NOT DISTINCT FROM OLD.available_at THEN NEW.available_at := now(); END IF;
      NEW.lease_losses := 0;
      NEW.dispatch_failures := 0;
      NEW.reconciled_at := NULL;
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

-- Gives the owner its row, as for a review that failed or was cancelled.
DROP TRIGGER code_reviews_restarted ON code_reviews;
CREATE TRIGGER code_reviews_restarted
  AFTER UPDATE ON code_reviews
  FOR EACH ROW WHEN (NEW.status = 'pending' AND OLD.status IN ('completed', 'failed', 'cancelled'))
  EXECUTE FUNCTION baton_review_restarted();

-- And remembers the session of the attempt before, whose callbacks count no more.
DROP TRIGGER code_reviews_session_past ON code_reviews;
CREATE TRIGGER code_reviews_session_past
  BEFORE UPDATE ON code_reviews
  FOR EACH ROW WHEN (
    NEW.status = 'pending' AND OLD.status IN ('completed', 'failed', 'cancelled') AND OLD.session_id IS NOT NULL)
  EXECUTE FUNCTION baton_session_past();
