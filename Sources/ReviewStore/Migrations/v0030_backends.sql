-- Which sessions a holder has, by the server's processes, as its heartbeat reports them; and whether a look has found none of them. A process
-- that was killed has none left at once; one whose own session was ended has others.
ALTER TABLE baton_holders
  ADD COLUMN backends integer[] NOT NULL DEFAULT '{}',
  ADD COLUMN is_gone boolean NOT NULL DEFAULT false;
