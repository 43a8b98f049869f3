-- What the dashboard asks about the last hour and the last day, over any length of history.

-- Transitions are appended in the order of their times, so a few bytes for each stretch of the table say where an hour lies. A b-tree
-- would be written with every transition.
CREATE INDEX review_transitions_at ON review_transitions USING brin (at)
  WITH (pages_per_range = 16, autosummarize = on);

-- Written only when a review fails, by an update that changes the status and so writes to other indexes anyway.
CREATE INDEX code_reviews_failed ON code_reviews (completed_at) WHERE status = 'failed';
