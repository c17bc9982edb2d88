"""All that the books hold about one contact, for whoever must prove what was done (N18). Each list is bounded."""

from typing import Final

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.store.broadcasts import CONSENT_OF_ONE, Consented
from gateway.store.database import Database

MOST: Final = 500
"""Rows of each list, the newest."""


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """The person, and how things stand; times in Unix seconds. `fields` is JSON."""

    contact_id: int
    phone: str
    first_name: str
    last_name: str
    email: str
    zip: str
    state: str
    line_type: str | None
    carrier: str | None
    hours_group: str
    fields: str | None
    deleted_at: float | None
    last_text_at: float | None
    last_reply_at: float | None
    waits_since: float | None
    failure_code: int | None
    failure_until: float | None
    volunteer_id: int | None
    opted_out_at: float | None
    opt_out_source: str | None
    opt_out_words: str | None
    opt_out_noted_by: int | None


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What the person wrote, and as what it was read."""

    reply_id: int
    at: float
    to_number: str
    text: str
    read_as: str
    opted_out: bool
    suggests_opt_out: bool
    wrong_number: bool
    action_id: int | None
    volunteer_id: int | None


class Reported(msgspec.Struct, frozen=True, kw_only=True):
    """A report; tags by their names, `fields` JSON."""

    report_id: int
    at: float
    action_id: int | None
    user_id: int | None
    tags: list[str]
    removed_tags: list[str]
    fields: str


class Tagged(msgspec.Struct, frozen=True):
    """A tag that the person has."""

    name: str
    tagged_at: float
    user_id: int | None


class Clicked(msgspec.Struct, frozen=True):
    """A press of a tracked link."""

    at: float
    url: str | None
    message_id: int | None
    action_id: int | None


class Assigned(msgspec.Struct, frozen=True):
    """An action that is for the person, and who has them there."""

    action_id: int
    title: str | None
    volunteer_id: int | None
    assigned_at: float | None


class OnList(msgspec.Struct, frozen=True):
    """A contact list that the person is on."""

    list_id: int
    name: str
    made_at: float


class Books(msgspec.Struct, frozen=True, kw_only=True):
    """Everything; `message_ids` rise. `people`: names of the users that are mentioned."""

    subject: Subject
    message_ids: list[int]
    replies: list[Said]
    reports: list[Reported]
    tags: list[Tagged]
    clicks: list[Clicked]
    actions: list[Assigned]
    lists: list[OnList]
    consent: Consented | None  # to broadcasts


_SUBJECT: Final = """
SELECT c.contact_id, c.phone, c.first_name, c.last_name, c.email, c.zip, c.state, c.line_type, c.carrier, c.hours_group,
       c.fields::text, extract(epoch FROM c.deleted_at)::float8, extract(epoch FROM v.last_outbound_at)::float8,
       extract(epoch FROM v.last_inbound_at)::float8, extract(epoch FROM v.attention_at)::float8, v.failure_code,
       CASE WHEN isfinite(v.failure_until) THEN extract(epoch FROM v.failure_until)::float8 END, v.volunteer_id,
       extract(epoch FROM o.opted_out_at)::float8, o.source, o.words, o.volunteer_id
FROM contacts c
LEFT JOIN conversations v ON v.organisation_id = $1 AND v.campaign_id = $2 AND v.contact_id = c.contact_id
LEFT JOIN opt_outs o ON o.organisation_id = $1 AND o.scope = $4 AND o.phone = c.phone
WHERE c.organisation_id = $1 AND c.campaign_id = $2 AND c.contact_id = $3
"""
_MESSAGE_IDS: Final = """
SELECT m.message_id FROM messages m WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.contact_id = $3
ORDER BY m.message_id DESC LIMIT $4
"""
_REPLIES: Final = """
SELECT i.inbound_id, extract(epoch FROM i.received_at)::float8, i.number_phone, i.body, i.intent, i.opted_out,
       i.suggests_opt_out, i.wrong_number, i.action_id, i.volunteer_id
