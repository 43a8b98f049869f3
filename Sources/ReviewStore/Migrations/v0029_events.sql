-- Events for other programs: the end of each review, sent to the endpoints that an operator has added. An event is written by the transaction
-- that ends the review, and is sent by `serve` until the endpoint accepts it.

CREATE TABLE baton_endpoints (
  id                uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  url               text NOT NULL,
  secret_ciphertext bytea NOT NULL,                -- signs the events; a list "new,old" while it is exchanged
  owner_type        text CHECK (owner_type IN ('user', 'org')),
  owner_id          text,                          -- NULL: events of every owner
  is_enabled        bool NOT NULL DEFAULT true,    -- if not, nothing is written for it, and nothing sent
  created_at        timestamptz NOT NULL DEFAULT now(),
  -- Its circuit, the same for all servers.
  failures          int NOT NULL DEFAULT 0,        -- since the last event that it accepted
  failing_since     timestamptz,
  blocked_until     timestamptz,
  accepted_at       timestamptz,                   -- when it last accepted one, to within some seconds
  last_error        text,
  CHECK ((owner_type IS NULL) = (owner_id IS NULL))
) WITH (fillfactor = 50);

CREATE TABLE baton_events (
  id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  endpoint_id uuid NOT NULL,
  review_id   uuid NOT NULL,
  payload     jsonb NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT now(),
  due_at      timestamptz DEFAULT now(),           -- NULL: given up
  taken_until timestamptz,                         -- while a server sends it
  tries       int NOT NULL DEFAULT 0,
  last_error  text,
  given_up_at timestamptz
) WITH (fillfactor = 70);
CREATE INDEX baton_events_due ON baton_events (endpoint_id, due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX baton_events_taken ON baton_events (endpoint_id) WHERE taken_until IS NOT NULL;
CREATE INDEX baton_events_given_up ON baton_events (given_up_at) WHERE given_up_at IS NOT NULL;

-- No NOTIFY, which would serialise the commits of every end for what may wait a second.
CREATE FUNCTION baton_review_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
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
  RETURN NULL;
END $$;

-- Claims, leases and dispatches pay no more for it than a look at the condition.
CREATE TRIGGER code_reviews_event
  AFTER UPDATE ON code_reviews
  FOR EACH ROW WHEN (OLD.status <> NEW.status AND NEW.status IN ('completed', 'failed', 'cancelled'))
  EXECUTE FUNCTION baton_review_event();

CREATE FUNCTION baton_endpoint_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM baton_events e USING deleted d WHERE e.endpoint_id = d.id;
  RETURN NULL;
END $$;

CREATE TRIGGER baton_endpoints_deleted
  AFTER DELETE ON baton_endpoints REFERENCING OLD TABLE AS deleted
  FOR EACH STATEMENT EXECUTE FUNCTION baton_endpoint_deleted();
