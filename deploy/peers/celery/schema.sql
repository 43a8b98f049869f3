-- What of Baton's tables the benchmarks and `deploy/prove compare` read and write, for a dispatcher on Celery. Their statements fit both.
CREATE TABLE review_owners (owner_type text, owner_id text, max_concurrent int, PRIMARY KEY (owner_type, owner_id));
CREATE TABLE agent_configs (owner_type text, owner_id text, platform text);
CREATE TABLE baton_holders (id text PRIMARY KEY, pid int);
CREATE TABLE code_reviews (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(), owner_type text, owner_id text, platform text, repo_full_name text, pr_number int, pr_url text, pr_title text,
  pr_author text, base_ref text, head_ref text, head_sha text,
  platform_integration_id uuid, status text NOT NULL DEFAULT 'pending', status_reason text, error_code text,
  attempt int NOT NULL DEFAULT 1, created_at timestamptz NOT NULL DEFAULT now(), claimed_by text, claimed_at timestamptz,
  published_at timestamptz, lease_owner text, lease_expires_at timestamptz, dispatched_at timestamptz, completed_at timestamptz);
CREATE INDEX ON code_reviews (created_at) WHERE status = 'pending';
CREATE TABLE review_transitions (
  id bigserial PRIMARY KEY, review_id uuid, at timestamptz DEFAULT clock_timestamp(), from_status text, to_status text);
CREATE FUNCTION keep_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO review_transitions (review_id, from_status, to_status) VALUES (NEW.id, CASE TG_OP WHEN 'UPDATE' THEN OLD.status END, NEW.status);
  RETURN NULL;
END $$;
CREATE TRIGGER keep_insert AFTER INSERT ON code_reviews FOR EACH ROW EXECUTE FUNCTION keep_transition();
CREATE TRIGGER keep_update AFTER UPDATE OF status ON code_reviews FOR EACH ROW WHEN (OLD.status <> NEW.status)
  EXECUTE FUNCTION keep_transition();
