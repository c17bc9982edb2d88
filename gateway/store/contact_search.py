"""Contacts found: a page of those whom filters let through, in the order of their ids, and how many there are.

A statement walks along one index, whichever leads to the fewest, and looks at a bounded number of its contacts: where
few of them pass, a page may be short, or empty, though more come after it.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Database, Statements

MOST_LOOKED_AT: Final = 20_000
MOST_COUNTED: Final = 10_000
_MOST_LOOKED_AT_TO_COUNT: Final = 50_000
_FIRST_NAMES: Final = 5_000  # of a name's matches, in the order of names, that a search looks at
_WHOLE_ZIP: Final = 5
_AFTER_ALL: Final = "\U0010ffff"


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which contacts; None: whichever.

    `zip_prefix` has three to five digits, `field` is a custom field's slug and value, `phone` E.164, `last_digits` at
    least four, `name` one or two words in lower case, which begin the names. `error_code` is of the last of our texts
    to them.
    """

    list_id: int | None = None
    tag_id: int | None = None
    assignee_id: int | None = None
    state: str | None = None
    zip_prefix: str | None = None
    field: tuple[str, str] | None = None
    opted_out: bool | None = None
    texted: bool | None = None
    replied: bool | None = None
    needs_attention: bool | None = None
    error_code: int | None = None
    phone: str | None = None
    last_digits: str | None = None
    name: tuple[str, ...] = ()


