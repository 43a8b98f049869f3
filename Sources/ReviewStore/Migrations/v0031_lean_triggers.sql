-- The same rules with fewer triggers, and none for an update that changes no status: a lease, a publication, a dispatch.
--
-- For each statement Postgres reads the condition of every trigger anew, unless the trigger names columns that the statement does not set; each
-- function that a trigger calls sets its search path; and tables of what a statement has changed are filled for every update of the table, whether
-- or not a trigger looks at them. For one review all that took longer than the update itself. What the rules say is as before.
--
-- A plan for any parameters, because one for these parameters is made at each call, and takes longer than it runs. Not compiled: without sequential
-- scans a look at the few endpoints counts as so costly that it would be.

-- Before an insert: what the row is called. Before an insert, and an update that changes a name: which names are refused; an older row may have
-- others, and has to come to its end. The same rules as Sources/Reviews/OutsideName.swift.
DROP TRIGGER code_reviews_inserted_claimed ON code_reviews;
DROP TRIGGER code_reviews_inserted_named ON code_reviews;
DROP TRIGGER code_reviews_repo_full_name ON code_reviews;
DROP TRIGGER code_reviews_base_ref ON code_reviews;
DROP TRIGGER code_reviews_head_ref ON code_reviews;
DROP TRIGGER code_reviews_head_sha ON code_reviews;
DROP TRIGGER code_reviews_pr_author ON code_reviews;
DROP TRIGGER code_reviews_pr_url ON code_reviews;
DROP FUNCTION baton_review_claimed();
DROP FUNCTION baton_refuse_name();

CREATE OR REPLACE FUNCTION baton_review_named() RETURNS trigger LANGUAGE plpgsql
  SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  no_branch CONSTANT text := E'[\\u0001-\\u0020\\u007f~^:?*[\\\\]|\\.\\.|@\\{|//|^[-/]|[/.]$|(^|/)\\.|\\.lock(/|$)';
  label text;
  refused text;
  what text;
  rule text;
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW.status = 'queued' AND NEW.claimed_at IS NULL THEN NEW.claimed_at := now(); END IF;
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
  END IF;

  -- E'': a backslash is one in any session. The names of a new row are all distinct from those of no row.
  refused := CASE
    WHEN NEW.base_ref IS DISTINCT FROM OLD.base_ref
         AND (NEW.base_ref ~ no_branch OR NEW.base_ref IN ('', '@')) THEN 'base_ref'
    WHEN NEW.head_ref IS DISTINCT FROM OLD.head_ref
         AND (NEW.head_ref ~ no_branch OR NEW.head_ref IN ('', '@')) THEN 'head_ref'
    WHEN NEW.head_sha IS DISTINCT FROM OLD.head_sha AND NEW.head_sha !~ '^[A-Za-z0-9][A-Za-z0-9-]*$' THEN 'head_sha'
    WHEN NEW.pr_author IS DISTINCT FROM OLD.pr_author AND NEW.pr_author ~ E'[\\u0001-\\u001f\\u007f]' THEN 'pr_author'
    WHEN NEW.pr_url IS DISTINCT FROM OLD.pr_url
         AND (NEW.pr_url !~ '^[A-Za-z0-9]' OR NEW.pr_url ~ E'[\\u0001-\\u0020\\u007f"<>\\\\^`{|}]'
              OR (NEW.pr_url ~ '^[A-Za-z][A-Za-z0-9+.-]*:' AND NEW.pr_url !~ '^https?://')) THEN 'pr_url'
    WHEN NEW.repo_full_name IS DISTINCT FROM OLD.repo_full_name
         AND (NEW.repo_full_name !~ '^[A-Za-z0-9._+][A-Za-z0-9._+-]*(/[A-Za-z0-9._+-]+)+$'
              OR NEW.repo_full_name ~ E'(^|/)\\.{1,2}(/|$)') THEN 'repo_full_name'
  END;
  IF refused IS NULL THEN RETURN NEW; END IF;

  SELECT r.what, r.rule INTO what, rule
    FROM (VALUES
      ('repo_full_name', 'a repository', 'owner/name, of letters, digits, ".", "_", "+" and "-", without a hyphen in front'),
      ('base_ref', 'a branch', 'What git check-ref-format refuses is refused, and a hyphen in front.'),
      ('head_ref', 'a branch', 'What git check-ref-format refuses is refused, and a hyphen in front.'),
      ('head_sha', 'a commit', 'Letters, digits and hyphens, without a hyphen in front.'),
      ('pr_author', 'a name', 'It has a control character.'),
      ('pr_url', 'a web address', 'http or https, without spaces, quotes and brackets.')) AS r (name, what, rule)
   WHERE r.name = refused;
  RAISE EXCEPTION 'code_reviews.% is not %', refused, what
    USING ERRCODE = 'check_violation', CONSTRAINT = 'code_reviews_' || refused, SCHEMA = TG_TABLE_SCHEMA,
          TABLE = TG_TABLE_NAME, COLUMN = refused, HINT = rule;
