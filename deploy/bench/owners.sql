-- What Baton needs in addition to the reviews: each of the hundred owners has a configuration and an integration.
INSERT INTO agent_configs (owner_type, owner_id, platform, is_enabled, config)
SELECT 'org', 'o' || g, 'github', true, '{"review_style": "balanced", "model_slug": "m"}'
FROM generate_series(0, 99) g
ON CONFLICT DO NOTHING;

INSERT INTO platform_integrations (id, owner_type, owner_id, platform, installation_id)
SELECT md5('o' || g)::uuid, 'org', 'o' || g, 'github', (1000000 + g)::text
FROM generate_series(0, 99) g
ON CONFLICT DO NOTHING;
