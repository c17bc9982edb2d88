"""A campaign's tags and custom fields, and who has which."""

from typing import Final

import asyncpg
import msgspec

from gateway.core.bank.labels import CustomField, Marks, Tag
from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.errors import TextbankError
from gateway.store.database import Statements


class NameTaken(TextbankError):
    """A tag has this name, or a field this slug, already."""


_TAGS = """
SELECT tag_id, name, label, place, by_default, extract(epoch FROM archived_at)::float8 FROM tags
WHERE organisation_id = $1 AND campaign_id = $2 ORDER BY place, tag_id
"""
_FIELDS = """
SELECT field_id, slug, label, kind, options::text, default_value, place, by_default,
       extract(epoch FROM archived_at)::float8
FROM custom_fields WHERE organisation_id = $1 AND campaign_id = $2 ORDER BY place, field_id
"""


async def tags(statements: Statements, key: CampaignKey) -> list[Tag]:
    """All of them, archived ones as well, in their order."""
    return [
        Tag(**dict(zip(Tag.__struct_fields__, row, strict=True)))
        for row in await statements.fetch(_TAGS, *key)
    ]


async def fields(statements: Statements, key: CampaignKey) -> list[CustomField]:
    """All of them, archived ones as well, in their order."""
    return [
        CustomField(
            field_id=row[0],
            slug=row[1],
            label=row[2],
            kind=row[3],
            options=msgspec.json.decode(row[4], type=tuple[str, ...]),
            default_value=row[5],
            place=row[6],
            by_default=row[7],
            archived_at=row[8],
        )
        for row in await statements.fetch(_FIELDS, *key)
    ]


_LOCK = "SELECT name FROM campaigns WHERE organisation_id = $1 AND campaign_id = $2 FOR NO KEY UPDATE"
_PUT_TAG = """
INSERT INTO tags (organisation_id, campaign_id, tag_id, name, label, place, by_default, archived_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, to_timestamp($8))
ON CONFLICT (organisation_id, campaign_id, tag_id) DO UPDATE SET name = excluded.name, label = excluded.label,
    place = excluded.place, by_default = excluded.by_default, archived_at = excluded.archived_at
"""
_PUT_FIELD = """
INSERT INTO custom_fields (organisation_id, campaign_id, field_id, slug, label, kind, options, default_value, place,
                           by_default, archived_at)
VALUES ($1, $2, $3, $4, $5, $6, $7::text::jsonb, $8, $9, $10, to_timestamp($11))
ON CONFLICT (organisation_id, campaign_id, field_id) DO UPDATE SET label = excluded.label, options = excluded.options,
    default_value = excluded.default_value, place = excluded.place, by_default = excluded.by_default,
    archived_at = excluded.archived_at
"""
_TAKEN: Final = ("tags_name", "custom_fields_slug")


async def lock(statements: Statements, key: CampaignKey) -> None:
    """Changes of one campaign's catalogue wait for each other, until the end of the transaction."""
    await statements.fetch(_LOCK, *key)


async def put_tag(statements: Statements, key: CampaignKey, tag: Tag) -> None:
    """Makes it, or what it is from now on. Raises NameTaken."""
    await _put(
        statements,
        _PUT_TAG,
        *key,
        tag.tag_id,
        tag.name,
        tag.label,
        tag.place,
        tag.by_default,
        tag.archived_at,
    )


async def put_field(statements: Statements, key: CampaignKey, field: CustomField) -> None:
    """Makes it, or what it is from now on; slug and kind stay. Raises NameTaken."""
    await _put(
        statements,
        _PUT_FIELD,
        *key,
        field.field_id,
        field.slug,
        field.label,
        field.kind,
        msgspec.json.encode(field.options).decode(),
        field.default_value,
        field.place,
        field.by_default,
        field.archived_at,
    )


async def _put(statements: Statements, sql: str, *arguments: object) -> None:
    try:
        await statements.fetch(sql, *arguments)
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name not in _TAKEN:
            raise
        raise NameTaken("the campaign has one of this name already") from error


# ---------------------------------------------------------------- who has which

_CONTACT = """
SELECT contact_id FROM contacts
WHERE organisation_id = $1 AND campaign_id = $2 AND contact_id = $3 AND deleted_at IS NULL FOR NO KEY UPDATE
"""
_TAG = """
INSERT INTO contact_tags (organisation_id, campaign_id, contact_id, tag_id, tagged_at, user_id)
SELECT $1, $2, $3, t.tag_id, to_timestamp($5), $6 FROM tags t
WHERE t.organisation_id = $1 AND t.campaign_id = $2 AND t.tag_id = ANY ($4::bigint[]) ORDER BY t.tag_id
ON CONFLICT (organisation_id, campaign_id, contact_id, tag_id) DO NOTHING
"""
_UNTAG = """
DELETE FROM contact_tags
WHERE organisation_id = $1 AND campaign_id = $2 AND contact_id = $3 AND tag_id = ANY ($4::bigint[])
"""
_FILL = """
UPDATE contacts SET fields = jsonb_strip_nulls(coalesce(fields, '{}') || $4::text::jsonb), version = version + 1
WHERE organisation_id = $1 AND campaign_id = $2 AND contact_id = $3
"""


async def apply(
    transaction: Statements, key: CampaignKey, contact_id: int, marks: Marks, user_id: int | None, now: float
) -> bool:
    """What a report says of a contact is so from now on; False: there is no such contact. Unknown tags are passed over.

    In the caller's transaction, until whose end others wait who mark the same contact.
    """
    if not await transaction.fetch(_CONTACT, *key, contact_id):
        return False
    if marks.tags:
        await transaction.fetch(_TAG, *key, contact_id, marks.tags, now, user_id)
    if marks.removed_tags:
        await transaction.fetch(_UNTAG, *key, contact_id, marks.removed_tags)
    if marks.fields:
        await transaction.fetch(_FILL, *key, contact_id, msgspec.json.encode(marks.fields).decode())
    return True


class Standing(msgspec.Struct, frozen=True):
    """What is known of a contact: its tags, and its fields by slug."""

    tag_ids: list[int]
    fields: dict[str, str]
    messaged_at: float | None


_STANDING = """
SELECT ARRAY(SELECT t.tag_id FROM contact_tags t
             WHERE t.organisation_id = $1 AND t.campaign_id = $2 AND t.contact_id = $3 ORDER BY t.tag_id),
       coalesce(c.fields, '{}')::text,
       (SELECT extract(epoch FROM v.last_outbound_at)::float8 FROM conversations v
        WHERE v.organisation_id = $1 AND v.campaign_id = $2 AND v.contact_id = $3)
FROM contacts c WHERE c.organisation_id = $1 AND c.campaign_id = $2 AND c.contact_id = $3
"""


async def standing(statements: Statements, key: CampaignKey, contact_id: int) -> Standing | None:
    """None when there is no such contact. `messaged_at`: of our last text to them (F139), Unix seconds."""
    rows = await statements.fetch(_STANDING, *key, contact_id)
    if not rows:
        return None
    tag_ids, stored, messaged_at = rows[0]
    return Standing(tag_ids, msgspec.json.decode(stored, type=dict[str, str]), messaged_at)
