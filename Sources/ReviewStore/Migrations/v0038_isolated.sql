-- The reviews that a consumer prepares isolated from all others, as they may be what ends it; NULL while there are none. If it dies, only these
-- are charged with its loss: another review may have been leased for a moment.
ALTER TABLE baton_holders ADD COLUMN isolated uuid[];
