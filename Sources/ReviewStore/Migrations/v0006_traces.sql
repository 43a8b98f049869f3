-- The trace of the request that a webhook came with: the review that it makes is traced under it, whoever processes it.
ALTER TABLE webhook_deliveries ADD COLUMN traceparent text;
