-- Times that can be compared and subtracted, and counters that can be counted up, also when people or applications write them.
-- Only `available_at` may be infinite: such a review is held, and is never due until someone changes it.
--
-- The constraints come first, so that the lock which they need is taken once. They are not validated, which would read the history
-- again; but an update of a row looks at them, so rows that break them are repaired here. In as few words as possible, because a
-- statement that writes one row reads the condition anew: GREATEST and LEAST pass over NULL.
ALTER TABLE code_reviews
  ADD CONSTRAINT code_reviews_finite_times CHECK (
    isfinite(GREATEST(created_at, updated_at, claimed_at, published_at, lease_expires_at, prepared_at, dispatched_at,
                      reconciled_at, started_at, completed_at, pr_updated_at))
    AND isfinite(LEAST(available_at, created_at, updated_at, claimed_at, published_at, lease_expires_at, prepared_at,
                       dispatched_at, reconciled_at, started_at, completed_at, pr_updated_at))) NOT VALID,
  ADD CONSTRAINT code_reviews_small_counters CHECK (
    LEAST(republish_count, lease_losses, dispatch_failures) >= 0
    AND GREATEST(republish_count, lease_losses, dispatch_failures, attempt) <= 1000000) NOT VALID;

UPDATE code_reviews
   SET available_at = CASE available_at WHEN '-infinity' THEN now() ELSE available_at END,
       created_at = CASE WHEN isfinite(created_at) THEN created_at ELSE now() END,
       updated_at = CASE WHEN isfinite(updated_at) THEN updated_at ELSE now() END,
       claimed_at = CASE WHEN isfinite(claimed_at) IS NOT FALSE THEN claimed_at ELSE now() END,
       published_at = CASE WHEN isfinite(published_at) IS NOT FALSE THEN published_at ELSE now() END,
       lease_expires_at = CASE WHEN isfinite(lease_expires_at) IS NOT FALSE THEN lease_expires_at ELSE now() END,
       prepared_at = CASE WHEN isfinite(prepared_at) IS NOT FALSE THEN prepared_at ELSE now() END,
       dispatched_at = CASE WHEN isfinite(dispatched_at) IS NOT FALSE THEN dispatched_at ELSE now() END,
       reconciled_at = CASE WHEN isfinite(reconciled_at) THEN reconciled_at END,
       started_at = CASE WHEN isfinite(started_at) IS NOT FALSE THEN started_at ELSE now() END,
       completed_at = CASE WHEN isfinite(completed_at) IS NOT FALSE THEN completed_at ELSE now() END,
       pr_updated_at = CASE WHEN isfinite(pr_updated_at) THEN pr_updated_at END,
       republish_count = LEAST(GREATEST(republish_count, 0), 1000000),
       lease_losses = LEAST(GREATEST(lease_losses, 0), 1000000),
       dispatch_failures = LEAST(GREATEST(dispatch_failures, 0), 1000000),
       attempt = LEAST(attempt, 1000000)
 WHERE NOT (
    isfinite(GREATEST(created_at, updated_at, claimed_at, published_at, lease_expires_at, prepared_at, dispatched_at,
                      reconciled_at, started_at, completed_at, pr_updated_at))
    AND isfinite(LEAST(available_at, created_at, updated_at, claimed_at, published_at, lease_expires_at, prepared_at,
                       dispatched_at, reconciled_at, started_at, completed_at, pr_updated_at))
    AND LEAST(republish_count, lease_losses, dispatch_failures) >= 0
    AND GREATEST(republish_count, lease_losses, dispatch_failures, attempt) <= 1000000);