END $$;

CREATE TRIGGER code_reviews_named
  BEFORE INSERT OR UPDATE OF repo_full_name, base_ref, head_ref, head_sha, pr_author, pr_url ON code_reviews
  FOR EACH ROW EXECUTE FUNCTION baton_review_named();

-- After an insert: one look at the rows with their owners and integrations decides what else is to be done.
DROP TRIGGER code_reviews_inserted_refers ON code_reviews;
DROP TRIGGER code_reviews_inserted_continues ON code_reviews;
DROP TRIGGER code_reviews_rows_inserted ON code_reviews;
DROP TRIGGER code_reviews_feedback_inserted ON code_reviews;
DROP FUNCTION baton_feedback_begun();

CREATE OR REPLACE FUNCTION baton_review_inserted() RETURNS trigger LANGUAGE plpgsql
  SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  known record;
BEGIN
  SELECT bool_or(o.owner_id IS NULL) AS is_new_owner,
         bool_or(i.revoked_at IS NULL AND (i.token_ciphertext IS NOT NULL OR i.installation_id IS NOT NULL)) AS has_feedback,
         max(CASE WHEN i.owner_type <> n.owner_type OR i.owner_id <> n.owner_id THEN i.id || ', which belongs to another owner'
                  WHEN i.platform <> n.platform THEN i.id || ', which belongs to another platform' END) AS foreign_one,
         bool_or(n.previous_session_id IS NOT NULL) AS continues,
         bool_or(n.status IN ('completed', 'failed', 'cancelled')) AS has_ended
    INTO known
    FROM inserted n
    LEFT JOIN review_owners o ON o.owner_type = n.owner_type AND o.owner_id = n.owner_id
    LEFT JOIN platform_integrations i ON i.id = n.platform_integration_id;

  IF known.foreign_one IS NOT NULL THEN
    RAISE EXCEPTION 'review names integration %', known.foreign_one
      USING ERRCODE = 'check_violation', CONSTRAINT = 'code_reviews_integration', TABLE = 'code_reviews',
            COLUMN = 'platform_integration_id',
            HINT = 'Name an integration of the review''s owner and platform: baton integration list';
  END IF;
  IF known.continues THEN
    PERFORM FROM inserted n
      WHERE EXISTS (SELECT 1 FROM code_reviews s
                     WHERE s.session_id = n.previous_session_id AND (s.owner_type <> n.owner_type OR s.owner_id <> n.owner_id))
        AND NOT EXISTS (SELECT 1 FROM code_reviews s
                         WHERE s.session_id = n.previous_session_id AND s.owner_type = n.owner_type AND s.owner_id = n.owner_id
                           AND s.id <> n.id);
    IF FOUND THEN
      RAISE EXCEPTION 'review continues a session which belongs to another owner'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'code_reviews_session', TABLE = 'code_reviews',
              COLUMN = 'previous_session_id', HINT = 'Leave it NULL, or name a session of the review''s owner';
    END IF;
  END IF;
  IF known.is_new_owner THEN
    INSERT INTO review_owners (owner_type, owner_id)
    SELECT DISTINCT i.owner_type, i.owner_id
      FROM inserted i
     WHERE NOT EXISTS (SELECT 1 FROM review_owners o WHERE o.owner_type = i.owner_type AND o.owner_id = i.owner_id)
     ORDER BY 1, 2
    ON CONFLICT DO NOTHING;
  END IF;

  INSERT INTO review_transitions (review_id, from_status, to_status, reason, actor)
  SELECT id, NULL, status, COALESCE(status_reason, 'submitted'),
         COALESCE(NULLIF(current_setting('baton.actor', true), ''), current_setting('application_name'))
    FROM inserted;

  IF known.has_ended THEN
    INSERT INTO baton_counts AS c (what, label, count)
    SELECT 'rows', status, count(*) FROM inserted WHERE status IN ('completed', 'failed', 'cancelled') GROUP BY status ORDER BY status
    ON CONFLICT (what, label, shard) DO UPDATE SET count = c.count + EXCLUDED.count;
  END IF;
  IF known.has_feedback THEN
    INSERT INTO baton_feedback (review_id, subject)
    SELECT r.id, s.subject
      FROM inserted r
      JOIN platform_integrations i
        ON i.id = r.platform_integration_id AND i.revoked_at IS NULL
       AND (i.token_ciphertext IS NOT NULL OR i.installation_id IS NOT NULL)
      LEFT JOIN agent_configs c
        ON c.owner_type = r.owner_type AND c.owner_id = r.owner_id AND c.platform = r.platform
       AND c.is_enabled AND c.config ->> 'gate_threshold' IN ('all', 'warning', 'critical')
     CROSS JOIN LATERAL (
       SELECT 'eyes' AS subject
        UNION ALL
       SELECT 'gate' WHERE c.id IS NOT NULL AND r.status NOT IN ('completed', 'failed', 'cancelled')) s
    ON CONFLICT DO NOTHING;
  END IF;

  -- Infinitely far is no time to come: a change of it is an event of its own.
  INSERT INTO baton_visits (owner_type, owner_id, due_at)
  SELECT DISTINCT owner_type, owner_id, CASE WHEN available_at > now() THEN available_at END
    FROM inserted
   WHERE status = 'pending' AND available_at < 'infinity';
  IF FOUND THEN NOTIFY baton_pending; END IF;
  RETURN NULL;
