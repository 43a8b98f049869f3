-- SQL roles with the least rights that each part needs, in the database of Baton: see deploy/roles.md.
--
--   psql -v schema=baton -f deploy/postgres/roles.sql postgresql://postgres@db.example.com/app
--
-- Run it after `baton migrate`, at the first time and at every upgrade, as a superuser or as the schema's owner with CREATEROLE. It may be
-- run twice. All rights of these roles on Baton's tables are set anew in one transaction, so processes at work notice nothing.
-- Variables: schema (public), prefix of the roles' names (baton_). The roles cannot log in: grant them to accounts that can.

\set ON_ERROR_STOP on
\if :{?schema}
\else
  \set schema public
\endif
\if :{?prefix}
\else
  \set prefix baton_
\endif

BEGIN;
SET LOCAL client_min_messages = warning;
SET LOCAL search_path = pg_catalog, pg_temp;

-- Who may do what with which tables. `only` and `but` limit a right to some columns.
CREATE TEMPORARY TABLE rule (roles text[], rights text[], tables text[], only_columns text[], but_columns text[])
  ON COMMIT DROP;
INSERT INTO pg_temp.rule VALUES
  -- Coordination and figures, without a secret: every process measures them.
  ('{produce,consume,reap}', '{SELECT}',
   '{code_reviews,review_owners,baton_migrations,baton_counts,baton_feedback,baton_holders,baton_outbox,baton_owner_limit,baton_queues,baton_reaper,baton_roll_calls,baton_visits,baton_workers,baton_sealing}', NULL, NULL),
  ('{produce,consume,reap}', '{SELECT}', '{webhook_deliveries}', '{received_at,due_at,processed_at}', NULL),
  ('{produce,consume,reap}', '{SELECT}', '{baton_events}', '{endpoint_id,created_at,due_at,given_up_at}', NULL),
  ('{produce,consume,reap}', '{SELECT}', '{baton_endpoints}', '{id,is_enabled,failures,failing_since}', NULL),
  ('{produce,consume,reap}', '{INSERT,UPDATE,DELETE}', '{baton_holders}', NULL, NULL),
  -- They change how far a review is, not whose it is and with what it is read.
  ('{produce,consume,reap}', '{UPDATE}', '{code_reviews}', NULL,
   '{id,owner_type,owner_id,platform,platform_integration_id,platform_repository_id}'),

  ('{produce}', '{INSERT}', '{review_owners}', NULL, NULL),
  ('{produce}', '{UPDATE}', '{review_owners}', '{paused}', NULL),   -- to lock the row; it changes none
  ('{produce}', '{INSERT,UPDATE,DELETE}', '{baton_visits}', NULL, NULL),
  ('{produce}', '{INSERT,UPDATE}', '{baton_owner_limit}', NULL, NULL),

  ('{consume}', '{SELECT}', '{agent_configs}', NULL, NULL),
  ('{consume}', '{SELECT}', '{platform_integrations}', NULL, '{webhook_secret_ciphertext}'),
  ('{consume}', '{UPDATE}', '{platform_integrations}', '{token_ciphertext,metadata}', NULL),   -- tokens that are renewed
  ('{consume}', '{UPDATE}', '{baton_roll_calls}', NULL, NULL),
  ('{consume}', '{INSERT}', '{baton_outbox,baton_workers}', NULL, NULL),

  ('{reap}', '{INSERT,UPDATE,DELETE}', '{baton_outbox,baton_roll_calls}', NULL, NULL),
  ('{reap}', '{INSERT,UPDATE}', '{baton_counts,baton_reaper,baton_workers}', NULL, NULL),

  -- Catch-up, also of a reaper with BATON_ENCRYPTION_KEY: it calls the platforms with the integrations' tokens, and stores what it finds as
  -- if a webhook had brought it.
  ('{catch_up}', '{SELECT}', '{code_reviews,baton_migrations,baton_sealing}', NULL, NULL),
  ('{catch_up}', '{SELECT}', '{platform_integrations}', NULL, '{webhook_secret_ciphertext}'),
  ('{catch_up}', '{UPDATE}', '{platform_integrations}', '{token_ciphertext,metadata}', NULL),
  ('{catch_up}', '{SELECT,INSERT,UPDATE}', '{webhook_deliveries,baton_catch_up,baton_counts}', NULL, NULL),

  ('{serve}', '{SELECT}', '{agent_configs,platform_integrations,review_transitions}', NULL, NULL),
  ('{serve}', '{UPDATE}', '{platform_integrations}', '{token_ciphertext,metadata}', NULL),
  ('{serve}', '{SELECT,INSERT,UPDATE}', '{code_reviews,review_owners}', NULL, NULL),
  ('{serve}', '{SELECT,INSERT,UPDATE,DELETE}', '{webhook_deliveries,baton_%}', NULL, NULL),

  ('{operator}', '{SELECT}', '{review_transitions}', NULL, NULL),
  ('{operator}', '{SELECT,INSERT,UPDATE,DELETE}',
   '{code_reviews,review_owners,agent_configs,platform_integrations,webhook_deliveries,baton_%}', NULL, NULL),

  -- Everything but secrets, their ciphertexts, and the bodies of webhooks.
  ('{reader}', '{SELECT}',
   '{code_reviews,review_owners,review_transitions,agent_configs,platform_integrations,webhook_deliveries,baton_migrations,baton_counts,baton_feedback,baton_holders,baton_outbox,baton_owner_limit,baton_queues,baton_reaper,baton_roll_calls,baton_visits,baton_workers,baton_sealing,baton_catch_up,baton_platform_tasks,baton_installation_changes,baton_events,baton_endpoints}', NULL,
   '{token_ciphertext,webhook_secret_ciphertext,secret_ciphertext,metadata,payload}'),

  -- Gives Baton reviews, limits and configurations, and reads them and their history.
  ('{application}', '{INSERT}', '{code_reviews}',
   '{id,owner_type,owner_id,user_id,platform,platform_integration_id,platform_project_id,platform_repository_id,repo_full_name,pr_number,pr_url,pr_title,pr_author,base_ref,head_ref,head_sha,priority,available_at,pr_updated_at,previous_session_id,created_at,traceparent}', NULL),
  ('{application}', '{SELECT}', '{code_reviews,review_transitions}', NULL, NULL),
  ('{application}', '{SELECT,INSERT,UPDATE}', '{review_owners,agent_configs}', NULL, NULL),
  ('{application}', '{SELECT}', '{platform_integrations}',
   '{id,owner_type,owner_id,platform,installation_id,instance_url,revoked_at,created_at}', NULL);

