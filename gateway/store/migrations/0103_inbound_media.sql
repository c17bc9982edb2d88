-- What came with people's texts beside words: addresses at the provider, of which nothing is fetched until somebody wants
-- to see it. They go with their text.

CREATE TABLE inbound_media (
    organisation_id bigint NOT NULL,
    campaign_id     bigint NOT NULL,
    inbound_id      bigint NOT NULL,
    place           smallint NOT NULL,          -- from 0 on, in the text's own order
    contact_id      bigint,                     -- null: a stranger
    url             text NOT NULL,              -- '': the provider is asked for it
    media_type      text NOT NULL,              -- as the provider says; '': it did not
    PRIMARY KEY (organisation_id, campaign_id, inbound_id, place)
);
CREATE INDEX inbound_media_contact ON inbound_media (organisation_id, campaign_id, contact_id);
ALTER TABLE inbound_media ALTER COLUMN organisation_id SET (n_distinct = 1);
ALTER TABLE inbound_media ALTER COLUMN campaign_id SET (n_distinct = 1);
