-- in steps
-- Actions as their admins make them: drafts, published at once or at a time, to some or to all, their scripts rows of
-- their own. Until `published_at` nobody but an admin sees an action: its contacts are being assigned, in pieces.

ALTER TABLE actions
    ADD COLUMN state        text NOT NULL DEFAULT 'draft',  -- draft, scheduled, private, public
    ADD COLUMN publish_at   timestamptz,                    -- scheduled: when
    ADD COLUMN publishes_as text,                           -- scheduled: private or public
    ADD COLUMN version      bigint NOT NULL DEFAULT 1,      -- how often the action or one of its scripts was saved
    ADD COLUMN created_by   bigint,                         -- a user; null: an API key, or the command
    ADD COLUMN created_at   timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN archived_at  timestamptz,
    ADD COLUMN link         text;                           -- what an action link carries: 128 random bits
UPDATE actions SET state = 'public' WHERE published_at IS NOT NULL;

CREATE TABLE scripts (
    organisation_id bigint NOT NULL,
    campaign_id     bigint NOT NULL,
    script_id       bigint NOT NULL,
    action_id       bigint NOT NULL,
    kind            text NOT NULL,              -- initial, response
    name            text NOT NULL,              -- what messages.script says; stays as it is once published
    source          text NOT NULL,
    place           integer NOT NULL,           -- their order; the first ten responses have the keys 1 to 0
    tag_ids         bigint[] NOT NULL DEFAULT '{}',  -- sending it tags the contact, and sets these fields by slug
    fields          jsonb NOT NULL DEFAULT '{}',
    media           text[] NOT NULL DEFAULT '{}',    -- addresses of pictures
    revision        bigint NOT NULL DEFAULT 1,
    archived_at     timestamptz,
    PRIMARY KEY (organisation_id, campaign_id, script_id),
    CONSTRAINT scripts_name UNIQUE (organisation_id, campaign_id, action_id, name),
    FOREIGN KEY (organisation_id, campaign_id, action_id) REFERENCES actions (organisation_id, campaign_id, action_id)
);
ALTER TABLE scripts ALTER COLUMN organisation_id SET (n_distinct = 1);
ALTER TABLE scripts ALTER COLUMN campaign_id SET (n_distinct = 1);

-- Who may see a private action: hand-picked, or let in by its link.
CREATE TABLE action_invitees (
    organisation_id bigint NOT NULL,
    campaign_id     bigint NOT NULL,
    action_id       bigint NOT NULL,
    user_id         bigint NOT NULL,
    invited_at      timestamptz NOT NULL,
    invited_by      text NOT NULL,              -- as in the audit log; link: came by the action's link
    PRIMARY KEY (organisation_id, campaign_id, action_id, user_id),
    FOREIGN KEY (organisation_id, campaign_id, action_id) REFERENCES actions (organisation_id, campaign_id, action_id)
);
ALTER TABLE action_invitees ALTER COLUMN organisation_id SET (n_distinct = 1);
ALTER TABLE action_invitees ALTER COLUMN campaign_id SET (n_distinct = 1);

-- What every worker learns with the campaign: that an action or a script has changed, and whose first texts wait.
ALTER TABLE campaigns
    ADD COLUMN actions_version bigint NOT NULL DEFAULT 1,
    ADD COLUMN paused_actions  bigint[] NOT NULL DEFAULT '{}';

INSERT INTO scripts (organisation_id, campaign_id, script_id, action_id, kind, name, source, place)
SELECT a.organisation_id, a.campaign_id, nextval('id_blocks') * 1000, a.action_id, each.kind,
       each.kind || '-' || each.place, each.source, each.place
FROM actions a CROSS JOIN LATERAL (
    SELECT 'initial' AS kind, i.source, i.place FROM jsonb_array_elements_text(coalesce(a.scripts -> 'initials', '[]'))
    WITH ORDINALITY AS i (source, place)
    UNION ALL
    SELECT 'response', r.source, r.place FROM jsonb_array_elements_text(coalesce(a.scripts -> 'responses', '[]'))
    WITH ORDINALITY AS r (source, place)) AS each
ON CONFLICT DO NOTHING;
UPDATE actions SET settings = settings || jsonb_strip_nulls(jsonb_build_object(
    'opt_out_suffix', scripts -> 'opt_out_suffix', 'contact_fallback', scripts -> 'contact_fallback',
    'sender_fallback', scripts -> 'sender_fallback'))
WHERE scripts <> '{}';
