-- Who dispatches what. A worker beats; a campaign names its owner, and whatever the owner writes as such carries
-- `owner_epoch`, a fencing token: each change of owner makes it one more, and older ones are refused.

CREATE SEQUENCE worker_ids;                     -- one for each start of a worker

CREATE TABLE workers (
    worker_id       bigint PRIMARY KEY,
    name            text NOT NULL,              -- host and process, for people
    beat            bigint NOT NULL,            -- a change says that the worker lives
    holds_lock      boolean NOT NULL,           -- an advisory lock is its connection's: free, its process has ended
    beat_at         timestamptz NOT NULL        -- for people: nobody decides by another one's clock
) WITH (fillfactor = 20);

ALTER TABLE campaigns
    ADD COLUMN owner_id     bigint,             -- the worker that dispatches it; null: nobody
    ADD COLUMN owner_epoch  bigint NOT NULL DEFAULT 0,
    ADD COLUMN wanted_by    bigint,             -- the worker whose share it is, and which asks the owner for it
    ADD COLUMN waits_because text;              -- why nobody could take it up
CREATE INDEX campaigns_of_owner ON campaigns (owner_id);
