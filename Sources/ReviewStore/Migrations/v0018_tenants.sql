-- Owners are kept apart: what a review refers to belongs to the review's owner and platform, for every writer. Rows from before stay
-- as they are; the statements that follow a reference repeat its condition, and find nothing.
--
-- An integration that does not exist is no fault here: it may be added later, and until then the review fails as integration_missing.

CREATE FUNCTION baton_review_refers() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
  other text;
BEGIN
  SELECT CASE WHEN i.owner_type <> NEW.owner_type OR i.owner_id <> NEW.owner_id THEN 'owner' ELSE 'platform' END
    INTO other
    FROM platform_integrations i
   WHERE i.id = NEW.platform_integration_id
     AND (i.owner_type <> NEW.owner_type OR i.owner_id <> NEW.owner_id OR i.platform <> NEW.platform);
  IF FOUND THEN
    RAISE EXCEPTION 'review names integration %, which belongs to another %', NEW.platform_integration_id, other
      USING ERRCODE = 'check_violation', CONSTRAINT = 'code_reviews_integration', TABLE = 'code_reviews',
            COLUMN = 'platform_integration_id',
            HINT = 'Name an integration of the review''s owner and platform: baton integration list';
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER code_reviews_inserted_refers
  AFTER INSERT ON code_reviews
  FOR EACH ROW WHEN (NEW.platform_integration_id IS NOT NULL)
  EXECUTE FUNCTION baton_review_refers();

CREATE TRIGGER code_reviews_refers
  AFTER UPDATE ON code_reviews
  FOR EACH ROW WHEN (
    NEW.platform_integration_id IS NOT NULL
    AND (NEW.platform_integration_id IS DISTINCT FROM OLD.platform_integration_id OR NEW.owner_id <> OLD.owner_id
      OR NEW.owner_type <> OLD.owner_type OR NEW.platform <> OLD.platform))
  EXECUTE FUNCTION baton_review_refers();

-- Whose an integration is never changes: reviews refer to it, its webhooks speak for its owner, and its tokens are encrypted for its id.
CREATE FUNCTION baton_integration_moved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'integration % cannot be given to another owner or platform, or another id', OLD.id
    USING ERRCODE = 'check_violation', CONSTRAINT = 'platform_integrations_identity', TABLE = 'platform_integrations',
          HINT = 'Revoke it, and add one for the other owner: baton integration add';
END $$;

CREATE TRIGGER platform_integrations_moved
  AFTER UPDATE ON platform_integrations
  FOR EACH ROW WHEN (
    NEW.id <> OLD.id OR NEW.owner_type <> OLD.owner_type OR NEW.owner_id <> OLD.owner_id OR NEW.platform <> OLD.platform)
  EXECUTE FUNCTION baton_integration_moved();

-- A GitHub installation gives tokens and owners by its number alone, so it belongs to one owner. Under the lock that
-- `baton integration add` takes as well: two that add the same at once would both find none.
CREATE FUNCTION baton_installation_taken() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('baton integration ' || NEW.platform || ' ' || NEW.installation_id, 0));
  IF EXISTS (
    SELECT 1
      FROM platform_integrations i
     WHERE i.platform = NEW.platform AND i.installation_id = NEW.installation_id AND i.revoked_at IS NULL
       AND (i.owner_type <> NEW.owner_type OR i.owner_id <> NEW.owner_id)
  ) THEN
    RAISE EXCEPTION 'installation % belongs to another owner', NEW.installation_id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'platform_integrations_installation', TABLE = 'platform_integrations',
            COLUMN = 'installation_id', HINT = 'Revoke the other owner''s integration first: baton integration revoke';
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER platform_integrations_inserted_installation
  AFTER INSERT ON platform_integrations
  FOR EACH ROW WHEN (NEW.installation_id IS NOT NULL AND NEW.revoked_at IS NULL)
  EXECUTE FUNCTION baton_installation_taken();

CREATE TRIGGER platform_integrations_installation
  AFTER UPDATE ON platform_integrations
  FOR EACH ROW WHEN (
    NEW.installation_id IS NOT NULL AND NEW.revoked_at IS NULL
    AND (NEW.installation_id IS DISTINCT FROM OLD.installation_id OR OLD.revoked_at IS NOT NULL))
  EXECUTE FUNCTION baton_installation_taken();

-- As before, and only for an integration of the review's owner and platform.
CREATE OR REPLACE FUNCTION baton_feedback_begun() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
  INSERT INTO baton_feedback (review_id, subject)
  SELECT r.id, s.subject
    FROM inserted r
    JOIN platform_integrations i
      ON i.id = r.platform_integration_id AND i.owner_type = r.owner_type AND i.owner_id = r.owner_id
     AND i.platform = r.platform AND i.revoked_at IS NULL
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
