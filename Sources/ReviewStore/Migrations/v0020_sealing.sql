-- How tokens and webhook secrets are sealed. Format 1 is what releases up to schema 19 read and write. Format 2 names the key, and
-- binds a ciphertext to its column. All processes write the format that stands here, so that processes of an older release, which run
-- during an upgrade, never meet one that they cannot read. `baton integration reseal` changes it.
CREATE TABLE baton_sealing (
  is_only boolean  PRIMARY KEY DEFAULT true CHECK (is_only),
  format  smallint NOT NULL CHECK (format IN (1, 2))
);

-- The newest format that a process reads. Older releases say nothing, and read format 1.
ALTER TABLE baton_holders ADD COLUMN seal_format smallint NOT NULL DEFAULT 1;

-- A new installation has nothing in format 1, and no older process.
INSERT INTO baton_sealing (format)
SELECT CASE WHEN EXISTS (SELECT 1 FROM platform_integrations) OR EXISTS (SELECT 1 FROM baton_holders) THEN 1 ELSE 2 END;
