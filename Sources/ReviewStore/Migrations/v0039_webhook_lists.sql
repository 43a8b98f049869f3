-- Those that were given up are counted at each look at the load. Without it, the newest webhooks were read for them.
CREATE INDEX webhook_deliveries_given_up ON webhook_deliveries (processed_at) WHERE outcome LIKE 'given up: %';

-- The list of a repository's, newest first. Without it, half of all were read for a page if the planner took few repositories for many.
CREATE INDEX webhook_deliveries_repository ON webhook_deliveries (lower(about_repository), received_at DESC, delivery_id DESC)
  WHERE about_repository IS NOT NULL;
