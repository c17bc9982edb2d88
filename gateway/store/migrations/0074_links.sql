-- Tracked links: a script names one by its slug, each text carries an address of its own, and who presses it is known.
-- That address is worked out from the text and the campaign's secret: nothing is written until somebody presses it.

CREATE TABLE link_secrets (
    organisation_id bigint NOT NULL,
    campaign_id     bigint NOT NULL,
    secret          bytea NOT NULL,             -- 256 random bits
    PRIMARY KEY (organisation_id, campaign_id),
    FOREIGN KEY (organisation_id, campaign_id) REFERENCES campaigns (organisation_id, campaign_id)
);

CREATE TABLE links (
    organisation_id bigint NOT NULL,
    campaign_id     bigint NOT NULL,
    link_id         bigint NOT NULL,
    slug            text NOT NULL,              -- what scripts say: {{'SLUG'|trackable}}
    url             text NOT NULL,              -- where it leads
    version         bigint NOT NULL DEFAULT 1,
    created_at      timestamptz NOT NULL,
    archived_at     timestamptz,                -- what was sent goes on leading there
    PRIMARY KEY (organisation_id, campaign_id, link_id),
    CONSTRAINT links_slug UNIQUE (organisation_id, campaign_id, slug),
    FOREIGN KEY (organisation_id, campaign_id) REFERENCES campaigns (organisation_id, campaign_id)
);

CREATE TABLE clicks (
    organisation_id bigint NOT NULL,
    campaign_id     bigint NOT NULL,
    click_id        bigint NOT NULL,
    link_id         bigint NOT NULL,
    contact_id      bigint NOT NULL,
    script_id       bigint NOT NULL,
    action_id       bigint,
    message_id      bigint,                     -- the contact's last text by this script; null: it is deleted
    user_id         bigint,                     -- who sent it
    at              timestamptz NOT NULL,
    PRIMARY KEY (organisation_id, campaign_id, click_id)
);
CREATE INDEX clicks_of_text ON clicks (organisation_id, campaign_id, contact_id, script_id, link_id);
CREATE INDEX clicks_of_action ON clicks (organisation_id, campaign_id, action_id, click_id);

DO $$
DECLARE
    family text;
BEGIN
    FOREACH family IN ARRAY ARRAY['link_secrets', 'links', 'clicks'] LOOP
        EXECUTE format('ALTER TABLE %I ALTER COLUMN organisation_id SET (n_distinct = 1)', family);
        EXECUTE format('ALTER TABLE %I ALTER COLUMN campaign_id SET (n_distinct = 1)', family);
    END LOOP;
END $$;
