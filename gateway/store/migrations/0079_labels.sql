-- What a volunteer may report of a person (F130 to F138): the campaign's tags and custom fields, who has which tags, and
-- every report as it was filed. A contact's field values stand in contacts.fields, by slug.

CREATE TABLE tags (
    organisation_id bigint NOT NULL,
    campaign_id     bigint NOT NULL,
    tag_id          bigint NOT NULL,
    name            text NOT NULL,              -- as admins call it; exports carry it
    label           text NOT NULL,              -- as volunteers read it
    place           integer NOT NULL,           -- in lists and reports, ties by id
    by_default      boolean NOT NULL,           -- on the report of an action that chose no tags (F135)
    archived_at     timestamptz,                -- no longer offered; who has it keeps it
    PRIMARY KEY (organisation_id, campaign_id, tag_id),
    CONSTRAINT tags_name UNIQUE (organisation_id, campaign_id, name),
    FOREIGN KEY (organisation_id, campaign_id) REFERENCES campaigns (organisation_id, campaign_id)
);
ALTER TABLE tags ALTER COLUMN organisation_id SET (n_distinct = 1);
ALTER TABLE tags ALTER COLUMN campaign_id SET (n_distinct = 1);

CREATE TABLE custom_fields (
    organisation_id bigint NOT NULL,
    campaign_id     bigint NOT NULL,
    field_id        bigint NOT NULL,
    slug            text NOT NULL,              -- its name in contacts.fields and in scripts; never changed
    label           text NOT NULL,
    kind            text NOT NULL,              -- text, choice
    options         jsonb NOT NULL DEFAULT '[]', -- of a choice: texts, in their order
    default_value   text,                       -- what a script says of who has none
    place           integer NOT NULL,
    by_default      boolean NOT NULL,
    archived_at     timestamptz,
    PRIMARY KEY (organisation_id, campaign_id, field_id),
    CONSTRAINT custom_fields_slug UNIQUE (organisation_id, campaign_id, slug),
    FOREIGN KEY (organisation_id, campaign_id) REFERENCES campaigns (organisation_id, campaign_id)
);
ALTER TABLE custom_fields ALTER COLUMN organisation_id SET (n_distinct = 1);
ALTER TABLE custom_fields ALTER COLUMN campaign_id SET (n_distinct = 1);

CREATE TABLE contact_tags (
    organisation_id bigint NOT NULL,
    campaign_id     bigint NOT NULL,
    contact_id      bigint NOT NULL,
    tag_id          bigint NOT NULL,
    tagged_at       timestamptz NOT NULL,
    user_id         bigint,                     -- who tagged; null: a list, or an API key
    PRIMARY KEY (organisation_id, campaign_id, contact_id, tag_id)
);
CREATE INDEX contact_tags_of_tag ON contact_tags (organisation_id, campaign_id, tag_id, contact_id);
ALTER TABLE contact_tags ALTER COLUMN organisation_id SET (n_distinct = 1);
ALTER TABLE contact_tags ALTER COLUMN campaign_id SET (n_distinct = 1);

CREATE TABLE reports (                          -- appended, never changed: a later report says what differs (F132)
    organisation_id bigint NOT NULL,
    campaign_id     bigint NOT NULL,
    report_id       bigint NOT NULL,
    action_id       bigint,                     -- in which the person was last texted
    contact_id      bigint NOT NULL,
    user_id         bigint,                     -- null: an API key
    at              timestamptz NOT NULL,
    tags            bigint[] NOT NULL,          -- given by this report
    removed_tags    bigint[] NOT NULL,          -- taken away by it
    fields          jsonb NOT NULL,             -- by slug; null: the value was taken away
    PRIMARY KEY (organisation_id, campaign_id, report_id)
);
CREATE INDEX reports_of_contact ON reports (organisation_id, campaign_id, contact_id, report_id);
ALTER TABLE reports ALTER COLUMN organisation_id SET (n_distinct = 1);
ALTER TABLE reports ALTER COLUMN campaign_id SET (n_distinct = 1);
