-- The index of what is pending, in the order of turns (see version 32). A step of its own: reviews can be read while it is built.
--
-- Producers of an older version sort their owners' pending reviews until they are replaced.

CREATE INDEX code_reviews_turns
  ON code_reviews (owner_id, owner_type, priority DESC, COALESCE(place_at, available_at), id, available_at)
  WHERE status = 'pending';
DROP INDEX code_reviews_pending;
