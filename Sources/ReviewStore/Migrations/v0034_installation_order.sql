-- What has happened to an installation has one order, whatever order GitHub's events come in, and however often each comes: an event that is older
-- than the newest one that was applied changes nothing. The deliveries are kept for some days, this time is kept always.

-- The place of the newest event that was applied; NULL if there was none since this step.
ALTER TABLE platform_integrations ADD COLUMN installation_event_at timestamptz;
-- The place of the event; NULL if an earlier release has written the row.
ALTER TABLE baton_installation_changes ADD COLUMN event_at timestamptz;

CREATE OR REPLACE FUNCTION baton_installation_changed() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
  IF NEW.change = 'provisioned' THEN
    INSERT INTO platform_integrations (id, owner_type, owner_id, platform, installation_id)
    VALUES (NEW.integration_id, NEW.owner_type, NEW.owner_id, 'github', NEW.installation_id);
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
