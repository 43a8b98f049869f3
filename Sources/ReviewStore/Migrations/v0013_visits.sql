-- Which owners a claim looks at, so that a pass costs what may move, not what waits.
--
-- Every event after which a review may be claimable inserts a visit to its owner, in its own transaction: a pending row, a freed slot,
-- another limit, an owner that is resumed. A claim that finds nothing (more) to claim of an owner deletes the owner's visits: those that
-- the snapshot shows in which it found so, hence it has seen what they announced. What commits later brings its own visit.
-- Visits are never changed, and claims skip locked ones, so that no event waits for a claim, and no claim for an event.
CREATE TABLE baton_visits (
  owner_type text NOT NULL,
  owner_id   text NOT NULL,
  due_at     timestamptz            -- when a delayed review comes due; NULL: visit the owner now
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE baton_visits REPLICA IDENTITY FULL;   -- no key: visits may also be deleted if all tables are published

CREATE INDEX baton_visits_now ON baton_visits (owner_id, owner_type) WHERE due_at IS NULL;
CREATE INDEX baton_visits_later ON baton_visits (due_at) WHERE due_at IS NOT NULL;

-- The BATON_OWNER_LIMIT of the producer that started last. An owner without a limit of its own counts as full only if it is full by
-- this limit too: during a restart with a higher one, the producers that leave must not use up the visits of those that come.
CREATE TABLE baton_owner_limit (
  is_only bool PRIMARY KEY DEFAULT true CHECK (is_only),
  value   int NOT NULL
);

-- Until the end of the step no review and no owner is written: each event then has its visit from here, or from its trigger.
LOCK TABLE code_reviews, review_owners IN SHARE ROW EXCLUSIVE MODE;

-- For what a pause holds up: the few owners that are paused.
CREATE INDEX review_owners_paused ON review_owners (owner_id, owner_type) WHERE paused;

CREATE OR REPLACE FUNCTION baton_review_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT 1 FROM inserted i
     WHERE NOT EXISTS (SELECT 1 FROM review_owners o WHERE o.owner_type = i.owner_type AND o.owner_id = i.owner_id)
  ) THEN
    INSERT INTO review_owners (owner_type, owner_id)
    SELECT DISTINCT i.owner_type, i.owner_id
      FROM inserted i
     WHERE NOT EXISTS (SELECT 1 FROM review_owners o WHERE o.owner_type = i.owner_type AND o.owner_id = i.owner_id)
     ORDER BY 1, 2
    ON CONFLICT DO NOTHING;
  END IF;

  INSERT INTO review_transitions (review_id, from_status, to_status, reason, actor)
  SELECT id, NULL, status, COALESCE(status_reason, 'submitted'), current_setting('application_name')
    FROM inserted;

  -- Infinitely far is no time to come: a change of it is an event of its own.
  INSERT INTO baton_visits (owner_type, owner_id, due_at)
  SELECT DISTINCT owner_type, owner_id, CASE WHEN available_at > now() THEN available_at END
    FROM inserted
   WHERE status = 'pending' AND available_at < 'infinity';
  IF FOUND THEN NOTIFY baton_pending; END IF;
  RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION baton_review_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM review_transitions t USING deleted d WHERE t.review_id = d.id;
  INSERT INTO baton_visits (owner_type, owner_id)
  SELECT DISTINCT owner_type, owner_id FROM deleted WHERE status IN ('queued', 'running');
  IF FOUND THEN NOTIFY baton_pending; END IF;
  RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION baton_reviews_moved() RETURNS trigger LANGUAGE plpgsql SET enable_nestloop = off AS $$
DECLARE
  is_awaited bool;
BEGIN
  INSERT INTO review_transitions (review_id, from_status, to_status, reason, actor)
  SELECT n.id, o.status, n.status,
         CASE WHEN n.status_reason IS DISTINCT FROM o.status_reason THEN n.status_reason ELSE n.error_code END,
         current_setting('application_name')
    FROM moved n
    JOIN before o ON o.id = n.id
   WHERE o.status <> n.status;
  IF NOT FOUND THEN RETURN NULL; END IF;

  -- A slot that is free, and what is pending again: now, or at its time. NOTIFY serialises commits, so a freed slot notifies only if a
  -- review of the owner waits for it.
  WITH visit AS (
    INSERT INTO baton_visits (owner_type, owner_id, due_at)
    SELECT DISTINCT n.owner_type, n.owner_id,
           unnest(CASE WHEN n.status = 'pending' AND n.available_at > now() AND n.available_at < 'infinity'
                       THEN ARRAY[NULL, n.available_at] ELSE ARRAY[NULL::timestamptz] END)
      FROM moved n
      JOIN before o ON o.id = n.id
     WHERE o.status <> n.status
       AND (n.status = 'pending' OR o.status IN ('queued', 'running') AND n.status NOT IN ('queued', 'running'))
    RETURNING owner_type, owner_id, due_at
  )
  SELECT bool_or(v.due_at IS NOT NULL OR COALESCE((
           SELECT true
             FROM code_reviews p
            WHERE p.owner_type = v.owner_type AND p.owner_id = v.owner_id
              AND p.status = 'pending' AND p.available_at <= now()
            LIMIT 1), false))
    INTO is_awaited
    FROM visit v;
  IF is_awaited THEN NOTIFY baton_pending; END IF;
  RETURN NULL;
END $$;

-- What else lets a review be claimed, done by hand: another time, another owner.
CREATE FUNCTION baton_review_edited() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO review_owners (owner_type, owner_id) VALUES (NEW.owner_type, NEW.owner_id) ON CONFLICT DO NOTHING;
  INSERT INTO baton_visits (owner_type, owner_id, due_at)
  SELECT NEW.owner_type, NEW.owner_id, CASE WHEN NEW.available_at > now() THEN NEW.available_at END
   WHERE NEW.available_at < 'infinity'
  UNION
  SELECT OLD.owner_type, OLD.owner_id, NULL;
  NOTIFY baton_pending;
  RETURN NULL;
END $$;

CREATE TRIGGER code_reviews_edited
  AFTER UPDATE ON code_reviews
  FOR EACH ROW WHEN (
    NEW.available_at IS DISTINCT FROM OLD.available_at AND NEW.status = 'pending' AND OLD.status = 'pending'
    OR NEW.owner_id <> OLD.owner_id OR NEW.owner_type <> OLD.owner_type)
  EXECUTE FUNCTION baton_review_edited();

-- An owner that is new, or that a person has changed.
CREATE FUNCTION baton_owners_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO baton_visits (owner_type, owner_id) SELECT owner_type, owner_id FROM changed;
  IF FOUND THEN NOTIFY baton_pending; END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER review_owners_inserted_visit
  AFTER INSERT ON review_owners REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION baton_owners_changed();

CREATE TRIGGER review_owners_updated_visit
  AFTER UPDATE ON review_owners REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION baton_owners_changed();

INSERT INTO baton_visits (owner_type, owner_id, due_at)
SELECT DISTINCT owner_type, owner_id, CASE WHEN available_at > now() THEN available_at END
  FROM code_reviews
 WHERE status = 'pending' AND available_at < 'infinity';