FROM inbound i WHERE i.organisation_id = $1 AND i.campaign_id = $2 AND i.contact_id = $3
ORDER BY i.inbound_id DESC LIMIT $4
"""
_NAMES = """ARRAY(SELECT g.name FROM tags g WHERE g.organisation_id = $1 AND g.campaign_id = $2 AND g.tag_id = ANY ({tags})
                  ORDER BY g.name)"""
_REPORTS: Final = f"""
SELECT r.report_id, extract(epoch FROM r.at)::float8, r.action_id, r.user_id, {_NAMES.format(tags="r.tags")},
       {_NAMES.format(tags="r.removed_tags")}, r.fields::text
FROM reports r WHERE r.organisation_id = $1 AND r.campaign_id = $2 AND r.contact_id = $3
ORDER BY r.report_id DESC LIMIT $4
"""  # noqa: S608 - fixed texts
_TAGS: Final = """
SELECT g.name, extract(epoch FROM k.tagged_at)::float8, k.user_id
FROM contact_tags k JOIN tags g ON g.organisation_id = $1 AND g.campaign_id = $2 AND g.tag_id = k.tag_id
WHERE k.organisation_id = $1 AND k.campaign_id = $2 AND k.contact_id = $3 ORDER BY g.name LIMIT $4
"""
_CLICKS: Final = """
SELECT extract(epoch FROM k.at)::float8, l.url, k.message_id, k.action_id
FROM clicks k LEFT JOIN links l ON l.organisation_id = $1 AND l.campaign_id = $2 AND l.link_id = k.link_id
WHERE k.organisation_id = $1 AND k.campaign_id = $2 AND k.contact_id = $3 ORDER BY k.click_id DESC LIMIT $4
"""
_ACTIONS: Final = """
SELECT a.action_id, a.title, s.volunteer_id, extract(epoch FROM s.assigned_at)::float8
FROM actions a JOIN assignments s ON s.organisation_id = $1 AND s.campaign_id = $2 AND s.action_id = a.action_id
  AND s.contact_id = $3
WHERE a.organisation_id = $1 AND a.campaign_id = $2 ORDER BY a.action_id DESC LIMIT $4
"""
_LISTS: Final = """
SELECT l.list_id, l.name, extract(epoch FROM l.made_at)::float8
FROM contact_lists l JOIN list_members m ON m.organisation_id = $1 AND m.campaign_id = $2 AND m.list_id = l.list_id
  AND m.contact_id = $3
WHERE l.organisation_id = $1 AND l.campaign_id = $2 ORDER BY l.list_id DESC LIMIT $4
"""


async def books(
    database: Database, key: CampaignKey, opt_out_scope: int, contact_id: int, most_messages: int
) -> Books | None:
    """All of it, each list in the order of time; None: there is no such contact."""
    row = await database.fetch_row(_SUBJECT, *key, contact_id, opt_out_scope)
    if row is None:
        return None
    ids = await database.fetch(_MESSAGE_IDS, *key, contact_id, most_messages)
    replies = await database.fetch(_REPLIES, *key, contact_id, MOST)
    reports = await database.fetch(_REPORTS, *key, contact_id, MOST)
    tags = await database.fetch(_TAGS, *key, contact_id, MOST)
    clicks = await database.fetch(_CLICKS, *key, contact_id, MOST)
    actions = await database.fetch(_ACTIONS, *key, contact_id, MOST)
    lists = await database.fetch(_LISTS, *key, contact_id, MOST)
    consent = await database.fetch_row(CONSENT_OF_ONE, *key, contact_id)
    return Books(
        subject=Subject(**dict(zip(Subject.__struct_fields__, row, strict=True))),
        message_ids=sorted(each[0] for each in ids),
        replies=[Said(**dict(zip(Said.__struct_fields__, each, strict=True))) for each in reversed(replies)],
        reports=[
            Reported(**dict(zip(Reported.__struct_fields__, each, strict=True))) for each in reversed(reports)
        ],
        tags=[Tagged(*each) for each in tags],
        clicks=[Clicked(*each) for each in reversed(clicks)],
        actions=[Assigned(*each) for each in reversed(actions)],
        lists=[OnList(*each) for each in reversed(lists)],
        consent=None if consent is None else Consented(*consent),
    )
