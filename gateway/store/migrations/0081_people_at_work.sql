-- in steps
-- What people chose for themselves, what they are told, who looks at which thread, who was reported as abusive, and
-- contacts that changed hands, so that it can be undone.

ALTER TABLE memberships
    ADD COLUMN archive_on_report boolean NOT NULL DEFAULT false, -- F206
    ADD COLUMN no_mail_at timestamptz;          -- they asked for no mails of this campaign any more

ALTER TABLE reports ADD COLUMN message_id bigint;   -- the answer that brought it along, once
CREATE UNIQUE INDEX CONCURRENTLY reports_of_message ON reports (organisation_id, campaign_id, message_id)
    WHERE message_id IS NOT NULL;

ALTER TABLE users ADD COLUMN seen_at timestamptz;   -- to the minute: their last request; null: not since this is kept

CREATE TABLE announcements (                    -- what staff told many people at once
    organisation_id bigint NOT NULL,
    campaign_id     bigint NOT NULL,
    announcement_id bigint NOT NULL,
    at              timestamptz NOT NULL,
    who             text NOT NULL,              -- as in the audit log
    title           text NOT NULL,
    body            text NOT NULL,
    people          bigint NOT NULL,
    mails           bigint NOT NULL,
    key             text,                       -- the Idempotency-Key; null: none was given
    request_hash    bigint NOT NULL,
    PRIMARY KEY (organisation_id, campaign_id, announcement_id),
    CONSTRAINT announcements_key UNIQUE (organisation_id, campaign_id, who, key)
);
ALTER TABLE announcements ALTER COLUMN organisation_id SET (n_distinct = 1);
ALTER TABLE announcements ALTER COLUMN campaign_id SET (n_distinct = 1);

CREATE TABLE user_notices (                     -- in-app messages: of staff, or of what happened
    organisation_id bigint NOT NULL,
    campaign_id     bigint NOT NULL,
    notice_id       bigint NOT NULL,
    user_id         bigint NOT NULL,            -- whom it is for
    kind            text NOT NULL,              -- message, handed_over, reassigned, abuse
    title           text NOT NULL,
    body            text NOT NULL,
    about           jsonb NOT NULL DEFAULT '{}', -- ids of what it is about
    at              timestamptz NOT NULL,
    read_at         timestamptz,
    announcement_id bigint,                     -- whose title and body it has
    mail_due_at     timestamptz,                -- from when it is to be mailed; null: not, or it is
    mail_tries      smallint NOT NULL DEFAULT 0,
    PRIMARY KEY (organisation_id, campaign_id, notice_id)
);
CREATE INDEX user_notices_to_mail ON user_notices (organisation_id, campaign_id, mail_due_at) WHERE mail_due_at IS NOT NULL;
CREATE INDEX user_notices_of_user ON user_notices (organisation_id, campaign_id, user_id, notice_id);
ALTER TABLE user_notices ALTER COLUMN organisation_id SET (n_distinct = 1);
ALTER TABLE user_notices ALTER COLUMN campaign_id SET (n_distinct = 1);

-- One row a person, who looks at one thread at a time. It is worth nothing after a minute, so nothing of it is logged.
CREATE UNLOGGED TABLE thread_viewers (
    organisation_id bigint NOT NULL,
    campaign_id     bigint NOT NULL,
    user_id         bigint NOT NULL,
    contact_id      bigint NOT NULL,
    seen_at         timestamptz NOT NULL,
    PRIMARY KEY (organisation_id, campaign_id, user_id)
) WITH (fillfactor = 50);
CREATE INDEX thread_viewers_of_contact ON thread_viewers (organisation_id, campaign_id, contact_id);
ALTER TABLE thread_viewers ALTER COLUMN organisation_id SET (n_distinct = 1);
ALTER TABLE thread_viewers ALTER COLUMN campaign_id SET (n_distinct = 1);

-- F126: whoever was reported never reaches that volunteer again, whatever is reassigned later.
CREATE TABLE abuse_reports (
    organisation_id bigint NOT NULL,
    campaign_id     bigint NOT NULL,
    contact_id      bigint NOT NULL,
    user_id         bigint NOT NULL,            -- who reported
    words           text NOT NULL,
    at              timestamptz NOT NULL,
    PRIMARY KEY (organisation_id, campaign_id, contact_id, user_id)
);
ALTER TABLE abuse_reports ALTER COLUMN organisation_id SET (n_distinct = 1);
ALTER TABLE abuse_reports ALTER COLUMN campaign_id SET (n_distinct = 1);
ALTER TABLE conversations ADD COLUMN staff_only_at timestamptz; -- from then on no volunteer is offered it

CREATE TABLE reassignments (
    organisation_id bigint NOT NULL,
    campaign_id     bigint NOT NULL,
    reassignment_id bigint NOT NULL,
    at              timestamptz NOT NULL,
    who             text NOT NULL,              -- as in the audit log
    moved           bigint NOT NULL,            -- contacts so far
    result          jsonb,                      -- what was answered; null: it goes on, or was broken off
    undone_at       timestamptz,
    key             text,                       -- the Idempotency-Key; null: none was given
    request_hash    bigint NOT NULL,
    PRIMARY KEY (organisation_id, campaign_id, reassignment_id),
    CONSTRAINT reassignments_key UNIQUE (organisation_id, campaign_id, who, key)
);
ALTER TABLE reassignments ALTER COLUMN organisation_id SET (n_distinct = 1);
ALTER TABLE reassignments ALTER COLUMN campaign_id SET (n_distinct = 1);

CREATE TABLE reassigned (                       -- whose each contact was, and what it was made
    organisation_id bigint NOT NULL,
    campaign_id     bigint NOT NULL,
    reassignment_id bigint NOT NULL,
    action_id       bigint NOT NULL,            -- whose assignment; 0: of the conversation, -1: of the contact itself
    contact_id      bigint NOT NULL,
    from_id         bigint,                     -- null: nobody's
    from_kept_for   bigint,                     -- of an assignment: for whom alone it was kept
    to_id           bigint,
    revision        bigint,                     -- of the conversation once it was moved; null: another row has it
    PRIMARY KEY (organisation_id, campaign_id, reassignment_id, action_id, contact_id)
);
ALTER TABLE reassigned ALTER COLUMN organisation_id SET (n_distinct = 1);
ALTER TABLE reassigned ALTER COLUMN campaign_id SET (n_distinct = 1);
