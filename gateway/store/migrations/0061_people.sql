-- People: who they are, in which campaigns they are what, how they sign in, and how they join.

CREATE TABLE users (
    organisation_id bigint NOT NULL REFERENCES organisations,
    user_id         bigint NOT NULL,
    email           text NOT NULL,              -- lower-cased
    name            text NOT NULL,
    language        text NOT NULL,              -- en, es
    zip             text,                       -- five digits
    password_hash   text,                       -- argon2id; null: none was ever chosen
    created_at      timestamptz NOT NULL,
    PRIMARY KEY (organisation_id, user_id),
    CONSTRAINT users_email UNIQUE (organisation_id, email)
);

CREATE TABLE memberships (
    organisation_id bigint NOT NULL,
    campaign_id     bigint NOT NULL,
    user_id         bigint NOT NULL,
    role            text NOT NULL,              -- admin, supervisor, volunteer
    joined_at       timestamptz NOT NULL,
    deactivated_at  timestamptz,
    PRIMARY KEY (organisation_id, campaign_id, user_id),
    FOREIGN KEY (organisation_id, campaign_id) REFERENCES campaigns (organisation_id, campaign_id),
    FOREIGN KEY (organisation_id, user_id) REFERENCES users
);
CREATE INDEX memberships_of_user ON memberships (organisation_id, user_id);

-- Only hashes of tokens, so a copy of these two tables opens nothing.
CREATE TABLE sessions (
    organisation_id bigint NOT NULL,
    session_id      bigint NOT NULL,
    user_id         bigint NOT NULL,
    token_hash      text NOT NULL,              -- SHA-256 in hexadecimal; the token is 256 random bits
    created_at      timestamptz NOT NULL,
    seen_at         timestamptz NOT NULL,       -- to the minute
    ends_at         timestamptz NOT NULL,       -- however much it is used
    PRIMARY KEY (organisation_id, session_id),
    CONSTRAINT sessions_token UNIQUE (organisation_id, token_hash),
    FOREIGN KEY (organisation_id, user_id) REFERENCES users
);
CREATE INDEX sessions_of_user ON sessions (organisation_id, user_id);

-- Somebody else made the user; whoever has the link chooses the password, once.
CREATE TABLE invitations (
    organisation_id bigint NOT NULL,
    user_id         bigint NOT NULL,
    token_hash      text NOT NULL,
    ends_at         timestamptz NOT NULL,
    PRIMARY KEY (organisation_id, user_id),
    CONSTRAINT invitations_token UNIQUE (organisation_id, token_hash),
    FOREIGN KEY (organisation_id, user_id) REFERENCES users
);

-- Whoever types six digits doesn't know whose they are: unique over all organisations. An admin reads them again, so
-- they are kept as they are; all that they open is a volunteer's place.
CREATE TABLE join_codes (
    organisation_id bigint NOT NULL,
    campaign_id     bigint NOT NULL,
    code            text NOT NULL,              -- six digits
    link            text NOT NULL,              -- what a link carries in their place: 128 random bits
    made_at         timestamptz NOT NULL,
    ends_at         timestamptz NOT NULL,
    PRIMARY KEY (organisation_id, campaign_id),
    CONSTRAINT join_codes_code UNIQUE (code),
    CONSTRAINT join_codes_link UNIQUE (link),
    FOREIGN KEY (organisation_id, campaign_id) REFERENCES campaigns (organisation_id, campaign_id)
);
