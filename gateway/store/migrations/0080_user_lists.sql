-- People of a campaign under a name: a list to assign to, or a team (F144, F194).

CREATE TABLE user_lists (
    organisation_id bigint NOT NULL,
    campaign_id     bigint NOT NULL,
    user_list_id    bigint NOT NULL,
    name            text NOT NULL,
    made_at         timestamptz NOT NULL,
    PRIMARY KEY (organisation_id, campaign_id, user_list_id),
    CONSTRAINT user_lists_name UNIQUE (organisation_id, campaign_id, name),
    FOREIGN KEY (organisation_id, campaign_id) REFERENCES campaigns (organisation_id, campaign_id)
);
ALTER TABLE user_lists ALTER COLUMN organisation_id SET (n_distinct = 1);
ALTER TABLE user_lists ALTER COLUMN campaign_id SET (n_distinct = 1);

CREATE TABLE user_list_members (
    organisation_id bigint NOT NULL,
    campaign_id     bigint NOT NULL,
    user_list_id    bigint NOT NULL,
    user_id         bigint NOT NULL,
    PRIMARY KEY (organisation_id, campaign_id, user_list_id, user_id),
    FOREIGN KEY (organisation_id, campaign_id, user_list_id) REFERENCES user_lists ON DELETE CASCADE,
    FOREIGN KEY (organisation_id, campaign_id, user_id) REFERENCES memberships (organisation_id, campaign_id, user_id)
);
CREATE INDEX user_list_members_of_user ON user_list_members (organisation_id, campaign_id, user_id);
ALTER TABLE user_list_members ALTER COLUMN organisation_id SET (n_distinct = 1);
ALTER TABLE user_list_members ALTER COLUMN campaign_id SET (n_distinct = 1);
