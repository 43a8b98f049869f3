-- What one owner does keeps nothing from another one.

-- The numbers of GitLab projects come from outside: a webhook names one, and `baton catch-up` then looks at that project. A number that is none
-- is not noted, and of an integration no more than 200 projects that no look has been through yet.
DELETE FROM baton_catch_up WHERE kind = 'project' AND subject !~ '^[0-9]{1,18}$';

CREATE INDEX baton_catch_up_unfinished ON baton_catch_up (integration_id, due_at) WHERE kind = 'project' AND finished_at IS NULL;

CREATE OR REPLACE FUNCTION baton_project_seen() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  project text := NEW.payload #>> '{project,id}';
BEGIN
  IF project !~ '^[0-9]{1,18}$' OR EXISTS (
    SELECT 1 FROM baton_catch_up c
     WHERE c.kind = 'project' AND c.integration_id = NEW.integration_id AND c.subject = project
  ) THEN
    RETURN NULL;
  END IF;
  IF (SELECT count(*)
        FROM (SELECT 1 FROM baton_catch_up c
               WHERE c.kind = 'project' AND c.finished_at IS NULL AND c.integration_id = NEW.integration_id
               LIMIT 200) n) >= 200 THEN
    -- One that GitLab did not show gives up its place. The next webhook of a project that is left out notes it.
    DELETE FROM baton_catch_up
     WHERE kind = 'project' AND integration_id = NEW.integration_id AND subject = (
       SELECT c.subject FROM baton_catch_up c
        WHERE c.kind = 'project' AND c.finished_at IS NULL AND c.integration_id = NEW.integration_id AND c.last_error IS NOT NULL
        ORDER BY c.due_at
        LIMIT 1
          FOR UPDATE SKIP LOCKED);
    IF NOT FOUND THEN
      RETURN NULL;
    END IF;
  END IF;
  INSERT INTO baton_catch_up (kind, integration_id, subject) VALUES ('project', NEW.integration_id, project)
  ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;

-- Another account can register a login that is free again. With the login alone it would get the former account's owner when it installs the
-- app. So an integration that an event has made keeps the account's number, which never changes and never comes again.
ALTER TABLE platform_integrations ADD COLUMN account_id text;
ALTER TABLE baton_installation_changes ADD COLUMN account_id text;

CREATE OR REPLACE FUNCTION baton_installation_changed() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
  IF NEW.change = 'provisioned' THEN
    -- Of two accounts at once, the second one sees the first one.
    PERFORM pg_advisory_xact_lock(hashtextextended('baton account of ' || NEW.owner_type || ':' || NEW.owner_id, 0));
    IF EXISTS (
      SELECT 1 FROM platform_integrations i
       WHERE i.owner_type = NEW.owner_type AND i.owner_id = NEW.owner_id AND i.platform = 'github' AND i.account_id <> NEW.account_id
    ) THEN
      RAISE EXCEPTION '%:% belongs to another account', NEW.owner_type, NEW.owner_id
        USING ERRCODE = 'check_violation', CONSTRAINT = 'platform_integrations_account', TABLE = 'platform_integrations',
              HINT = 'If both are the same owner, add the integration by hand: baton integration add';
    END IF;
    INSERT INTO platform_integrations (id, owner_type, owner_id, platform, installation_id, account_id)
    VALUES (NEW.integration_id, NEW.owner_type, NEW.owner_id, 'github', NEW.installation_id, NEW.account_id);
    INSERT INTO agent_configs (owner_type, owner_id, platform) VALUES (NEW.owner_type, NEW.owner_id, 'github')
    ON CONFLICT DO NOTHING;
    RETURN NULL;
  END IF;
  IF NEW.change = 'revoked' THEN
    UPDATE platform_integrations
       SET revoked_at = COALESCE(revoked_at, now()), revoked_reason = NEW.reason
     WHERE id = NEW.integration_id AND platform = 'github' AND (revoked_at IS NULL OR revoked_reason IS NOT NULL)
       AND (installation_event_at > NEW.event_at) IS NOT TRUE;
  ELSE
    UPDATE platform_integrations
       SET revoked_at = NULL
     WHERE id = NEW.integration_id AND platform = 'github' AND revoked_at IS NOT NULL AND revoked_reason IS NOT NULL
       AND (installation_event_at > NEW.event_at) IS NOT TRUE;
  END IF;
  -- Also if an operator's revocation stands: the event has its place.
  UPDATE platform_integrations
     SET installation_event_at = NEW.event_at
   WHERE id = NEW.integration_id AND platform = 'github'
     AND (installation_event_at IS NULL AND NEW.event_at IS NOT NULL OR installation_event_at < NEW.event_at);
  RETURN NULL;
END $$;
