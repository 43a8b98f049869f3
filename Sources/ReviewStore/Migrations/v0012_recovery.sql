-- The proof that a ticket is lost. A reaper opens a roll call; it counts as seen when every ticket published before it has left the
-- queue's ready messages; after that each consumer answers it once, with the reviews whose tickets it still has to decide on. A ticket
-- published before a completed roll call, and in no answer, does not exist any more. Many may be open at once: none disturbs another.
-- (baton_queues had one time for all of this, which each new look moved on. Reapers of earlier versions still use it.)
CREATE TABLE baton_roll_calls (
  id         bigserial PRIMARY KEY,
  queue      text NOT NULL,
  started_at timestamptz NOT NULL DEFAULT now(),
  seen_at    timestamptz,                     -- when no ticket published before started_at was ready any more
  waiting    text[] NOT NULL,                 -- the consumers that have not answered yet
  undecided  uuid[] NOT NULL DEFAULT '{}'     -- the reviews whose tickets the consumers had, not yet decided on
);

-- What the worker never accepts has an end. Its due time is then infinite, which keeps reapers of earlier versions from it too.
ALTER TABLE baton_outbox ADD COLUMN given_up_at timestamptz;
