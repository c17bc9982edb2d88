-- in steps
-- Whoever a code stopped in an action stands on one list of those to be texted again, however often they are asked for.
-- `texts_again` is that action: null where a list is another one.

ALTER TABLE contact_lists ADD COLUMN texts_again bigint;
