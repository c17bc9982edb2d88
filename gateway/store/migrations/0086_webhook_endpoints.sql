-- What other systems are told of a campaign: who wants to hear what, and each thing that is on its way there.

CREATE TABLE webhook_endpoints (
    organisation_id bigint NOT NULL,
    campaign_id     bigint NOT NULL,
    endpoint_id     bigint NOT NULL,
    kind            text NOT NULL,              -- webhook, van
    url             text NOT NULL,
    topics          text[] NOT NULL,
    secret          text NOT NULL,              -- signs, so it is kept as it is; no read gives it back
    former_secret   text,                       -- signs as well until former_until
    former_until    timestamptz,
    van             jsonb,                      -- of kind van: what is written down as what
    active          boolean NOT NULL DEFAULT true,
    inactive_because text,                      -- why we switched it off
    failing_since   timestamptz,                -- null: the last delivery was taken
    made_at         timestamptz NOT NULL,
    xid             bigint NOT NULL,            -- the place in the journal that has been turned into deliveries
    event_id        bigint NOT NULL,
    deliveries      bigint NOT NULL DEFAULT 0,  -- the last delivery's id
    PRIMARY KEY (organisation_id, campaign_id, endpoint_id),
    FOREIGN KEY (organisation_id, campaign_id) REFERENCES campaigns (organisation_id, campaign_id)
);

CREATE TABLE webhook_deliveries (
    organisation_id bigint NOT NULL,
    campaign_id     bigint NOT NULL,
    endpoint_id     bigint NOT NULL,
    delivery_id     bigint NOT NULL,            -- from 1, in the journal's order
    contact_id      bigint,                     -- whose deliveries go in their order; null: in no order
    topic           text NOT NULL,
    body            text NOT NULL,
    state           text NOT NULL DEFAULT 'waiting',  -- waiting, delivered, parked
    made_at         timestamptz NOT NULL,
    due_at          timestamptz NOT NULL,
    give_up_at      timestamptz NOT NULL,
    attempts        integer NOT NULL DEFAULT 0,
    tried_at        timestamptz,                -- the last attempt
    status          integer,                    -- what came back to it, if anything did
    why             text,                       -- what was wrong with it
    PRIMARY KEY (organisation_id, campaign_id, endpoint_id, delivery_id),
    FOREIGN KEY (organisation_id, campaign_id, endpoint_id) REFERENCES webhook_endpoints ON DELETE CASCADE
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (organisation_id, campaign_id, endpoint_id, due_at, delivery_id)
    WHERE state = 'waiting';
CREATE INDEX webhook_deliveries_of_contact
    ON webhook_deliveries (organisation_id, campaign_id, endpoint_id, contact_id, delivery_id) WHERE state = 'waiting';
CREATE INDEX webhook_deliveries_settled
    ON webhook_deliveries (organisation_id, campaign_id, endpoint_id, state, delivery_id) WHERE state <> 'waiting';
ALTER TABLE webhook_endpoints ALTER COLUMN organisation_id SET (n_distinct = 1), ALTER COLUMN campaign_id SET (n_distinct = 1);
ALTER TABLE webhook_deliveries ALTER COLUMN organisation_id SET (n_distinct = 1), ALTER COLUMN campaign_id SET (n_distinct = 1);
