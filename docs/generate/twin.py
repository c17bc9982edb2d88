"""What the carrier server adds to Twilio's API: the faults one can start, and the ledger's tables."""

from collections.abc import Mapping
from typing import Any

import msgspec

from docs.generate.parameters import comments_of, shown
from docs.generate.tables import code, table
from simulator.model.ledger import Ledger
from simulator.twin.control import TABLES, FaultOrder

FAULTS: Mapping[str, str] = {
    "brownout": "a carrier, or all of them, takes and delivers more slowly",
    "answers": "create calls are answered badly, or not at all, until the faults are healed",
    "receipt_storm": "final receipts are held back and come all at once at its end",
    "number_ban": "texts of one number are filtered, or refused, until the faults are healed",
    "stop_wave": "a further share of the people texted meanwhile answers STOP",
    "outage": "connections break before anything is done",
}
TABLE_MEANINGS: Mapping[str, str] = {
    "submissions": "messages taken, in the order of their `n`; with sid, present status and code",
    "refusals": "create calls refused at once, by a sender's or recipient's fault",
    "accepts": "when each left the provider's queue, and when its carrier had it",
    "finals": "the last word about each message",
    "statuses": "status webhooks that set out, duplicates included",
    "arrivals": "when each was on the handset; `shown` 0: filtered without a word",
    "inbound": "texts from people",
    "inbound_deliveries": "webhooks of these that set out",
    "acknowledged": "status webhooks that your application answered with 2xx",
    "inbound_acknowledged": "webhooks of texts from people that it answered with 2xx",
    "purchases": "numbers bought; a code says why one was not",
    "releases": "numbers given back",
}


def fault_orders() -> str:
    """The kinds of faults, and the fields of an order."""
    comments = comments_of(FaultOrder)
    kinds = [(code(kind), meaning) for kind, meaning in FAULTS.items()]
    fields = [
        (code(field.name), shown(field.default), comments.get(field.name) or _FIELDS.get(field.name, ""))
        for field in msgspec.structs.fields(FaultOrder)
        if field.name != "kind"
    ]
    return (
        f"{table(('kind', 'what happens'), kinds)}\n\n{table(('field', 'default', 'for which kind'), fields)}"
    )


_FIELDS: Mapping[str, str] = {"for_s": "all but answers and number_ban: seconds of the market's time"}


def ledger_tables() -> str:
    ledger = Ledger()
    rows = [(code(name), TABLE_MEANINGS[name], _columns(ledger, name)) for name in TABLES]
    return table(("table", "rows", "columns"), rows)


# The twin's own two tables have the columns of those that they answer.
_LIKE: Mapping[str, str] = {"acknowledged": "statuses", "inbound_acknowledged": "inbound_deliveries"}


def _columns(ledger: Ledger, name: str) -> str:
    names: tuple[Any, ...] = getattr(ledger, _LIKE.get(name, name)).columns().dtype.names or ()
    return ", ".join(code(each) for each in names)
