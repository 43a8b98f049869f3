-- How far `baton catch-up` has come, for whichever process goes on.

-- What is looked through, one row each: the deliveries that GitHub could not deliver, each installation's and each GitLab project's open
-- pull requests. The row that has waited longest is next, so that no installation waits for the others.
CREATE TABLE baton_catch_up (
  kind           text NOT NULL CHECK (kind IN ('deliveries', 'installation', 'project')),
  integration_id uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
  -- The project's number at GitLab, '' otherwise.
  subject        text NOT NULL DEFAULT '',
  -- Where the look goes on: a cursor or a page; NULL at the beginning.
  position       text,
  -- Up to when everything has been looked at, by the platform's clock.
  done_up_to     timestamptz,
  -- When the present look began.
  begun_at       timestamptz,
  finished_at    timestamptz,
  due_at         timestamptz NOT NULL DEFAULT now(),
  last_error     text,
  PRIMARY KEY (kind, integration_id, subject)
);
CREATE INDEX baton_catch_up_due ON baton_catch_up (due_at);

-- The projects whose webhooks an integration has received: a token of GitLab may see many more.
INSERT INTO baton_catch_up (kind, integration_id, subject)
SELECT DISTINCT 'project', r.platform_integration_id, r.platform_project_id::text
  FROM code_reviews r
 WHERE r.platform = 'gitlab' AND r.platform_integration_id IS NOT NULL AND r.platform_project_id IS NOT NULL;

CREATE FUNCTION baton_project_seen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO baton_catch_up (kind, integration_id, subject)
  VALUES ('project', NEW.integration_id, left(NEW.payload #>> '{project,id}', 20))
  ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;

CREATE TRIGGER webhook_deliveries_project_seen
  AFTER INSERT ON webhook_deliveries
  FOR EACH ROW WHEN (
    NEW.platform = 'gitlab' AND NEW.integration_id IS NOT NULL AND NEW.payload #>> '{project,id}' ~ '^[0-9]+$')
  EXECUTE FUNCTION baton_project_seen();
