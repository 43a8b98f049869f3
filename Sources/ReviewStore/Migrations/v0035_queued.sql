-- Recovery looks at what is queued. It found it by reading all active reviews, so each of its looks cost more the more reviews ran as they should.
-- A step of its own: reviews can be read while the index is built.
--
-- Its column is not written while a review is queued: a lease, a publication and a dispatch touch no index.

CREATE INDEX code_reviews_queued ON code_reviews (created_at) WHERE status = 'queued';
