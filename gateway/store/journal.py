"""The journal's writing: the piece that a statement carries to note what it did, in its own transaction."""

from typing import Final, Literal

from gateway.core.bank.events import EventKind
from gateway.core.rules.months import IDS_OF_A_MONTH

Column = Literal[
    "ids",
    "contact_ids",
    "action_ids",
    "user_ids",
    "former_user_ids",
    "kinds",
    "scripts",
    "segments",
    "befores",
    "states",
    "codes",
]

# As `ids.IdsByMonth` gives them, within the statement: so its caller needs no id for what it may not come to note.
_ID: Final = f"to_char({{at}}, 'YYMM')::bigint * {IDS_OF_A_MONTH} + nextval('event_ids') % {IDS_OF_A_MONTH}"


def noted(kind: EventKind, source: str, *, at: str, columns: dict[Column, str]) -> str:
    """A part `noted AS (…)` of a WITH: one event about all rows of `source`, and none when there are no rows.

    `source`: what stands after FROM; `at`: an instant in SQL, an aggregate or an argument; `columns`: the journal's
    arrays and what of each row goes into them. $1 and $2 are the campaign.
    """
    values = ", ".join(f"array_agg({value})" for value in columns.values())
    return f"""noted AS (
    INSERT INTO events (organisation_id, campaign_id, event_id, kind, at, {", ".join(columns)})
    SELECT $1, $2, {_ID.format(at=at)}, '{kind}', {at}, {values} FROM {source} HAVING count(*) > 0
)"""  # noqa: S608 - fixed texts


MESSAGE: Final[dict[Column, str]] = {
    "ids": "message_id",
    "contact_ids": "contact_id",
    "action_ids": "action_id",
    "user_ids": "sender_id",
    "kinds": "kind",
    "scripts": "script",
    "segments": "segments",
    "codes": "code",
}
"""What is noted of messages, but for their states; the source has columns of these names."""
ADMITTED: Final = noted(
    EventKind.ADMITTED, "written", at="max(requested_at)", columns=MESSAGE | {"states": "state"}
)
"""From `written`, the rows that were admitted."""


def moved(source: str, at: str) -> str:
    """Messages of `source` that went from `before` to `after`."""
    return noted(EventKind.MOVED, source, at=at, columns=MESSAGE | {"befores": "before", "states": "after"})


def handed_over(source: str, *, to: str, at: str) -> str:
    """Conversations of `source` became somebody else's; it has whose they were as `volunteer_id`."""
    return noted(
        EventKind.HANDED_OVER,
        source,
        at=at,
        columns={
            "contact_ids": "contact_id",
            "action_ids": "action_id",
            "user_ids": to,
            "former_user_ids": "volunteer_id",
        },
    )


def assigned(source: str, *, action: str, to: str, at: str) -> str:
    """Contacts of `source` became a volunteer's."""
    columns: dict[Column, str] = {"contact_ids": "contact_id", "action_ids": action, "user_ids": to}
    return noted(EventKind.ASSIGNED, source, at=at, columns=columns)


RELEASED: Final = noted(
    EventKind.RELEASED,
    "freed",
    at="to_timestamp({at})",
    columns={"contact_ids": "contact_id", "action_ids": "action_id", "former_user_ids": "volunteer_id"},
)
"""From `freed`, contacts that a volunteer had; `at` is an argument's place."""


def filed(at: str) -> str:
    """Conversations of `filed` were read, archived or taken back into the inbox."""
    columns: dict[Column, str] = {
        "contact_ids": "contact_id",
        "action_ids": "action_id",
        "user_ids": "volunteer_id",
    }
    return noted(EventKind.FILED, "filed", at=at, columns=columns)
