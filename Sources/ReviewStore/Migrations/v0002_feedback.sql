-- Webhooks that are stored before they are processed, and what a pull request is told about its review.

-- What a delivery needs to be processed by whoever finds it, after a crash too.
ALTER TABLE webhook_deliveries
  ADD COLUMN integration_id uuid,
  ADD COLUMN due_at         timestamptz NOT NULL DEFAULT now(),   -- when others than its receiver may process it
  ADD COLUMN tries          int NOT NULL DEFAULT 0,               -- how often processing it has failed
  -- Of a delivery that says which commit a pull request is at, or that it was closed: what later ones are compared with.
  ADD COLUMN pull_request   text,
  ADD COLUMN pr_updated_at  timestamptz,
  ADD COLUMN previous_sha   text;                                 -- the commit that a push has replaced

CREATE INDEX webhook_deliveries_unprocessed ON webhook_deliveries (due_at) WHERE processed_at IS NULL;
CREATE INDEX webhook_deliveries_pull_request ON webhook_deliveries (pull_request, pr_updated_at)
  WHERE pull_request IS NOT NULL;
CREATE INDEX webhook_deliveries_received ON webhook_deliveries (received_at);

-- What the agent's findings mean for the pull request: decides how its check ends.
ALTER TABLE code_reviews ADD COLUMN gate_result text CHECK (gate_result IN ('pass', 'fail'));

CREATE FUNCTION baton_gate_cleared() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.gate_result := NULL;
  RETURN NEW;
END $$;

CREATE TRIGGER code_reviews_gate_cleared
  BEFORE UPDATE ON code_reviews
  FOR EACH ROW WHEN (OLD.gate_result IS NOT NULL AND NEW.status = 'pending')
  EXECUTE FUNCTION baton_gate_cleared();

-- What a pull request has to be told. An entry says that something is due, not what it is: whoever delivers it looks at the
-- review as it is then, so that entries cannot overtake each other, and the last one told is the truth. A reaction goes when it
-- was delivered; a gate stays, because it knows the check run.
CREATE TABLE baton_feedback (
  review_id    uuid NOT NULL,
  subject      text NOT NULL CHECK (subject IN ('eyes', 'hooray', 'confused', 'gate')),
  version      int NOT NULL DEFAULT 1,      -- counts the changes: a delivery of an older one leaves the entry due
  due_at       timestamptz DEFAULT now(),   -- NULL: all is told
  due_since    timestamptz NOT NULL DEFAULT now(),
  tries        int NOT NULL DEFAULT 0,      -- since the last success
  told_attempt int,                         -- the attempt that the check run belongs to
  told_status  text,                        -- what it shows
  check_run_id bigint,
  last_error   text,
  given_up_at  timestamptz,
  PRIMARY KEY (review_id, subject)
) WITH (fillfactor = 70);
CREATE INDEX baton_feedback_due ON baton_feedback (due_at) WHERE due_at IS NOT NULL;

-- Written with the transition itself. Only for reviews that name an integration with which something can be written. No NOTIFY: it
-- would serialise the commits of every transition for what may wait a second. Without sequential scans, because a session keeps
-- the plan of its first review, from when hardly anything was due, for the ten thousand that follow.
CREATE FUNCTION baton_feedback_begun() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
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
  RETURN NULL;
END $$;

CREATE TRIGGER code_reviews_feedback_inserted
  AFTER INSERT ON code_reviews REFERENCING NEW TABLE AS inserted
  FOR EACH STATEMENT EXECUTE FUNCTION baton_feedback_begun();

CREATE FUNCTION baton_feedback_due() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
  subjects text[] := '{}';
BEGIN
  IF NOT EXISTS (
    SELECT 1 FROM platform_integrations i
     WHERE i.id = NEW.platform_integration_id AND i.revoked_at IS NULL
       AND (i.token_ciphertext IS NOT NULL OR i.installation_id IS NOT NULL)
  ) THEN RETURN NULL; END IF;

  IF NEW.status = 'completed' THEN subjects := '{hooray}';
  ELSIF NEW.status = 'failed' THEN subjects := '{confused}';
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

-- Being claimed changes nothing for the pull request: it is queued either way.
CREATE TRIGGER code_reviews_feedback_changed
  AFTER UPDATE ON code_reviews
  FOR EACH ROW WHEN (
    NEW.platform_integration_id IS NOT NULL AND OLD.status IS DISTINCT FROM NEW.status AND NEW.status <> 'queued')
  EXECUTE FUNCTION baton_feedback_due();

CREATE FUNCTION baton_feedback_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM baton_feedback f USING deleted d WHERE f.review_id = d.id;
  RETURN NULL;
END $$;

CREATE TRIGGER code_reviews_feedback_deleted
  AFTER DELETE ON code_reviews REFERENCING OLD TABLE AS deleted
  FOR EACH STATEMENT EXECUTE FUNCTION baton_feedback_deleted();
