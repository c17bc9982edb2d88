-- in steps
-- What happened, in one journal: a row for each statement that admitted, moved, heard or assigned something, written by
-- that very statement. Its arrays stand side by side: the first of each belongs to the first text, and so on.
-- Readers go by (xid, event_id) below every transaction that is still under way, so that none is passed over.

CREATE SEQUENCE event_ids;
CREATE TABLE events (
    organisation_id bigint NOT NULL,
    campaign_id     bigint NOT NULL,
    xid             xid8 NOT NULL DEFAULT pg_current_xact_id(),
    event_id        bigint NOT NULL,            -- begins with the month of `at`
    kind            text NOT NULL,              -- admitted, moved, heard, opted_out, assigned, released, handed_over, …
    at              timestamptz NOT NULL,
    ids             bigint[],                   -- of messages, of people's texts, of reports
    contact_ids     bigint[],
    action_ids      bigint[],
    user_ids        bigint[],                   -- whose it is, or who did it
    former_user_ids bigint[],                   -- whose it was
    kinds           text[],                     -- of messages: initial, reply, …
    scripts         text[],
    segments        smallint[],
    befores         text[],                     -- the state before the move
    states          text[],
    codes           integer[],
    PRIMARY KEY (organisation_id, campaign_id, xid, event_id)
) PARTITION BY RANGE (event_id);
CREATE TABLE events_other PARTITION OF events DEFAULT WITH (toast_tuple_target = 8160);
ALTER TABLE events ALTER COLUMN organisation_id SET (n_distinct = 1), ALTER COLUMN campaign_id SET (n_distinct = 1);
ALTER TABLE events_other ALTER COLUMN organisation_id SET (n_distinct = 1), ALTER COLUMN campaign_id SET (n_distinct = 1);

-- A person's text knows the action in which they were last texted, whose conversation it was, and whether it opted them
-- out: what is counted can be counted again from the books.
ALTER TABLE inbound ADD COLUMN action_id bigint, ADD COLUMN volunteer_id bigint, ADD COLUMN opted_out boolean NOT NULL DEFAULT false;
