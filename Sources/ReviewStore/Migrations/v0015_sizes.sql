-- What every lease, webhook and list reads has a bound, also if an application writes it. NOT VALID: a row from before that is larger does not stop
-- the upgrade. It has to be made smaller before it can be changed again.

-- 256 KiB of text: some ten thousand selected repositories. The size is a column, so that a lease need not read the text to know it.
ALTER TABLE agent_configs
  ADD COLUMN config_bytes int GENERATED ALWAYS AS (octet_length(config::text)) STORED;
ALTER TABLE agent_configs
  ADD CONSTRAINT agent_configs_size CHECK (NOT is_enabled OR octet_length(config::text) <= 262144) NOT VALID;

-- A GitLab integration keeps a token of each project in its metadata.
ALTER TABLE platform_integrations
  ADD CONSTRAINT platform_integrations_size CHECK (
    octet_length(metadata::text) <= 4194304 AND octet_length(instance_url) <= 8192
    AND octet_length(token_ciphertext) <= 65536 AND octet_length(webhook_secret_ciphertext) <= 65536) NOT VALID;

-- What else an application writes is part of the unique key, whose index takes no more than some 2,700 bytes.
ALTER TABLE code_reviews
  ADD CONSTRAINT code_reviews_size CHECK (
    octet_length(pr_url) <= 8192 AND octet_length(pr_title) <= 8192 AND octet_length(pr_author) <= 8192
    AND octet_length(base_ref) <= 8192 AND octet_length(head_ref) <= 8192 AND octet_length(user_id) <= 8192
    AND octet_length(previous_session_id) <= 8192) NOT VALID;

-- A live row over the bound could not be leased, nor failed. 2,000 characters have at most 8,000 bytes.
UPDATE code_reviews
   SET pr_url = left(pr_url, 2000), pr_title = left(pr_title, 2000), pr_author = left(pr_author, 2000),
       base_ref = left(base_ref, 2000), head_ref = left(head_ref, 2000), user_id = left(user_id, 2000),
       previous_session_id = left(previous_session_id, 2000)
 WHERE status IN ('pending', 'queued', 'running')
   AND GREATEST(
     octet_length(pr_url), octet_length(pr_title), octet_length(pr_author), octet_length(base_ref),
     octet_length(head_ref), octet_length(user_id), octet_length(previous_session_id)) > 8192;
