-- in steps
-- Counts of what happened in each action, kept up by folding the journal: the results of a whole bank are a few rows.

CREATE TABLE counts (
    organisation_id bigint NOT NULL,
    campaign_id     bigint NOT NULL,
    action_id       bigint NOT NULL,            -- 0: of no action
    per             text NOT NULL,              -- action, script, user
    name            text NOT NULL,              -- the script's name, the user's id; of an action ''
    what            text NOT NULL,              -- of messages their kind; response, responder, opted_out, report
    state           text NOT NULL,              -- of messages: under_way, or an end; of responses what they ask for
    code            integer NOT NULL,           -- of what was blocked, failed or undelivered; else 0
    number          bigint NOT NULL,
    segments        bigint NOT NULL,
    PRIMARY KEY (organisation_id, campaign_id, action_id, per, name, what, state, code)
) WITH (fillfactor = 60);
ALTER TABLE counts ALTER COLUMN organisation_id SET (n_distinct = 1), ALTER COLUMN campaign_id SET (n_distinct = 1);

-- Up to which event a campaign is counted; it moves in the transaction that counts.
CREATE TABLE count_progress (
    organisation_id bigint NOT NULL,
    campaign_id     bigint NOT NULL,
    epoch           bigint NOT NULL,            -- microseconds of when all was counted anew
    version         bigint NOT NULL,            -- how often something was counted since
    xid             xid8 NOT NULL,
    event_id        bigint NOT NULL,
    counted_at      timestamptz NOT NULL,
    PRIMARY KEY (organisation_id, campaign_id)
) WITH (fillfactor = 60);
ALTER TABLE count_progress ALTER COLUMN organisation_id SET (n_distinct = 1), ALTER COLUMN campaign_id SET (n_distinct = 1);

-- A person's text knows by which script they were first texted, and whether it is the first since: so whoever answered
-- is counted once, however much they write.
ALTER TABLE conversations ADD COLUMN initial_script text;  -- of the last first text
ALTER TABLE inbound ADD COLUMN script text, ADD COLUMN is_first boolean NOT NULL DEFAULT false;
