-- The hosts of what was due before the step before this one.

UPDATE baton_feedback f
   SET host = COALESCE(i.instance_url, i.platform)
  FROM code_reviews r
  JOIN platform_integrations i ON i.id = r.platform_integration_id
 WHERE r.id = f.review_id AND f.host = '';
UPDATE baton_platform_tasks t
   SET host = COALESCE(i.instance_url, i.platform)
  FROM platform_integrations i
 WHERE i.id = t.integration_id AND t.host = '';