CREATE TEMPORARY VIEW baton_table AS
SELECT c.oid, c.relname AS name
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = :'schema' AND c.relkind IN ('r', 'p')
   AND (c.relname IN ('code_reviews', 'review_owners', 'review_transitions', 'agent_configs', 'platform_integrations',
                      'webhook_deliveries') OR c.relname LIKE 'baton\_%');

-- One line for each role, table and right. Only the owner writes the list of applied migrations.
CREATE TEMPORARY VIEW wanted AS
SELECT :'prefix' || role AS role, t.oid, t.name, r.right, r.only_columns, r.but_columns
  FROM (SELECT unnest(roles) AS role, tables, u.right, only_columns, but_columns
          FROM pg_temp.rule, unnest(rights) AS u ("right")) r
  JOIN pg_temp.baton_table t ON t.name LIKE ANY (r.tables)
 WHERE t.name <> 'baton_migrations' OR r.right = 'SELECT';

SELECT format('DO $$ BEGIN RAISE EXCEPTION %L; END $$', format('schema %s has no tables of Baton: run baton migrate', :'schema'))
 WHERE NOT EXISTS (SELECT FROM pg_temp.baton_table)
\gexec

SELECT format('CREATE ROLE %I NOLOGIN', :'prefix' || role)
  FROM (SELECT DISTINCT unnest(roles) AS role FROM pg_temp.rule) r
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'prefix' || role)
 ORDER BY 1
\gexec

SELECT format('REVOKE ALL ON TABLE %I.%I FROM %I', :'schema', t.name, :'prefix' || role)
  FROM (SELECT DISTINCT unnest(roles) AS role FROM pg_temp.rule) r, pg_temp.baton_table t
\gexec

SELECT format('GRANT USAGE ON SCHEMA %I TO %I', :'schema', :'prefix' || role)
  FROM (SELECT DISTINCT unnest(roles) AS role FROM pg_temp.rule) r
\gexec

-- An object in the schema could come in the way of what the trigger functions call.
SELECT format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC', :'schema')
 WHERE has_schema_privilege('public', :'schema', 'CREATE')
\gexec

SELECT format('GRANT %s ON TABLE %I.%I TO %I', w.right, :'schema', w.name, w.role)
  FROM pg_temp.wanted w
 WHERE w.only_columns IS NULL AND NOT EXISTS (
   SELECT FROM pg_attribute a WHERE a.attrelid = w.oid AND a.attname = ANY (w.but_columns) AND NOT a.attisdropped)
\gexec

SELECT format('GRANT %s (%s) ON TABLE %I.%I TO %I', w.right, string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum), :'schema',
              w.name, w.role)
  FROM pg_temp.wanted w
  JOIN pg_attribute a ON a.attrelid = w.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE a.attname = ANY (w.only_columns)
    OR w.only_columns IS NULL AND a.attname <> ALL (w.but_columns) AND EXISTS (
      SELECT FROM pg_attribute b WHERE b.attrelid = w.oid AND b.attname = ANY (w.but_columns) AND NOT b.attisdropped)
 GROUP BY w.right, w.name, w.role
\gexec

-- What numbers the rows that a role inserts.
SELECT DISTINCT format('GRANT USAGE ON SEQUENCE %s TO %I', s.oid::regclass, w.role)
  FROM pg_temp.wanted w
  JOIN pg_depend d ON d.refobjid = w.oid AND d.refclassid = 'pg_class'::regclass AND d.classid = 'pg_class'::regclass
  JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' AND d.deptype = 'a'
 WHERE w.right = 'INSERT'
\gexec

DROP VIEW pg_temp.wanted, pg_temp.baton_table;
COMMIT;
