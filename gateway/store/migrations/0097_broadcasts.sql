-- in steps
-- Broadcasts: actions whose first texts the gateway sends by itself, to those who have agreed to them in writing (F043,
-- F052, F057). Whoever withdraws keeps the row: that they did is remembered, whatever a list says later.

CREATE TABLE broadcast_consents (
    organisation_id bigint NOT NULL,
    campaign_id     bigint NOT NULL,
    contact_id      bigint NOT NULL,
    given_at        timestamptz NOT NULL,       -- when the person agreed
    source          text NOT NULL,              -- where: a form, a card, a text
    words           text NOT NULL DEFAULT '',   -- what they agreed to, as it stood there
    noted_at        timestamptz NOT NULL,       -- when we were told, and by whom
    noted_by        text NOT NULL,
    withdrawn_at    timestamptz,
    withdrawn_by    text,
    PRIMARY KEY (organisation_id, campaign_id, contact_id),
    FOREIGN KEY (organisation_id, campaign_id) REFERENCES campaigns (organisation_id, campaign_id)
);
ALTER TABLE broadcast_consents ALTER COLUMN organisation_id SET (n_distinct = 1);
ALTER TABLE broadcast_consents ALTER COLUMN campaign_id SET (n_distinct = 1);

-- Those that are published, beside the paused actions: every worker reads a campaign as one row.
ALTER TABLE campaigns ADD COLUMN broadcasts bigint[] NOT NULL DEFAULT '{}';
