-- in steps
-- Who changed what: a line is written in the transaction of its change, and never changed. Keys may have an end, and
-- settings a version, so that nobody writes over what somebody else has saved meanwhile.

CREATE TABLE audit_log (
    organisation_id bigint NOT NULL,            -- 0: of no organisation, as is a key of every campaign
    campaign_id     bigint NOT NULL,            -- 0: of no campaign
    audit_id        bigint GENERATED ALWAYS AS IDENTITY,
    at              timestamptz NOT NULL,
    who             text NOT NULL,              -- key:<id>, user:<id>, or command
    act             text NOT NULL,
    before          jsonb,                      -- null: there was nothing
    after           jsonb,                      -- null: there is nothing any more
    PRIMARY KEY (organisation_id, campaign_id, audit_id)
);

ALTER TABLE api_keys ADD COLUMN expires_at timestamptz;  -- null: never
ALTER TABLE campaigns ADD COLUMN settings_version bigint NOT NULL DEFAULT 1;
