-- A code that was mailed to a person, to sign in by: one at a time, few tries, minutes.

CREATE TABLE sign_in_codes (
    organisation_id bigint NOT NULL,
    user_id         bigint NOT NULL,
    code_hash       text NOT NULL,              -- argon2id: of six digits any quicker hash is read backwards
    tries           integer NOT NULL DEFAULT 0,
    ends_at         timestamptz NOT NULL,
    PRIMARY KEY (organisation_id, user_id),
    FOREIGN KEY (organisation_id, user_id) REFERENCES users
);