class Found(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A contact with what matters about texting them; times in Unix seconds, `fields` a JSON object or None.

    `volunteer_id`: who has the conversation; `assignee_id`: whom a list named.
    """

    contact_id: int
    version: int
    phone: str
    first_name: str
    last_name: str
    email: str
    zip: str
    state: str
    line_type: str | None
    carrier: str | None
    fields: str | None
    assignee_id: int | None
    opted_out: bool
    volunteer_id: int | None
    last_outbound_at: float | None
    last_inbound_at: float | None
    attention_at: float | None


FOUND: Final = """
c.contact_id, c.version, c.phone, c.first_name, c.last_name, c.email, c.zip, c.state, c.line_type, c.carrier,
c.fields::text, c.assignee_id,
EXISTS (SELECT FROM opt_outs o WHERE o.organisation_id = $1 AND o.scope = $3 AND o.phone = c.phone),
v.volunteer_id, extract(epoch FROM v.last_outbound_at)::float8, extract(epoch FROM v.last_inbound_at)::float8,
CASE WHEN v.archived_at IS NULL THEN extract(epoch FROM v.attention_at)::float8 END
"""

# ---------------------------------------------------------------- where a walk goes

# $1 and $2 are the campaign's key, $4 the contact after which it begins, $5 how many it looks at, $7 and $8 what is
# looked for. Each is read from one index in the order of ids, but for names and digits, of which few match.
_EVERYBODY = """
SELECT c.contact_id FROM contacts c WHERE c.organisation_id = $1 AND c.campaign_id = $2 AND c.contact_id > $4
ORDER BY c.contact_id LIMIT $5
"""
_WALKS: Final = {
    "list_id": """
SELECT m.contact_id FROM list_members m
WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.list_id = $7::bigint AND m.contact_id > $4
ORDER BY m.contact_id LIMIT $5
""",
    "tag_id": """
SELECT t.contact_id FROM contact_tags t
WHERE t.organisation_id = $1 AND t.campaign_id = $2 AND t.tag_id = $7::bigint AND t.contact_id > $4
ORDER BY t.contact_id LIMIT $5
""",
    "assignee_id": """
SELECT c.contact_id FROM contacts c
WHERE c.organisation_id = $1 AND c.campaign_id = $2 AND c.assignee_id = $7::bigint AND c.contact_id > $4
ORDER BY c.contact_id LIMIT $5
""",
    "state": """
SELECT c.contact_id FROM contacts c
WHERE c.organisation_id = $1 AND c.campaign_id = $2 AND c.state = $7::text AND c.contact_id > $4
ORDER BY c.contact_id LIMIT $5
""",
    "zip_prefix": """
SELECT z.contact_id FROM unnest($7::text[]) AS wanted (zip)
CROSS JOIN LATERAL (SELECT c.contact_id FROM contacts c
    WHERE c.organisation_id = $1 AND c.campaign_id = $2 AND left(c.zip, 5) = wanted.zip AND c.contact_id > $4
    ORDER BY c.contact_id LIMIT $5) z
ORDER BY z.contact_id LIMIT $5
""",
    # Few wait at a time: the sum keeps the planner from walking along everybody who was ever texted.
    "needs_attention": """
SELECT v.contact_id FROM conversations v
WHERE v.organisation_id = $1 AND v.campaign_id = $2 AND v.attention_at IS NOT NULL AND v.archived_at IS NULL
  AND v.contact_id + 0 > $4 AND $7::boolean
ORDER BY v.contact_id + 0 LIMIT $5
""",
    "phone": """
SELECT c.contact_id FROM contacts c
WHERE c.organisation_id = $1 AND c.campaign_id = $2 AND c.phone = $7::text AND c.contact_id > $4 LIMIT $5
""",
    "last_digits": """
SELECT c.contact_id FROM contacts c
WHERE c.organisation_id = $1 AND c.campaign_id = $2 AND reverse(c.phone) COLLATE "C" >= reverse($7::text)
  AND reverse(c.phone) COLLATE "C" < reverse($7::text) || 'A' AND c.contact_id + 0 > $4
ORDER BY c.contact_id + 0 LIMIT $5
""",
}


def _named(column: str) -> str:
    """The contacts whose name in this column begins with $7; the first of them in the order of names."""
    return f"""
(SELECT c.contact_id FROM contacts c
WHERE c.organisation_id = $1 AND c.campaign_id = $2 AND lower(c.{column}) COLLATE "C" >= $7::text
  AND lower(c.{column}) COLLATE "C" < $7::text || '{_AFTER_ALL}'
ORDER BY lower(c.{column}) COLLATE "C", c.contact_id LIMIT {_FIRST_NAMES})
"""  # noqa: S608 - our own column names


_BY_ONE_NAME: Final = f"""
SELECT n.contact_id FROM ({_named("last_name")} UNION {_named("first_name")}) n
WHERE n.contact_id > $4 ORDER BY n.contact_id LIMIT $5
"""  # noqa: S608 - fixed texts


def _both_named(last: str, first: str) -> str:
    """The contacts whose names begin with these arguments."""
    return f"""
(SELECT c.contact_id FROM contacts c
WHERE c.organisation_id = $1 AND c.campaign_id = $2 AND lower(c.last_name) COLLATE "C" >= {last}::text
  AND lower(c.last_name) COLLATE "C" < {last}::text || '{_AFTER_ALL}' AND starts_with(lower(c.first_name), {first}::text)
ORDER BY lower(c.last_name) COLLATE "C", c.contact_id LIMIT {_FIRST_NAMES})
"""  # noqa: S608 - fixed texts


_BY_BOTH_NAMES: Final = f"""
SELECT n.contact_id FROM ({_both_named("$7", "$8")} UNION {_both_named("$8", "$7")}) n
WHERE n.contact_id > $4 ORDER BY n.contact_id LIMIT $5
"""  # noqa: S608 - fixed texts
_NARROWEST_FIRST: Final = (
    "phone",
    "last_digits",
    "name",
    "needs_attention",
    "list_id",
    "tag_id",
    "assignee_id",
    "zip_prefix",
    "state",
)

# ---------------------------------------------------------------- who passes

# Of contact c in conversation v; {n} is the argument.
_PASSES: Final = {
    "list_id": """EXISTS (SELECT FROM list_members m WHERE m.organisation_id = $1 AND m.campaign_id = $2
        AND m.list_id = {n}::bigint AND m.contact_id = c.contact_id)""",
    "tag_id": """EXISTS (SELECT FROM contact_tags t WHERE t.organisation_id = $1 AND t.campaign_id = $2
        AND t.contact_id = c.contact_id AND t.tag_id = {n}::bigint)""",
    "assignee_id": "c.assignee_id = {n}::bigint",
    "state": "c.state = {n}::text",
    "zip_prefix": "left(c.zip, 5) = ANY ({n}::text[])",
    "field": "c.fields ->> ({n}::text[])[1] = ({n}::text[])[2]",
    "opted_out": """EXISTS (SELECT FROM opt_outs o WHERE o.organisation_id = $1 AND o.scope = $3
        AND o.phone = c.phone) = {n}::boolean""",
    "texted": "(v.last_outbound_at IS NOT NULL) = {n}::boolean",
    "replied": "(v.last_inbound_at IS NOT NULL) = {n}::boolean",
    "needs_attention": "coalesce(v.attention_at IS NOT NULL AND v.archived_at IS NULL, false) = {n}::boolean",
    "error_code": """v.last_outbound_at IS NOT NULL AND (SELECT m.code FROM messages m WHERE m.organisation_id = $1
        AND m.campaign_id = $2 AND m.contact_id = c.contact_id
        ORDER BY m.requested_at DESC, m.message_id DESC LIMIT 1) = {n}::integer""",
}
_ABOUT: Final = """
CROSS JOIN LATERAL (SELECT * FROM contacts c WHERE c.organisation_id = $1 AND c.campaign_id = $2
                    AND c.contact_id = looked.contact_id AND c.deleted_at IS NULL LIMIT 1) c
LEFT JOIN LATERAL (SELECT * FROM conversations v WHERE v.organisation_id = $1 AND v.campaign_id = $2
                   AND v.contact_id = looked.contact_id LIMIT 1) v ON true
"""


# $3 and $6 are named in each statement, whether it needs them or not. A test looks at the statements put together.
_THOSE: Final = """
WITH looked AS MATERIALIZED ({walk})
SELECT {told} FROM looked {about} WHERE $3::bigint IS NOT NULL {passes} {order} LIMIT $6
"""
_IN_ORDER: Final = "ORDER BY looked.contact_id"
_COUNT: Final = "SELECT count(*) FROM ({those}) passed"
_FILL: Final = """
WITH found AS MATERIALIZED ({those}), joined AS (
    INSERT INTO list_members (organisation_id, campaign_id, list_id, contact_id)
    SELECT $1, $2, {list}::bigint, contact_id FROM found ORDER BY contact_id
    ON CONFLICT DO NOTHING RETURNING 1
)
SELECT (SELECT count(*) FROM found), (SELECT count(*) FROM joined), (SELECT max(contact_id) FROM found)
"""
_END: Final = """
SELECT count(*), max(contact_id) FROM ({walk}) walk WHERE $3::bigint IS NOT NULL AND $6::bigint IS NOT NULL
"""


class Search:
    """The statements of one set of filters, and their arguments from $7 on."""

    def __init__(self, wanted: Wanted) -> None:
        given = {
            name: getattr(wanted, name)
            for name in wanted.__struct_fields__
            if getattr(wanted, name) not in (None, ())
        }
        if "zip_prefix" in given:
            given["zip_prefix"] = _zips(given["zip_prefix"])
        if "field" in given:
            given["field"] = list(given["field"])
        self.arguments: list[Any] = []
        leads = [each for each in _NARROWEST_FIRST if each in given and given[each] is not False]
        self._walk = self._take_walk(leads[0], given.pop(leads[0])) if leads else _EVERYBODY
        self.walks_by = len(self.arguments)
        self._passes = "".join(self._take_filter(name, value) for name, value in given.items())
        self.looked_at = MOST_LOOKED_AT
        if leads and leads[0] == "zip_prefix" and len(self.arguments[0]) > 1:
            self.looked_at //= 10  # a walk along many ZIPs at once reads up to so many of each
        elif wanted.error_code is not None:
            self.looked_at //= 4  # of each the last text is looked for

    def _take_walk(self, name: str, value: Any) -> str:
        if name != "name":
            self.arguments.append(value)
            return _WALKS[name]
        self.arguments.extend(value)
        return _BY_ONE_NAME if len(value) == 1 else _BY_BOTH_NAMES

    def _take_filter(self, name: str, value: Any) -> str:
        self.arguments.append(value)
        return "\n  AND " + _PASSES[name].format(n=f"${6 + len(self.arguments)}")

    def _those(self, told: str, order: str = "") -> str:
        parts = {"walk": self._walk, "told": told, "about": _ABOUT, "passes": self._passes, "order": order}
        return _THOSE.format_map(parts)

    @property
    def page(self) -> str:
        return self._those(FOUND, _IN_ORDER)

    @property
    def count(self) -> str:
        return _COUNT.format_map({"those": self._those("1")})

    @property
    def fill(self) -> str:
        """Puts those found on the list of the last argument: how many were found, are new on it, and the last one."""
        those = self._those("looked.contact_id", _IN_ORDER)
        return _FILL.format_map({"those": those, "list": f"${7 + len(self.arguments)}"})

    @property
    def end(self) -> str:
        """How many the walk looks at, and the last of them."""
        return _END.format_map({"walk": self._walk})


def _zips(prefix: str) -> list[str]:
    """Every five-digit ZIP that begins so."""
    missing = _WHOLE_ZIP - len(prefix)
    return [f"{prefix}{rest:0{missing}}" for rest in range(10**missing)] if missing else [prefix]


async def page(
    database: Database, key: CampaignKey, opt_out_scope: int, wanted: Wanted, after: int, limit: int
) -> tuple[list[Found], int | None]:
    """The next `limit` contacts, those after an id, and the id after which the next page begins; None: there is none."""
    search = Search(wanted)
    asked = (*key, opt_out_scope, after, search.looked_at, limit, *search.arguments)
    found = [_found(row) for row in await database.fetch(search.page, *asked)]
    if len(found) == limit:
        return found, found[-1].contact_id
    return found, await _end(database, search, asked)


async def _end(statements: Statements, search: Search, asked: Sequence[Any]) -> int | None:
    """Where a walk that found too few came to its bound; None: it came to its end."""
    [(looked_at, last)] = await statements.fetch(search.end, *asked[: 6 + search.walks_by])
    return last if looked_at == asked[4] else None


async def count(database: Database, key: CampaignKey, opt_out_scope: int, wanted: Wanted) -> tuple[int, bool]:
    """How many there are, up to 10,000, and whether that is all of them."""
    search = Search(wanted)
    looked_at = min(_MOST_LOOKED_AT_TO_COUNT, 2 * search.looked_at)
    asked = (*key, opt_out_scope, 0, looked_at, MOST_COUNTED + 1, *search.arguments)
    counted: int = await database.fetch_value(search.count, *asked)
    if counted > MOST_COUNTED:
        return MOST_COUNTED, False
    return counted, await _end(database, search, asked) is None


async def fill(
    statements: Statements,
    key: CampaignKey,
    opt_out_scope: int,
    wanted: Wanted,
    list_id: int,
    after: int,
    limit: int,
) -> tuple[int, int, int | None]:
    """Puts the next `limit` contacts on a list: how many were found, how many are new on it, and after whom it goes
    on; None: that was all."""
    search = Search(wanted)
    asked = (*key, opt_out_scope, after, search.looked_at, limit, *search.arguments, list_id)
    [(found, joined, last)] = await statements.fetch(search.fill, *asked)
    if found == limit:
        return found, joined, last
    return found, joined, await _end(statements, search, asked)


def _found(row: Sequence[Any]) -> Found:
    return Found(**dict(zip(Found.__struct_fields__, row, strict=True)))
