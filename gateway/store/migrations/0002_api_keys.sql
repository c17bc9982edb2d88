-- Who may use the API. Only a hash of a key's secret is kept, so a copy of this table opens nothing.

CREATE TABLE api_keys (
    key_id          text PRIMARY KEY,           -- the public half, shown in lists and logs
    secret_hash     text NOT NULL,              -- SHA-256 in hexadecimal; the secret is 256 random bits
    name            text NOT NULL,
    role            text NOT NULL,              -- reader, sender, admin
    campaign_id     bigint REFERENCES campaigns, -- null: every campaign
    created_at      timestamptz NOT NULL,
    revoked_at      timestamptz
);
