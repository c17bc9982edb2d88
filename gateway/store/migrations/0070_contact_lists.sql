-- in steps
-- Contact lists: an import makes or extends one. What an import did is kept with it, and which rows it could not use, so
-- that one that was broken off goes on where it stopped and its rejects can be fetched later.

ALTER TABLE contacts ADD COLUMN assignee_id bigint;     -- the person of ours who should text them (C8)
ALTER TABLE contacts ADD COLUMN deleted_at timestamptz; -- erased: the phone alone is kept, so that nobody texts it again
ALTER TABLE contacts ADD COLUMN version bigint NOT NULL DEFAULT 1;  -- counts the changes that people and lists made

CREATE TABLE contact_lists (
    organisation_id bigint NOT NULL,
    campaign_id     bigint NOT NULL,
    list_id         bigint NOT NULL,
    name            text NOT NULL,
    made_at         timestamptz NOT NULL,
    rows            bigint NOT NULL DEFAULT 0,  -- its members
    PRIMARY KEY (organisation_id, campaign_id, list_id),
    CONSTRAINT contact_lists_name UNIQUE (organisation_id, campaign_id, name),
    FOREIGN KEY (organisation_id, campaign_id) REFERENCES campaigns (organisation_id, campaign_id)
);
ALTER TABLE contact_lists ALTER COLUMN organisation_id SET (n_distinct = 1);
ALTER TABLE contact_lists ALTER COLUMN campaign_id SET (n_distinct = 1);

CREATE TABLE list_members (
    organisation_id bigint NOT NULL,
    campaign_id     bigint NOT NULL,
    list_id         bigint NOT NULL,
    contact_id      bigint NOT NULL,
    PRIMARY KEY (organisation_id, campaign_id, list_id, contact_id)
);
ALTER TABLE list_members ALTER COLUMN organisation_id SET (n_distinct = 1);
ALTER TABLE list_members ALTER COLUMN campaign_id SET (n_distinct = 1);

CREATE TABLE contact_imports (
    organisation_id bigint NOT NULL,
    campaign_id     bigint NOT NULL,
    import_id       bigint NOT NULL,
    list_id         bigint,                     -- null: into no list
    owner           text NOT NULL,              -- who asked: key:<id>, user:<id>, or command
    key             text,                       -- the Idempotency-Key; null: none was given
    request_hash    bigint NOT NULL,            -- of the file and of how it is to be read
    began_at        timestamptz NOT NULL,
    done_at         timestamptz,                -- null: it goes on, or was broken off
    attempt         integer NOT NULL DEFAULT 1, -- whoever repeats it takes it over: only the last one writes
    lines_done      bigint NOT NULL DEFAULT 0,  -- the file's lines up to here are stored
    headers         jsonb NOT NULL,             -- of the file, in their order
    report          jsonb NOT NULL,             -- what became of the lines so far
    PRIMARY KEY (organisation_id, campaign_id, import_id),
    CONSTRAINT contact_imports_key UNIQUE (organisation_id, campaign_id, owner, key),
    FOREIGN KEY (organisation_id, campaign_id) REFERENCES campaigns (organisation_id, campaign_id)
);
CREATE INDEX contact_imports_of_list ON contact_imports (organisation_id, campaign_id, list_id, import_id);
ALTER TABLE contact_imports ALTER COLUMN organisation_id SET (n_distinct = 1);
ALTER TABLE contact_imports ALTER COLUMN campaign_id SET (n_distinct = 1);

CREATE TABLE import_rejects (
    organisation_id bigint NOT NULL,
    campaign_id     bigint NOT NULL,
    import_id       bigint NOT NULL,
    line            bigint NOT NULL,            -- of the file, from 1
    header          text NOT NULL,              -- the column at fault
    reason          text NOT NULL,
    words           text NOT NULL,
    phone           text,                       -- E.164, where it could be read: by which an erased person is found
    cells           jsonb NOT NULL,             -- the row as it stood
    PRIMARY KEY (organisation_id, campaign_id, import_id, line)
);
CREATE INDEX import_rejects_of_phone ON import_rejects (organisation_id, campaign_id, phone) WHERE phone IS NOT NULL;
ALTER TABLE import_rejects ALTER COLUMN organisation_id SET (n_distinct = 1);
ALTER TABLE import_rejects ALTER COLUMN campaign_id SET (n_distinct = 1);
