-- The dashboard's sessions, so that one can be ended before its time, on every server and for every copy of its cookie.
CREATE TABLE baton_sessions (
  id text PRIMARY KEY,
  began_at timestamptz NOT NULL DEFAULT now(),
  ends_at timestamptz NOT NULL
);

-- The history names who acted: the person or the token behind a request, which the server sets for its transaction alone, as
-- `baton.actor`; otherwise the program, as before.
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
  SELECT id, NULL, status, COALESCE(status_reason, 'submitted'), COALESCE(NULLIF(current_setting('baton.actor', true), ''), current_setting('application_name'))
    FROM inserted;

  -- Infinitely far is no time to come: a change of it is an event of its own.
  INSERT INTO baton_visits (owner_type, owner_id, due_at)
  SELECT DISTINCT owner_type, owner_id, CASE WHEN available_at > now() THEN available_at END
    FROM inserted
   WHERE status = 'pending' AND available_at < 'infinity';
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
         COALESCE(NULLIF(current_setting('baton.actor', true), ''), current_setting('application_name'))
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
