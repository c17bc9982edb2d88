-- What a look-up said of a phone, and when: asked again only when it is old, since each answer costs money.

CREATE TABLE look_ups (
    phone           text PRIMARY KEY,           -- E.164
    line_type       text NOT NULL,              -- as the provider names it; invalid: it can't exist
    carrier         text,
    looked_up_at    timestamptz NOT NULL
);
