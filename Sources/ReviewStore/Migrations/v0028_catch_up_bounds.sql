-- Where the first look at open pull requests ends, for `baton catch-up`. Everything that is known at this upgrade has had its webhooks until now, so its
-- first look goes back three days, as far as GitHub keeps deliveries, and an upgrade starts no flood of reviews of old pull requests. What comes
-- later has no such bound unless a setting gives one.
ALTER TABLE baton_catch_up ADD COLUMN since timestamptz;

INSERT INTO baton_catch_up (kind, integration_id)
SELECT 'installation', i.id
  FROM platform_integrations i
 WHERE i.platform = 'github' AND i.installation_id IS NOT NULL
ON CONFLICT DO NOTHING;

UPDATE baton_catch_up SET since = now() - interval '3 days' WHERE kind <> 'deliveries';

-- The order in which looks have their turn, so that the next one is found without sorting all.
DROP INDEX baton_catch_up_due;
CREATE INDEX baton_catch_up_due ON baton_catch_up (due_at, kind, integration_id);
