-- See step 40.

DROP INDEX baton_feedback_due;
CREATE INDEX baton_feedback_due ON baton_feedback (host, due_at) WHERE due_at IS NOT NULL;
DROP INDEX baton_platform_tasks_due;
CREATE INDEX baton_platform_tasks_due ON baton_platform_tasks (host, due_at) WHERE due_at IS NOT NULL;
