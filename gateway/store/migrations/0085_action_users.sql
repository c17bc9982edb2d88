-- What people did about an action, one row a person: written when they see it, start it and complete it, never by a send.
-- Results count its rows (F152 to F155), and read an action's reports.

CREATE TABLE action_users (
    organisation_id bigint NOT NULL,
    campaign_id     bigint NOT NULL,
    action_id       bigint NOT NULL,
    user_id         bigint NOT NULL,
    seen_at         timestamptz,
    started_at      timestamptz,
    completed_at    timestamptz,                -- first
    performs        integer NOT NULL DEFAULT 0, -- how often completed
    is_open         boolean NOT NULL DEFAULT false, -- started, and not completed since: a repeated word counts once
    PRIMARY KEY (organisation_id, campaign_id, action_id, user_id)
);
ALTER TABLE action_users ALTER COLUMN organisation_id SET (n_distinct = 1);
ALTER TABLE action_users ALTER COLUMN campaign_id SET (n_distinct = 1);
CREATE INDEX reports_of_action ON reports (organisation_id, campaign_id, action_id, report_id);
