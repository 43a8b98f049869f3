-- Fills the numbers of repositories where they are known, and makes the indexes for them. A step of its own: reviews can be read while it runs, but
-- not written.
LOCK TABLE code_reviews IN SHARE ROW EXCLUSIVE MODE;

-- Of two reviews of the same commit under two names the newer one gets the number: the other stays what it was, a part of the history.
WITH known AS (
  SELECT DISTINCT ON (i.owner_type, i.owner_id, lower(d.payload #>> '{repository,full_name}'))
         i.owner_type, i.owner_id, lower(d.payload #>> '{repository,full_name}') AS name,
         (d.payload #>> '{repository,id}')::bigint AS number
    FROM webhook_deliveries d
    JOIN platform_integrations i ON i.id = d.integration_id AND i.platform = 'github'
   WHERE d.platform = 'github' AND d.payload #>> '{repository,id}' ~ '^[0-9]{1,18}$'
     AND d.payload #>> '{repository,full_name}' <> ''
   ORDER BY 1, 2, 3, d.received_at DESC
),
numbered AS (
  SELECT r.id, r.pr_number, r.head_sha, r.owner_id, r.owner_type, r.platform, r.pr_url, r.created_at,
         COALESCE(r.platform_project_id, k.number) AS number
    FROM code_reviews r
    LEFT JOIN known k
      ON r.platform = 'github' AND k.owner_type = r.owner_type AND k.owner_id = r.owner_id
     AND k.name = lower(r.repo_full_name)
   WHERE r.platform_repository_id IS NULL AND (r.platform = 'gitlab' OR k.number IS NOT NULL)
),
chosen AS (
  SELECT n.id, n.number,
         row_number() OVER (
           PARTITION BY n.number, n.pr_number, n.head_sha, n.owner_id, n.owner_type, n.platform,
                        CASE n.platform WHEN 'gitlab' THEN COALESCE(lower(substring(n.pr_url FROM '^[A-Za-z]+://([^/?#]*)')), '') ELSE '' END
           ORDER BY n.created_at DESC, n.id) AS place
    FROM numbered n
   WHERE n.number > 0
)
UPDATE code_reviews r
   SET platform_repository_id = c.number
  FROM chosen c
 WHERE r.id = c.id AND c.place = 1
   -- One that was inserted between the two steps has its number already.
   AND NOT EXISTS (
     SELECT 1 FROM code_reviews x
      WHERE x.platform_repository_id = c.number AND x.pr_number = r.pr_number AND x.head_sha = r.head_sha
        AND x.owner_id = r.owner_id AND x.owner_type = r.owner_type AND x.platform = r.platform);

-- The instance is the host of the merge request's address; at GitHub it is the one that BATON_GITHUB_API_URL names.
CREATE UNIQUE INDEX code_reviews_repository ON code_reviews (
  platform_repository_id, pr_number, head_sha, owner_id, owner_type, platform,
  (CASE platform WHEN 'gitlab' THEN COALESCE(lower(substring(pr_url FROM '^[A-Za-z]+://([^/?#]*)')), '') ELSE '' END))
  WHERE platform_repository_id IS NOT NULL;

CREATE INDEX code_reviews_name ON code_reviews (lower(repo_full_name), pr_number);
