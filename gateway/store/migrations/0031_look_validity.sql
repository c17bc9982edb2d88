-- For how long this worker's looks at opt-outs are good, in seconds: longer while the database is slow. A STOP's answer
-- waits for the longest of all workers.

ALTER TABLE workers ADD COLUMN look_valid_s float8 NOT NULL DEFAULT 0;
