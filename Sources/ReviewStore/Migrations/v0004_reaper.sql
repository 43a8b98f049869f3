-- When a reaper last finished a pass, whichever process it was: recovery rests on it, and a reaper that cron runs is gone before
-- anybody could ask it for metrics. One row.
CREATE TABLE baton_reaper (
  is_only     bool PRIMARY KEY DEFAULT true CHECK (is_only),
  last_run_at timestamptz NOT NULL
) WITH (fillfactor = 10);   -- updated every few seconds, on its own page
