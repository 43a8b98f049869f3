-- What users of GitHub and GitLab ask for besides pushes: why a pull request was not reviewed, re-runs, merge groups, and installations
-- that are suspended, come back and go.

-- What a delivery is about, for the question why a pull request was not reviewed. Read out of the payload by the database, so that it does
-- not matter which release stores the delivery.
ALTER TABLE webhook_deliveries
  ADD COLUMN about_action     text,
  ADD COLUMN about_repository text,
  ADD COLUMN about_number     int,
  ADD COLUMN about_sha        text;

CREATE INDEX webhook_deliveries_about ON webhook_deliveries (lower(about_repository), about_number, received_at)
  WHERE about_repository IS NOT NULL;

CREATE FUNCTION baton_delivery_about() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  number text;
BEGIN
  IF NEW.platform = 'gitlab' THEN
    NEW.about_action := left(NEW.payload #>> '{object_attributes,action}', 100);
    NEW.about_repository := left(NEW.payload #>> '{project,path_with_namespace}', 500);
    number := CASE WHEN NEW.payload ->> 'object_kind' = 'merge_request' THEN NEW.payload #>> '{object_attributes,iid}'
                   ELSE NEW.payload #>> '{merge_request,iid}' END;
    NEW.about_sha := left(COALESCE(NEW.payload #>> '{object_attributes,last_commit,id}',
                                   NEW.payload #>> '{merge_request,last_commit,id}'), 100);
  ELSE
    NEW.about_action := left(NEW.payload ->> 'action', 100);
    NEW.about_repository := left(NEW.payload #>> '{repository,full_name}', 500);
    number := COALESCE(NEW.payload #>> '{pull_request,number}', NEW.payload #>> '{issue,number}');
    NEW.about_sha := left(COALESCE(NEW.payload #>> '{pull_request,head,sha}', NEW.payload #>> '{check_run,head_sha}',
                                   NEW.payload #>> '{check_suite,head_sha}', NEW.payload #>> '{merge_group,head_sha}'), 100);
  END IF;
  NEW.about_number := CASE WHEN number ~ '^[0-9]{1,9}$' THEN number::int END;
  RETURN NEW;
END $$;

CREATE TRIGGER webhook_deliveries_about
  BEFORE INSERT OR UPDATE OF payload ON webhook_deliveries
  FOR EACH ROW EXECUTE FUNCTION baton_delivery_about();

-- Why an integration is revoked; NULL if an operator has done it. What GitHub has suspended comes back with it, and nothing else does.
ALTER TABLE platform_integrations ADD COLUMN revoked_reason text;

CREATE FUNCTION baton_integration_restored() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.revoked_reason := NULL;
  RETURN NEW;
END $$;

CREATE TRIGGER platform_integrations_restored
  BEFORE UPDATE ON platform_integrations
  FOR EACH ROW WHEN (NEW.revoked_at IS NULL AND NEW.revoked_reason IS NOT NULL)
  EXECUTE FUNCTION baton_integration_restored();

-- What has happened to installations, by GitHub's own events. A server only adds to this list; the change itself is made with the owner's
-- rights, so that the server's account can give no integration back that an operator has revoked.
CREATE TABLE baton_installation_changes (
  id             bigserial PRIMARY KEY,
  at             timestamptz NOT NULL DEFAULT now(),
  change         text NOT NULL CHECK (change IN ('revoked', 'restored', 'provisioned')),
  integration_id uuid NOT NULL,
  reason         text,
  -- Of one that is provisioned.
  owner_type      text,
  owner_id        text,
  installation_id text
);

CREATE FUNCTION baton_installation_changed() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
  IF NEW.change = 'revoked' THEN
    UPDATE platform_integrations
       SET revoked_at = COALESCE(revoked_at, now()), revoked_reason = NEW.reason
     WHERE id = NEW.integration_id AND platform = 'github' AND (revoked_at IS NULL OR revoked_reason IS NOT NULL);
  ELSIF NEW.change = 'restored' THEN
    UPDATE platform_integrations
       SET revoked_at = NULL
     WHERE id = NEW.integration_id AND platform = 'github' AND revoked_at IS NOT NULL AND revoked_reason IS NOT NULL;
  ELSE
    INSERT INTO platform_integrations (id, owner_type, owner_id, platform, installation_id)
    VALUES (NEW.integration_id, NEW.owner_type, NEW.owner_id, 'github', NEW.installation_id);
    INSERT INTO agent_configs (owner_type, owner_id, platform) VALUES (NEW.owner_type, NEW.owner_id, 'github')
    ON CONFLICT DO NOTHING;
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER baton_installation_changes_made
  AFTER INSERT ON baton_installation_changes
  FOR EACH ROW EXECUTE FUNCTION baton_installation_changed();

-- What is to be done at GitHub and GitLab that belongs to no review: the check of a merge group or of an excluded pull request, and a look at
-- a pull request that a person wants to have reviewed. Done until it works, or given up with the reason.
CREATE TABLE baton_platform_tasks (
  id             bigserial PRIMARY KEY,
  kind           text NOT NULL CHECK (kind IN ('check', 'review', 'paths')),
  key            text NOT NULL,                 -- one task for one subject
  integration_id uuid NOT NULL,
  payload        jsonb NOT NULL,
  traceparent    text,
  version        int NOT NULL DEFAULT 1,        -- counts the changes: a task that has changed since it was taken stays due
  tries          int NOT NULL DEFAULT 0,
  created_at     timestamptz NOT NULL DEFAULT now(),
  due_at         timestamptz DEFAULT now(),     -- NULL: given up
  last_error     text,
  UNIQUE (kind, key)
) WITH (fillfactor = 70);
CREATE INDEX baton_platform_tasks_due ON baton_platform_tasks (due_at) WHERE due_at IS NOT NULL;

-- The reviews of a commit that have a check run: "Re-run all checks" names no more than the commit.
CREATE INDEX code_reviews_check ON code_reviews (head_sha) WHERE check_run_id IS NOT NULL;
