-- in steps
-- What was texted is known of each contact of an action for as long as the action is, however long messages are kept.

ALTER TABLE assignments ADD COLUMN texted boolean NOT NULL DEFAULT false;
