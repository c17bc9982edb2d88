-- Pictures that scripts carry: small, and fetched by the provider from an address that nobody guesses.

CREATE TABLE pictures (
    organisation_id bigint NOT NULL,
    campaign_id     bigint NOT NULL,
    picture_id      bigint NOT NULL,
    word            text NOT NULL,              -- of its address: 128 random bits
    content_type    text NOT NULL,
    bytes           bytea NOT NULL,
    made_at         timestamptz NOT NULL,
    PRIMARY KEY (organisation_id, campaign_id, picture_id),
    CONSTRAINT pictures_word UNIQUE (organisation_id, campaign_id, word),
    FOREIGN KEY (organisation_id, campaign_id) REFERENCES campaigns (organisation_id, campaign_id)
);
ALTER TABLE pictures ALTER COLUMN organisation_id SET (n_distinct = 1);
ALTER TABLE pictures ALTER COLUMN campaign_id SET (n_distinct = 1);
ALTER TABLE pictures ALTER COLUMN bytes SET STORAGE EXTERNAL; -- they are compressed already
