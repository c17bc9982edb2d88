-- Breakers (F072): where the figures of a script at a carrier, or a person, have moved one. A pair without a row is closed,
-- and counted from the beginning.

CREATE TABLE breakers (
    organisation_id bigint NOT NULL,
    campaign_id     bigint NOT NULL,
    action_id       bigint NOT NULL,
    carrier         text NOT NULL,              -- '': the carriers that nobody knows
    script          text NOT NULL,              -- its name
    state           text NOT NULL,              -- closed, warned, open, off
    reason          text NOT NULL,              -- filtered, opt_outs, silent, by_hand; '': none
    since           timestamptz NOT NULL,
    who             text NOT NULL,              -- gateway, or as in the audit log
    base            integer[] NOT NULL,         -- what had been counted when its figures last began anew
    PRIMARY KEY (organisation_id, campaign_id, action_id, carrier, script),
    FOREIGN KEY (organisation_id, campaign_id) REFERENCES campaigns (organisation_id, campaign_id)
);
ALTER TABLE breakers ALTER COLUMN organisation_id SET (n_distinct = 1);
ALTER TABLE breakers ALTER COLUMN campaign_id SET (n_distinct = 1);

-- Those that are open, beside the paused actions: every worker reads a campaign as one row. action/carrier/script.
ALTER TABLE campaigns ADD COLUMN held_pairs text[] NOT NULL DEFAULT '{}';
