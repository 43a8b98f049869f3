-- The same for running reviews: by the time when something was last heard of them, or the worker was asked. A step of its own, as the one before it.
--
-- Each sign of progress writes this index; signs are minutes apart, and looks read every review.

CREATE INDEX code_reviews_running ON code_reviews (GREATEST(updated_at, reconciled_at)) WHERE status = 'running';
