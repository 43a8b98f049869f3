-- Holders are judged by all their signs of life, and never by a silence of the database.
ALTER TABLE baton_holders
  ADD COLUMN backend_pid     int,          -- the session that holds its lock; NULL: it signed on without one, or its version is older
  ADD COLUMN silent_since    timestamptz,  -- since when a look has found no new heartbeat; a later heartbeat makes it void
  ADD COLUMN answering_since timestamptz;  -- since when the database has answered without a pause, as its last heartbeat found it;
                                           -- NULL: no pause was ever seen
