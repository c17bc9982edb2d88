-- The tables of a text bank. Every hot table's primary key begins with campaign_id, and no hot query
-- crosses campaigns, so the tables can be distributed by that column without changing a query.
-- fillfactor leaves room for HOT updates: no column that changes during a message's life is indexed.

CREATE TABLE campaigns (
    campaign_id     bigint PRIMARY KEY,
    opt_out_scope   bigint NOT NULL,            -- C5: the campaign itself, or its organisation's shared scope
    name            text NOT NULL,
    settings        jsonb NOT NULL DEFAULT '{}',
    paused          boolean NOT NULL DEFAULT false,
    created_at      timestamptz NOT NULL
);

CREATE TABLE contacts (
    campaign_id     bigint NOT NULL REFERENCES campaigns,
    contact_id      bigint NOT NULL,
    phone           text NOT NULL,              -- E.164
    first_name      text NOT NULL DEFAULT '',
    last_name       text NOT NULL DEFAULT '',
    email           text NOT NULL DEFAULT '',
    zip             text NOT NULL DEFAULT '',
    state           text NOT NULL DEFAULT '',
    hours_group     text NOT NULL,              -- recipients who share a lawful window (C1)
    line_type       text,                       -- from a lookup or the list; null: not known
    carrier         text,
    fields          jsonb,                      -- custom fields by slug
    PRIMARY KEY (campaign_id, contact_id),
    UNIQUE (campaign_id, phone)
);

CREATE TABLE opt_outs (                         -- C5, C6: ours decide, whatever the provider also does
    scope           bigint NOT NULL,
    phone           text NOT NULL,
    source          text NOT NULL,              -- keyword, manual, provider, import
    words           text NOT NULL DEFAULT '',
    opted_out_at    timestamptz NOT NULL,
    PRIMARY KEY (scope, phone)
);

CREATE TABLE numbers (
    campaign_id     bigint NOT NULL REFERENCES campaigns,
    number_id       bigint NOT NULL,
    phone           text NOT NULL UNIQUE,
    provider_sid    text NOT NULL,
    state           text NOT NULL,              -- active, quarantined, retired
    bought_at       timestamptz NOT NULL,
    bought_because  text NOT NULL,
    details         jsonb NOT NULL,             -- the pool's own record: turns, errors, successor
    PRIMARY KEY (campaign_id, number_id)
);

-- One row a person of a campaign who was ever texted or wrote: what the safeguards ask about.
-- `revision` counts the changes; a decision taken on an older revision is not written.
CREATE TABLE conversations (
    campaign_id     bigint NOT NULL,
    contact_id      bigint NOT NULL,
    revision        bigint NOT NULL DEFAULT 1,
    number_id       bigint,                     -- sticky: one number per conversation (C7)
    last_initial_at timestamptz,
    last_outbound_at timestamptz,
    failure_code    integer,                    -- C16: soft failure memory
    failure_until   timestamptz,                -- infinity: permanent
    last_inbound_at timestamptz,
    last_report_at  timestamptz,
    action_id       bigint,                     -- the action they were last texted in
    volunteer_id    bigint,                     -- who has the thread
    attention_at    timestamptz,                -- C9: open since then; null: nobody waits for us
    offered_at      timestamptz,                -- when it was last put on somebody's screen
    unread          integer NOT NULL DEFAULT 0,
    PRIMARY KEY (campaign_id, contact_id)
) WITH (fillfactor = 60);
CREATE INDEX conversations_waiting ON conversations (campaign_id, attention_at) WHERE attention_at IS NOT NULL;

CREATE SEQUENCE id_blocks;                      -- each block is 1,000 ids, taken by one worker

