-- What is due at a host that is unavailable, or has had its share, is left: it was read and left one by one, so that the more was due there, the
-- slower everything became. With the three steps from here on, what is due at each host is read by an index. The host is noted with the entry: the
-- address of the GitLab of its integration, or the platform's name; '' for what belongs to no integration, and what an earlier version has added.
-- Steps of their own: reviews can be written while the hosts of many entries are noted.

ALTER TABLE baton_feedback ADD COLUMN host text NOT NULL DEFAULT '';
ALTER TABLE baton_platform_tasks ADD COLUMN host text NOT NULL DEFAULT '';

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
    INSERT INTO baton_feedback (review_id, subject, host)
    SELECT r.id, s.subject, COALESCE(i.instance_url, i.platform)
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

CREATE OR REPLACE FUNCTION baton_review_moved() RETURNS trigger LANGUAGE plpgsql
  SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  had_ended bool := OLD.status IN ('completed', 'failed', 'cancelled');
  has_ended bool := NEW.status IN ('completed', 'failed', 'cancelled');
  is_delayed bool := NEW.status = 'pending' AND NEW.available_at > now() AND NEW.available_at < 'infinity';
  visit text := pg_current_xact_id() || ' ' || NEW.owner_type || ':' || NEW.owner_id;
  subjects text[] := '{}';
  platform_host text;
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
  SELECT COALESCE(i.instance_url, i.platform) INTO platform_host
    FROM platform_integrations i
   WHERE i.id = NEW.platform_integration_id AND i.owner_type = NEW.owner_type AND i.owner_id = NEW.owner_id
     AND i.platform = NEW.platform AND i.revoked_at IS NULL
     AND (i.token_ciphertext IS NOT NULL OR i.installation_id IS NOT NULL);
  IF NOT FOUND THEN RETURN NULL; END IF;

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

  INSERT INTO baton_feedback AS f (review_id, subject, host)
  SELECT NEW.id, s, platform_host FROM unnest(subjects) s
  ON CONFLICT (review_id, subject) DO UPDATE
    SET version = f.version + 1,
        host = EXCLUDED.host,
        due_since = now(),
        due_at = now(),
        given_up_at = NULL;
  RETURN NULL;
END $$;
