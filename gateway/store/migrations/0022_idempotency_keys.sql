-- A key belongs to whoever used it and keeps the answer to its first request: a repeat gets the same, and a request
-- with other parameters (another hash) is refused. Written in the statement that writes the message.

CREATE TABLE idempotency_keys (
    organisation_id bigint NOT NULL,
    campaign_id     bigint NOT NULL,
    owner           text NOT NULL,              -- key:<API key>, or textbank itself
    key             text NOT NULL,
    request_hash    bigint NOT NULL,            -- of the request's parameters
    message_id      bigint,                     -- null: the key of a whole batch
    state           text NOT NULL DEFAULT '',   -- as first answered
    code            integer,
    reason          text,
    created_at      timestamptz NOT NULL,
    PRIMARY KEY (organisation_id, campaign_id, owner, key)
);
-- Not by campaign: of an empty table the planner would take this index for the look-up of a key as well.
CREATE INDEX idempotency_keys_age ON idempotency_keys (organisation_id, created_at);

-- Confirmations that have just been asked for are not asked for again. messages.idempotency_key and its index stay for
-- workers of the release before, while they are replaced.
INSERT INTO idempotency_keys (organisation_id, campaign_id, owner, key, request_hash, message_id, state, code, reason,
                              created_at)
SELECT organisation_id, campaign_id, 'textbank', substr(idempotency_key, 10), 0, message_id, state, code, reason,
       requested_at
FROM messages WHERE idempotency_key LIKE 'textbank:opt-out:%' AND requested_at > now() - interval '1 day';