END $$;

-- Before a change of the status: also what a new attempt must not inherit, which had triggers of its own.
DROP TRIGGER code_reviews_gate_cleared ON code_reviews;
DROP TRIGGER code_reviews_unclear_cleared ON code_reviews;
DROP TRIGGER code_reviews_session_past ON code_reviews;
DROP FUNCTION baton_gate_cleared();
DROP FUNCTION baton_unclear_cleared();
DROP FUNCTION baton_session_past();

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

-- A claim that says all that it implies is spared the call, as before.
DROP TRIGGER code_reviews_changed ON code_reviews;
CREATE TRIGGER code_reviews_changed
  BEFORE UPDATE OF status ON code_reviews
  FOR EACH ROW WHEN (
    OLD.status IS DISTINCT FROM NEW.status
    AND NOT (OLD.status = 'pending' AND NEW.status = 'queued' AND COALESCE(NEW.claimed_at = NEW.updated_at, false)))
  EXECUTE FUNCTION baton_review_changed();

-- After a claim: its history, and nothing else. By row, because a table of what a statement has changed would be filled by every other update too.
CREATE FUNCTION baton_review_queued() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO review_transitions (review_id, from_status, to_status, reason, actor)
  VALUES (NEW.id, OLD.status, NEW.status,
          CASE WHEN NEW.status_reason IS DISTINCT FROM OLD.status_reason THEN NEW.status_reason ELSE NEW.error_code END,
          COALESCE(NULLIF(current_setting('baton.actor', true), ''), current_setting('application_name')));
  RETURN NULL;
END $$;

CREATE TRIGGER code_reviews_queued
  AFTER UPDATE OF status ON code_reviews
  FOR EACH ROW WHEN (OLD.status <> NEW.status AND NEW.status = 'queued')
  EXECUTE FUNCTION baton_review_queued();

-- After any other change of the status: history, visits, counts, events, the owner's row, and feedback.
DROP TRIGGER code_reviews_moved ON code_reviews;
DROP TRIGGER code_reviews_ended ON code_reviews;
DROP TRIGGER code_reviews_event ON code_reviews;
DROP TRIGGER code_reviews_feedback_changed ON code_reviews;
DROP TRIGGER code_reviews_restarted ON code_reviews;
DROP TRIGGER code_reviews_rows_updated ON code_reviews;
DROP FUNCTION baton_reviews_moved();
DROP FUNCTION baton_review_ended();
DROP FUNCTION baton_ended_row();
DROP FUNCTION baton_review_event();
DROP FUNCTION baton_feedback_due();
DROP FUNCTION baton_review_restarted();

