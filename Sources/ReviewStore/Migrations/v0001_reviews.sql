-- The truth about reviews. Every rule that must hold whoever writes (a role, an application, a person in psql) stands
-- here: which status may follow which, what a status implies for the other columns, the record of each change, the
-- owner's row, and the wake-up of the producers.

CREATE TABLE review_owners (
  owner_type     text NOT NULL CHECK (owner_type IN ('user', 'org')),
  owner_id       text NOT NULL CHECK (owner_id <> ''),
  max_concurrent int CHECK (max_concurrent >= 0),   -- NULL: BATON_OWNER_LIMIT
  paused         bool NOT NULL DEFAULT false,
  PRIMARY KEY (owner_type, owner_id)
);

CREATE TABLE agent_configs (
  id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  owner_type text NOT NULL CHECK (owner_type IN ('user', 'org')),
  owner_id   text NOT NULL,
  platform   text NOT NULL CHECK (platform IN ('github', 'gitlab')),
  is_enabled bool NOT NULL DEFAULT true,
  config     jsonb NOT NULL DEFAULT '{}',
  UNIQUE (owner_type, owner_id, platform)
);

CREATE TABLE platform_integrations (
  id                        uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  owner_type                text NOT NULL CHECK (owner_type IN ('user', 'org')),
  owner_id                  text NOT NULL,
  platform                  text NOT NULL CHECK (platform IN ('github', 'gitlab')),
  installation_id           text,
  instance_url              text,
  token_ciphertext          bytea,
  webhook_secret_ciphertext bytea,
  metadata                  jsonb NOT NULL DEFAULT '{}',
  revoked_at                timestamptz,
  created_at                timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX platform_integrations_owner ON platform_integrations (owner_type, owner_id, platform);
CREATE INDEX platform_integrations_installation ON platform_integrations (platform, installation_id);

CREATE TABLE code_reviews (
  id                      uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  owner_type              text NOT NULL CHECK (owner_type IN ('user', 'org')),
  owner_id                text NOT NULL CHECK (owner_id <> ''),
  user_id                 text,
  platform                text NOT NULL CHECK (platform IN ('github', 'gitlab')),
  platform_integration_id uuid,
  platform_project_id     bigint,
  repo_full_name          text NOT NULL,
  pr_number               int NOT NULL,
  pr_url                  text NOT NULL,
  pr_title                text NOT NULL,
  pr_author               text NOT NULL,
  base_ref                text NOT NULL,
  head_ref                text NOT NULL,
  head_sha                text NOT NULL,
  status                  text NOT NULL DEFAULT 'pending'
    CHECK (status IN ('pending', 'queued', 'running', 'completed', 'failed', 'cancelled')),
  status_reason           text,                             -- why the status is what it is, for people
  priority                smallint NOT NULL DEFAULT 0,
  attempt                 int NOT NULL DEFAULT 1 CHECK (attempt >= 1),
  available_at            timestamptz NOT NULL DEFAULT now(),
  claimed_at              timestamptz,
  claimed_by              text,                             -- the holder that owes the publish
  published_at            timestamptz,
  republish_count         int NOT NULL DEFAULT 0,
  lease_losses            int NOT NULL DEFAULT 0,
  pr_updated_at           timestamptz,
  lease_owner             text,
  lease_expires_at        timestamptz,
  dispatch_failures       int NOT NULL DEFAULT 0,
  prepared_at             timestamptz,                      -- when the payload was ready that was dispatched
  dispatched_at           timestamptz,
  reconciled_at           timestamptz,                      -- when the worker was last asked about a silent run
  session_id              text,
  cli_session_id          text,
  agent_version           text,
  previous_session_id     text,
  error_code              text,
  error_message           text,
  started_at              timestamptz,
  completed_at            timestamptz,
  created_at              timestamptz NOT NULL DEFAULT now(),
  updated_at              timestamptz NOT NULL DEFAULT now(),
  check_run_id            bigint,
  model                   text,
  total_tokens_in         bigint,
  total_tokens_out        bigint,
  total_cost_microusd     bigint,
  traceparent             text,
  -- The most telling column first: an insert and a claim compare it with some fifteen others.
  UNIQUE (pr_number, repo_full_name, head_sha, owner_id, owner_type, platform)
) WITH (
  fillfactor = 70,                          -- room for the three updates of a dispatch, which touch no indexed column
  autovacuum_vacuum_scale_factor = 0.05,
  autovacuum_analyze_scale_factor = 0.02
);

-- Each hot statement reads one of the two partial indexes, so that its cost follows the live rows, not the history.
-- Lease, publication and dispatch change no column of any index: such updates stay on the row's page (HOT).
CREATE INDEX code_reviews_pending ON code_reviews (owner_id, owner_type, priority DESC, available_at, id)
  WHERE status = 'pending';
-- Under a condition of its own, which only the questions about time repeat: with statistics from when nothing was pending, a claim
-- would take this index for as good as the one above, and read it whole for every owner.
CREATE INDEX code_reviews_due ON code_reviews (available_at) WHERE lower(status) = 'pending';
CREATE INDEX code_reviews_active ON code_reviews (owner_id, owner_type, status) WHERE status IN ('queued', 'running');
CREATE INDEX code_reviews_created ON code_reviews (created_at DESC, id DESC);

CREATE TABLE review_transitions (
  id          bigserial NOT NULL,
  review_id   uuid NOT NULL,
  at          timestamptz NOT NULL DEFAULT clock_timestamp(),
  from_status text,
  to_status   text NOT NULL,
  reason      text,
  actor       text,
  PRIMARY KEY (review_id, id)
);

CREATE TABLE webhook_deliveries (
  platform     text NOT NULL,
  delivery_id  text NOT NULL,
  event        text NOT NULL,
  payload      jsonb NOT NULL,
  received_at  timestamptz NOT NULL DEFAULT now(),
  processed_at timestamptz,
  outcome      text,
  PRIMARY KEY (platform, delivery_id)
);

-- A holder is one start of a process that claims or leases. It lives while its heartbeat is fresh and its session
-- holds the advisory lock of its lock_id.
CREATE TABLE baton_holders (
  id               text PRIMARY KEY,
  role             text NOT NULL,
  host             text NOT NULL,
  pid              int NOT NULL,
  lock_id          int NOT NULL GENERATED ALWAYS AS IDENTITY,
  started_at       timestamptz NOT NULL DEFAULT now(),
  heartbeat_at     timestamptz NOT NULL DEFAULT now(),
  lock_free_since  timestamptz,               -- since when its lock has been seen free; NULL while it is held
  unleased_tickets int NOT NULL DEFAULT 0,    -- deliveries in hand for which no lease was decided yet
  in_flight        int NOT NULL DEFAULT 0,
  leased_up_to     timestamptz                -- when the newest ticket was claimed that came to it first and was leased
) WITH (fillfactor = 50);

-- When the work queue was last seen without a ready message: one half of the proof that a ticket is lost.
CREATE TABLE baton_queues (
  queue    text PRIMARY KEY,
  empty_at timestamptz NOT NULL
);

-- Workers that have answered GET /reviews/{id} with 200 once: from then on their 404 is evidence.
CREATE TABLE baton_workers (
  url         text PRIMARY KEY,
  answered_at timestamptz NOT NULL DEFAULT now()
);

-- What has to be told to others, and is told until it is accepted.
CREATE TABLE baton_outbox (
  id         bigserial PRIMARY KEY,
  kind       text NOT NULL CHECK (kind IN ('worker_cancel')),
  review_id  uuid NOT NULL,
  attempt    int NOT NULL,
  payload    jsonb NOT NULL DEFAULT '{}',
  tries      int NOT NULL DEFAULT 0,
  due_at     timestamptz NOT NULL DEFAULT now(),
  created_at timestamptz NOT NULL DEFAULT now(),
  last_error text,
  UNIQUE (kind, review_id, attempt)
);
CREATE INDEX baton_outbox_due ON baton_outbox (due_at);

CREATE FUNCTION baton_review_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO review_owners (owner_type, owner_id)
  SELECT DISTINCT i.owner_type, i.owner_id
    FROM inserted i
   WHERE NOT EXISTS (SELECT 1 FROM review_owners o WHERE o.owner_type = i.owner_type AND o.owner_id = i.owner_id)
   ORDER BY 1, 2
  ON CONFLICT DO NOTHING;

  INSERT INTO review_transitions (review_id, from_status, to_status, reason, actor)
  SELECT id, NULL, status, COALESCE(status_reason, 'submitted'), current_setting('application_name')
    FROM inserted;

  IF EXISTS (SELECT 1 FROM inserted WHERE status = 'pending') THEN
    NOTIFY baton_pending;
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER code_reviews_inserted
  AFTER INSERT ON code_reviews REFERENCING NEW TABLE AS inserted
  FOR EACH STATEMENT EXECUTE FUNCTION baton_review_inserted();

CREATE FUNCTION baton_review_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM review_transitions t USING deleted d WHERE t.review_id = d.id;
  RETURN NULL;
END $$;

CREATE TRIGGER code_reviews_deleted
  AFTER DELETE ON code_reviews REFERENCING OLD TABLE AS deleted
  FOR EACH STATEMENT EXECUTE FUNCTION baton_review_deleted();

-- Runs only for rows whose status changes. What a status implies for the other columns is decided here, so that no
-- statement can forget it. A claim that says itself what it implies is spared the call.
CREATE FUNCTION baton_review_changed() RETURNS trigger LANGUAGE plpgsql AS $$
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
    ELSE false
  END;
  IF NOT is_allowed THEN
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

CREATE TRIGGER code_reviews_changed
  BEFORE UPDATE ON code_reviews
  FOR EACH ROW WHEN (
    OLD.status IS DISTINCT FROM NEW.status
    AND NOT (OLD.status = 'pending' AND NEW.status = 'queued' AND NEW.claimed_at = NEW.updated_at))
  EXECUTE FUNCTION baton_review_changed();

-- Records the transitions of a statement, and wakes the producers. Once for all its rows: for each row it would double the cost
-- of a claim. Without nested loops, because the plan is made for the session's first statement, which may have changed one row, and
-- kept for those that change a thousand.
CREATE FUNCTION baton_reviews_moved() RETURNS trigger LANGUAGE plpgsql SET enable_nestloop = off AS $$
BEGIN
  INSERT INTO review_transitions (review_id, from_status, to_status, reason, actor)
  SELECT n.id, o.status, n.status,
         CASE WHEN n.status_reason IS DISTINCT FROM o.status_reason THEN n.status_reason ELSE n.error_code END,
         current_setting('application_name')
    FROM moved n
    JOIN before o ON o.id = n.id
   WHERE o.status <> n.status;
  IF NOT FOUND THEN RETURN NULL; END IF;

  -- NOTIFY serialises commits, so a freed slot is told only where somebody waits for it.
  IF EXISTS (
    SELECT 1
      FROM moved n
      JOIN before o ON o.id = n.id
     WHERE o.status <> n.status
       AND CASE
             WHEN n.status = 'pending' THEN true
             WHEN o.status IN ('queued', 'running') AND n.status NOT IN ('queued', 'running') THEN
               (SELECT true
                  FROM code_reviews p
                 WHERE p.owner_type = n.owner_type AND p.owner_id = n.owner_id
                   AND p.status = 'pending' AND p.available_at <= now()
                 LIMIT 1)
           END
  ) THEN
    NOTIFY baton_pending;
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER code_reviews_moved
  AFTER UPDATE ON code_reviews REFERENCING OLD TABLE AS before NEW TABLE AS moved
  FOR EACH STATEMENT EXECUTE FUNCTION baton_reviews_moved();

CREATE FUNCTION baton_owner_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NOTIFY baton_pending;
  RETURN NULL;
END $$;

CREATE TRIGGER review_owners_changed
  AFTER UPDATE ON review_owners
  FOR EACH ROW WHEN (OLD.paused IS DISTINCT FROM NEW.paused OR OLD.max_concurrent IS DISTINCT FROM NEW.max_concurrent)
  EXECUTE FUNCTION baton_owner_changed();

-- A cancelled run is told to the worker through the outbox, in the transaction that cancels the row.
CREATE FUNCTION baton_outbox_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NOTIFY baton_outbox;
  RETURN NULL;
END $$;

CREATE TRIGGER baton_outbox_inserted
  AFTER INSERT ON baton_outbox FOR EACH STATEMENT EXECUTE FUNCTION baton_outbox_inserted();
