-- in steps
-- Whose address is proven; a second proof of who signs in; and a link to choose another password by.

ALTER TABLE users ADD COLUMN confirmed_at timestamptz;  -- when they proved that they read mail at their address
UPDATE users SET confirmed_at = created_at;             -- who was there before is trusted as before
ALTER TABLE sessions ADD COLUMN second_factor boolean NOT NULL DEFAULT false; -- begun with a code of an authenticator

CREATE TABLE second_factors (
    organisation_id bigint NOT NULL,
    user_id         bigint NOT NULL,
    secret          text NOT NULL,              -- base32; makes codes, so it is kept as it is; no read gives it back
    made_at         timestamptz NOT NULL,
    confirmed_at    timestamptz,                -- null: nobody has shown that they can use it; it asks for nothing yet
    last_step       bigint NOT NULL DEFAULT 0,  -- of the last code that was taken: none is taken twice
    PRIMARY KEY (organisation_id, user_id),
    FOREIGN KEY (organisation_id, user_id) REFERENCES users
);
CREATE TABLE recovery_codes (                   -- each good once, in place of an authenticator that was lost
    organisation_id bigint NOT NULL,
    user_id         bigint NOT NULL,
    code_hash       text NOT NULL,              -- SHA-256; the code is 80 random bits
    PRIMARY KEY (organisation_id, user_id, code_hash),
    FOREIGN KEY (organisation_id, user_id) REFERENCES second_factors ON DELETE CASCADE
);
CREATE TABLE password_resets (
    organisation_id bigint NOT NULL,
    user_id         bigint NOT NULL,
    token_hash      text NOT NULL,
    ends_at         timestamptz NOT NULL,
    PRIMARY KEY (organisation_id, user_id),
    CONSTRAINT password_resets_token UNIQUE (organisation_id, token_hash),
    FOREIGN KEY (organisation_id, user_id) REFERENCES users
);