CREATE FUNCTION baton_review_moved() RETURNS trigger LANGUAGE plpgsql
  SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  had_ended bool := OLD.status IN ('completed', 'failed', 'cancelled');
  has_ended bool := NEW.status IN ('completed', 'failed', 'cancelled');
  is_delayed bool := NEW.status = 'pending' AND NEW.available_at > now() AND NEW.available_at < 'infinity';
  visit text := pg_current_xact_id() || ' ' || NEW.owner_type || ':' || NEW.owner_id;
  subjects text[] := '{}';
BEGIN
  INSERT INTO review_transitions (review_id, from_status, to_status, reason, actor)
  VALUES (NEW.id, OLD.status, NEW.status,
          CASE WHEN NEW.status_reason IS DISTINCT FROM OLD.status_reason THEN NEW.status_reason ELSE NEW.error_code END,
          COALESCE(NULLIF(current_setting('baton.actor', true), ''), current_setting('application_name')));

  -- A slot that is free, and what is pending again: now, or at its time. NOTIFY serialises commits, so a freed slot notifies only if a review of the
  -- owner waits for it. A transaction that moves many reviews of an owner, one after another, leaves one visit.
  IF NEW.status = 'pending' OR has_ended AND OLD.status IN ('queued', 'running') THEN
    IF is_delayed THEN
      INSERT INTO baton_visits (owner_type, owner_id, due_at) VALUES (NEW.owner_type, NEW.owner_id, NEW.available_at);
    END IF;
    IF is_delayed OR NEW.status = 'pending' AND NEW.available_at <= now() THEN NOTIFY baton_pending; END IF;
    IF current_setting('baton.visit', true) IS DISTINCT FROM visit THEN
      INSERT INTO baton_visits (owner_type, owner_id) VALUES (NEW.owner_type, NEW.owner_id);
      visit := set_config('baton.visit', visit, true);
      IF NEW.status <> 'pending' AND EXISTS (
        SELECT 1 FROM code_reviews p
         WHERE p.owner_type = NEW.owner_type AND p.owner_id = NEW.owner_id AND p.status = 'pending' AND p.available_at <= now())
      THEN NOTIFY baton_pending;
      END IF;
    END IF;
  END IF;

  -- How many rows of each end there are, and how many completed and failed. In this order: two transactions that fail reviews for several reasons
  -- meet at the rows first, and do not wait for each other in a circle.
  IF has_ended OR had_ended THEN
    INSERT INTO baton_counts AS c (what, label, count)
    SELECT t.what, t.label, t.count
      FROM (VALUES
        ('rows', NEW.status, 1, has_ended),
        (NEW.status, CASE NEW.status WHEN 'failed' THEN COALESCE(NEW.error_code, '') ELSE '' END, 1,
         NEW.status IN ('completed', 'failed')),
        ('rows', OLD.status, -1, had_ended)) AS t (what, label, count, is_counted)
     WHERE t.is_counted
    ON CONFLICT (what, label, shard) DO UPDATE SET count = c.count + EXCLUDED.count;
  END IF;

  -- For other programs. No NOTIFY, which would serialise the commits of every end for what may wait a second.
  IF has_ended AND EXISTS (SELECT 1 FROM baton_endpoints WHERE is_enabled) THEN
    INSERT INTO baton_events (endpoint_id, review_id, payload)
    SELECT p.id, NEW.id,
           jsonb_build_object(
             'type', 'review.' || NEW.status,
             'timestamp', to_char(NEW.completed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
             'data', jsonb_build_object(
               'reviewId', NEW.id, 'attempt', NEW.attempt, 'status', NEW.status,
               'owner', jsonb_build_object('type', NEW.owner_type, 'id', NEW.owner_id),
               'platform', NEW.platform, 'repoFullName', NEW.repo_full_name, 'prNumber', NEW.pr_number, 'prUrl', NEW.pr_url,
               'headSha', NEW.head_sha, 'gateResult', NEW.gate_result,
               'errorCode', NEW.error_code, 'errorMessage', NEW.error_message, 'agentVersion', NEW.agent_version,
               'createdAt', to_char(NEW.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
               'startedAt', to_char(NEW.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
               'completedAt', to_char(NEW.completed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
               'model', NEW.model, 'totalTokensIn', NEW.total_tokens_in, 'totalTokensOut', NEW.total_tokens_out,
               'totalCostMicrousd', NEW.total_cost_microusd))
      FROM baton_endpoints p
     WHERE p.is_enabled AND (p.owner_id IS NULL OR p.owner_type = NEW.owner_type AND p.owner_id = NEW.owner_id);
  END IF;

  -- An ended review starts again: its owner may have lost its row.
  IF had_ended AND NEW.status = 'pending' THEN
    INSERT INTO review_owners (owner_type, owner_id) VALUES (NEW.owner_type, NEW.owner_id) ON CONFLICT DO NOTHING;
  END IF;

  -- Feedback on the pull request.
  IF NEW.platform_integration_id IS NULL THEN RETURN NULL; END IF;
  IF NOT EXISTS (
    SELECT 1 FROM platform_integrations i
     WHERE i.id = NEW.platform_integration_id AND i.owner_type = NEW.owner_type AND i.owner_id = NEW.owner_id
       AND i.platform = NEW.platform AND i.revoked_at IS NULL
       AND (i.token_ciphertext IS NOT NULL OR i.installation_id IS NOT NULL)
  ) THEN RETURN NULL; END IF;

  -- A pull request that was closed before its review began has no failed review, so no reaction says so.
  IF NEW.status = 'completed' THEN subjects := '{hooray}';
  ELSIF NEW.status = 'failed' AND NEW.error_code IS DISTINCT FROM 'pull_request_closed' THEN subjects := '{confused}';
  END IF;
  -- A check that was begun is brought to its end, whatever the configuration says by then.
  IF EXISTS (SELECT 1 FROM baton_feedback f WHERE f.review_id = NEW.id AND f.subject = 'gate')
    OR (NOT has_ended AND EXISTS (
      SELECT 1 FROM agent_configs c
       WHERE c.owner_type = NEW.owner_type AND c.owner_id = NEW.owner_id AND c.platform = NEW.platform
         AND c.is_enabled AND c.config ->> 'gate_threshold' IN ('all', 'warning', 'critical')))
  THEN subjects := subjects || 'gate'::text;
  END IF;
  IF subjects = '{}' THEN RETURN NULL; END IF;

  INSERT INTO baton_feedback AS f (review_id, subject)
  SELECT NEW.id, s FROM unnest(subjects) s
  ON CONFLICT (review_id, subject) DO UPDATE
    SET version = f.version + 1,
        due_since = now(),
        due_at = now(),
        given_up_at = NULL;
  RETURN NULL;
END $$;

CREATE TRIGGER code_reviews_moved
  AFTER UPDATE OF status ON code_reviews
  FOR EACH ROW WHEN (OLD.status <> NEW.status AND NEW.status <> 'queued')
  EXECUTE FUNCTION baton_review_moved();

-- What is changed by hand. With the columns, so that the conditions are read only by updates that name them.
DROP TRIGGER code_reviews_edited ON code_reviews;
CREATE TRIGGER code_reviews_edited
  AFTER UPDATE OF available_at, owner_type, owner_id ON code_reviews
  FOR EACH ROW WHEN (
    NEW.available_at IS DISTINCT FROM OLD.available_at AND NEW.status = 'pending' AND OLD.status = 'pending'
    OR NEW.owner_id <> OLD.owner_id OR NEW.owner_type <> OLD.owner_type)
  EXECUTE FUNCTION baton_review_edited();

DROP TRIGGER code_reviews_refers ON code_reviews;
CREATE TRIGGER code_reviews_refers
  AFTER UPDATE OF platform_integration_id, owner_type, owner_id, platform ON code_reviews
  FOR EACH ROW WHEN (
    NEW.platform_integration_id IS NOT NULL
    AND (NEW.platform_integration_id IS DISTINCT FROM OLD.platform_integration_id OR NEW.owner_id <> OLD.owner_id
      OR NEW.owner_type <> OLD.owner_type OR NEW.platform <> OLD.platform))
  EXECUTE FUNCTION baton_review_refers();

DROP TRIGGER code_reviews_continues ON code_reviews;
CREATE TRIGGER code_reviews_continues
  AFTER UPDATE OF previous_session_id, owner_type, owner_id ON code_reviews
  FOR EACH ROW WHEN (
    NEW.previous_session_id IS NOT NULL
    AND (NEW.previous_session_id IS DISTINCT FROM OLD.previous_session_id OR NEW.owner_id <> OLD.owner_id
      OR NEW.owner_type <> OLD.owner_type))
  EXECUTE FUNCTION baton_review_continues();
