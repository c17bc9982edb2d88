-- How full a campaign's limits are, as its owner last saw them, and what has been said of each.

CREATE TABLE campaign_limits (
    organisation_id bigint NOT NULL,
    campaign_id     bigint NOT NULL,
    name            text NOT NULL,              -- tmobile_day, rate, window, numbers, purchases
    level           smallint NOT NULL,          -- 0 well, 1 two thirds are used, 2 all of it
    used            double precision NOT NULL,
    most            double precision NOT NULL,
    hit_at          timestamptz,                -- when it will be full at the present pace; null: it will not
    resets_at       timestamptz,                -- when it begins anew
    at              timestamptz NOT NULL,       -- when it was looked at
    crossed_at      timestamptz,                -- when the level last rose
    PRIMARY KEY (organisation_id, campaign_id, name),
    FOREIGN KEY (organisation_id, campaign_id) REFERENCES campaigns (organisation_id, campaign_id)
) WITH (fillfactor = 50);
ALTER TABLE campaign_limits ALTER COLUMN organisation_id SET (n_distinct = 1), ALTER COLUMN campaign_id SET (n_distinct = 1);
