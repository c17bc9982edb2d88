-- T-Mobile's cap on a Pacific day is the brand's, over all its campaigns (30023). `held` says how many segments each
-- campaign has used or keeps for itself, by campaign id; a row is all that one statement needs to lock and to know.

CREATE TABLE brand_days (
    organisation_id bigint NOT NULL,            -- a brand is one organisation's
    brand           text NOT NULL,              -- as the campaigns' registrations name it
    day             date NOT NULL,              -- in America/Los_Angeles
    held            jsonb NOT NULL,
    is_reached      boolean NOT NULL,           -- the carrier said that the day is used up
    PRIMARY KEY (organisation_id, brand, day)
);

-- Each purchase of a number, written down before the provider is asked: what a crash, a change of owner or a lost
-- answer leaves behind still counts toward the day's budget. One that certainly bought nothing goes again.

CREATE TABLE number_purchases (
    organisation_id bigint NOT NULL,
    campaign_id     bigint NOT NULL,
    purchase_id     bigint NOT NULL,
    asked_at        timestamptz NOT NULL,
    PRIMARY KEY (organisation_id, campaign_id, purchase_id)
);