CREATE TABLE messages (
    campaign_id     bigint NOT NULL,
    message_id      bigint NOT NULL,
    contact_id      bigint NOT NULL,
    action_id       bigint,
    kind            text NOT NULL,              -- initial, reply, …
    sender_id       bigint,                     -- the volunteer
    script          text,                       -- which of the action's scripts (F118)
    body            text NOT NULL,
    segments        smallint NOT NULL,
    text_hash       bigint NOT NULL,            -- 1001(a): exactly this copy
    idempotency_key text,
    state           text NOT NULL,
    lane            smallint NOT NULL,          -- 0 reply, 1 retry, 2 initial: where it queues
    code            integer,                    -- of a safeguard or of the provider
    reason          text,
    number_id       bigint,
    attempt         smallint NOT NULL DEFAULT 0, -- hand-overs so far; the callback URL carries it
    spent           smallint NOT NULL DEFAULT 0, -- of them, those that count against the most allowed
    provider_sid    text,
    requested_at    timestamptz NOT NULL,
    not_after       timestamptz,                -- never handed over later than this
    slot_at         timestamptz,                -- when pacing let it go
    accepted_at     timestamptz,                -- the provider's answer
    sent_at         timestamptz,                -- the carrier took it
    final_at        timestamptz,
    PRIMARY KEY (campaign_id, message_id)
) WITH (fillfactor = 60);
CREATE INDEX messages_of_contact ON messages (campaign_id, contact_id);
CREATE UNIQUE INDEX messages_idempotency ON messages (campaign_id, idempotency_key) WHERE idempotency_key IS NOT NULL;

CREATE TABLE queue (                            -- messages that wait; a row leaves when its message is claimed
    campaign_id     bigint NOT NULL,
    message_id      bigint NOT NULL,
    lane            smallint NOT NULL,
    due_at          timestamptz NOT NULL,
    PRIMARY KEY (campaign_id, message_id)
);
CREATE INDEX queue_order ON queue (campaign_id, lane, due_at, message_id);

CREATE TABLE attempts (                         -- hand-overs that are over; the last one is on the message
    campaign_id     bigint NOT NULL,
    message_id      bigint NOT NULL,
    attempt         smallint NOT NULL,
    number_id       bigint,
    provider_sid    text,
    slot_at         timestamptz,
    ended_at        timestamptz NOT NULL,
    state           text NOT NULL,
    code            integer,
    PRIMARY KEY (campaign_id, message_id, attempt)
);

CREATE TABLE inbound_texts (
    campaign_id     bigint NOT NULL,
    inbound_id      bigint NOT NULL,
    provider_sid    text NOT NULL,
    contact_id      bigint,                     -- null: a stranger
    phone           text NOT NULL,
    number_phone    text NOT NULL,
    body            text NOT NULL,
    intent          text NOT NULL,
    suggests_opt_out boolean NOT NULL,
    wrong_number    boolean NOT NULL,
    received_at     timestamptz NOT NULL,
    PRIMARY KEY (campaign_id, inbound_id),
    UNIQUE (campaign_id, provider_sid)
);
CREATE INDEX inbound_of_contact ON inbound_texts (campaign_id, contact_id, inbound_id);

CREATE TABLE actions (
    campaign_id     bigint NOT NULL REFERENCES campaigns,
    action_id       bigint NOT NULL,
    title           text NOT NULL,
    scripts         jsonb NOT NULL,
    settings        jsonb NOT NULL DEFAULT '{}',
    published_at    timestamptz,
    PRIMARY KEY (campaign_id, action_id)
);

CREATE TABLE assignments (                      -- F177: unassigned after publish; one volunteer at a time
    campaign_id     bigint NOT NULL,
    action_id       bigint NOT NULL,
    contact_id      bigint NOT NULL,
    hours_group     text NOT NULL,
    turn            bigint NOT NULL,            -- F183: random order, drawn at publish
    volunteer_id    bigint,
    assigned_at     timestamptz,
    PRIMARY KEY (campaign_id, action_id, contact_id)
) WITH (fillfactor = 80);
CREATE INDEX assignments_free ON assignments (campaign_id, action_id, hours_group, turn) WHERE volunteer_id IS NULL;
