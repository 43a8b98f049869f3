-- What the dashboard asks: which pull requests could not be told. Gates keep their entries for as long as the review is there, so the
-- few that were given up need an index of their own.
CREATE INDEX baton_feedback_given_up ON baton_feedback (given_up_at) WHERE given_up_at IS NOT NULL;
