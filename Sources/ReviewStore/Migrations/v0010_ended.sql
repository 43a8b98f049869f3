-- What is pruned: by its end, whenever it began. Written once in a review's life, by the update that ends it.
-- A step of its own: while it is built, nobody writes to the reviews.
CREATE INDEX code_reviews_ended ON code_reviews (completed_at, id) WHERE status IN ('completed', 'failed', 'cancelled');
