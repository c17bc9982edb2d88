"""/twin/: what Twilio has not: the market's state, its faults, and the ledger that judges. No credentials."""

from itertools import islice
from typing import Annotated, Any, Literal

import msgspec

from simulator.model.carriers import CARRIERS, Carrier
from simulator.model.faults import Brownout, FaultParameters, StopWave, Window
from simulator.model.ledger import STATUSES, Table
from simulator.twin.accounts import Message
from simulator.twin.errors import ApiError
from simulator.twin.forms import Form
from simulator.twin.wire import date_v1, phone_of
from simulator.twin.world import AccountsWorld

_RECENT = 30
_MOST_ROWS = 100_000
TABLES = (
    "submissions",
    "refusals",
    "accepts",
    "finals",
    "statuses",
    "arrivals",
    "inbound",
    "inbound_deliveries",
    "acknowledged",
    "inbound_acknowledged",
    "purchases",
    "releases",
)

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]


class FaultOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One fault to start now, for `for_s` seconds of the market's time."""

    kind: Literal["brownout", "answers", "receipt_storm", "number_ban", "stop_wave", "outage"]
    for_s: Seconds = 600.0
    carrier: Carrier | None = None  # brownout
    slow_factor: Annotated[float, msgspec.Meta(ge=1)] = 10.0  # brownout
    share: Share = 0.2  # stop_wave
    phone: str = ""  # number_ban
    code: Literal[30007, 21606] = 30007  # number_ban
    lost_after_share: Share = 0.0  # answers: processed, never answered; until healed, as the next four
    lost_before_share: Share = 0.0  # answers: neither processed nor answered
    errors_after_share: Share = 0.0  # answers: HTTP 500 although processed
    errors_before_share: Share = 0.0  # answers: HTTP 500, not processed
    throttled_share: Share = 0.0  # answers: HTTP 429, not processed


class PersonText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A text that a person shall send now, with pictures of these media types."""

    sender: str = msgspec.field(name="from")
    to: str
    body: str
    pictures: Annotated[
        tuple[Literal["image/png", "image/gif", "image/svg+xml", "text/vcard"], ...],
        msgspec.Meta(max_length=10),
    ] = ()


class Control:
    """What a test, or a person before the page, asks of the world itself."""

    def __init__(self, world: AccountsWorld) -> None:
        self._world = world

    # ------------------------------------------------------------ faults

    def faults(self) -> dict[str, object]:
        """The faults as they are now; windows in seconds since the world's start."""
        now = self._world.env.now
        parameters = self._world.faults.parameters
        fields: dict[str, Any] = msgspec.to_builtins(parameters)
        storms = [window for window in fields["receipt_storms"] if window["for_s"] > 1e-6]
        return {**fields, "receipt_storms": storms, "now_s": now}

    def start_fault(self, body: bytes) -> dict[str, object]:
        order: FaultOrder = _decoded(body, FaultOrder)
        faults, now = self._world.faults, self._world.env.now
        known: FaultParameters = faults.parameters
        window = Window(now, order.for_s)
        match order.kind:
            case "brownout":
                carriers = (order.carrier,) if order.carrier else CARRIERS
                slow = tuple(Brownout(now, order.for_s, name, order.slow_factor) for name in carriers)
                faults.change(brownouts=(*known.brownouts, *slow))
            case "receipt_storm":
                faults.change(receipt_storms=(*known.receipt_storms, window))
            case "outage":
                faults.change(outages=(*known.outages, window))
            case "stop_wave":
                faults.change(stop_waves=(*known.stop_waves, StopWave(now, order.for_s, order.share)))
            case "number_ban":
                phone = phone_of(order.phone)
                if phone is None or not self._world.market.ban(phone, order.code):
                    raise ApiError(20404, f"{order.phone} is nobody's number")
            case "answers":
                self._spoil_answers(order)
        return self.faults()

    def _spoil_answers(self, order: FaultOrder) -> None:
        try:
            self._world.faults.change(
                answers_lost_after_share=order.lost_after_share,
                answers_lost_before_share=order.lost_before_share,
                errors_after_share=order.errors_after_share,
                errors_before_share=order.errors_before_share,
                throttled_share=order.throttled_share,
            )
        except ValueError as error:
            raise ApiError(20422, str(error)) from error

    def heal(self) -> dict[str, object]:
        """Back to the scenario's own faults."""
        self._world.faults.heal()
        return self.faults()

    def text(self, body: bytes) -> None:
        """A person texts one of our numbers; it arrives as a text of theirs would."""
        order: PersonText = _decoded(body, PersonText)
        sender, to = phone_of(order.sender), phone_of(order.to)
        if sender is None or to is None:
            raise ApiError(20422, "from and to are E.164 phone numbers")
        if to not in self._world.owners:
            raise ApiError(20404, f"{order.to} is nobody's number")
        self._world.market.text_from_person(sender, to, order.body, order.pictures)

    # ------------------------------------------------------------ the ledger

    def ledger(self) -> dict[str, object]:
        """Totals, money, and a hash of everything that happened."""
        counts: dict[str, Any] = msgspec.to_builtins(self._world.ledger.counts(), str_keys=True)
        rows = {name: len(getattr(self._world.ledger, name)) for name in TABLES}
        hash_ = self._world.ledger.trace_hash()
        return {"counts": counts, "rows": rows, "webhooks": self._webhooks(), "trace_hash": hash_}

    def table(self, name: str, form: Form) -> dict[str, object]:
        """Rows `after` and on of one table, oldest first; `next` is the `after` of the rows that follow.

        The tables only grow: all of them `upto` the counts of one `ledger()` are the ledger of that instant.
        """
        if name not in TABLES:
            raise ApiError(20404, f"there is no table {name}; there are {', '.join(TABLES)}")
        table: Table = getattr(self._world.ledger, name)
        after = form.whole("after", 0)
        end = min(len(table), form.whole("upto", len(table)))
        upto = min(end, after + min(form.whole("limit", 1000), _MOST_ROWS))
        rows = table.columns()[after:upto]
        names = rows.dtype.names or ()
        shown = [dict(zip(names, row, strict=True)) for row in rows.tolist()]
        if name == "submissions":
            for n, row in enumerate(shown, after):
                row.update(self._fate(n))
        elif name == "inbound":
            for n, row in enumerate(shown, after):
                row["text"] = self._world.ledger.inbound_texts[n]
        return {"rows": shown, "next": upto if upto < end else None}

    def _fate(self, n: int) -> dict[str, object]:
        status, code = self._world.ledger.state(n)
        sid = self._world.outbound(n).sid
        return {"n": n, "sid": sid, "status": STATUSES[status], "code": code}

    # ------------------------------------------------------------ the page

    def state(self) -> dict[str, object]:
        """What the page shows, once a second."""
        world = self._world
        counts: dict[str, Any] = msgspec.to_builtins(world.ledger.counts(), str_keys=True)
        return {
            "scenario": world.scenario.name,
            "title": world.scenario.title,
            "speed": world.pump.speed,
            "now_s": round(world.env.now, 3),
            "time": date_v1(world.start_at + world.env.now),
            "lateness_p99_s": world.pump.lateness_s(0.99),
            "counts": counts,
            "people": {"replies": world.people.replies, "strangers": len(world.population.strangers)},
            "webhooks": self._webhooks(),
            "carriers": self._carriers(),
            "campaigns": [
                self._campaign(account.sid, "the account's own", account.campaign, len(account.numbers))
                for account in world.accounts.values()
                if not account.is_test
            ]
            + [
                self._campaign(service.sid, service.friendly_name, service.campaign, len(service.senders))
                for account in world.accounts.values()
                for service in account.services.values()
            ],
            "recent": [self._line(message) for message in islice(world.recent(), _RECENT)],
            "faults": self.faults(),
        }

    def _webhooks(self) -> dict[str, object]:
        callbacks = self._world.callbacks
        counts: dict[str, object] = msgspec.to_builtins(callbacks.counts)
        alerts = {str(code): count for code, count in sorted(callbacks.alert_codes.items())}
        return {**counts, "alerts": alerts, "last_alerts": msgspec.to_builtins(list(callbacks.alerts)[-10:])}

    def _carriers(self) -> list[dict[str, object]]:
        world = self._world
        now = world.env.now
        return [
            {
                "name": name,
                "in_queue": world.ledger.in_queue[place],
                "slow_factor": world.faults.slow_factor(place, now),
            }
            for place, name in enumerate(CARRIERS)
        ]

    def _campaign(self, sid: str, name: str, campaign: int, numbers: int) -> dict[str, object]:
        market = self._world.market
        now = self._world.env.now
        standing = market.filtering.standing(campaign, now)
        return {
            "sid": sid,
            "name": name,
            "numbers": numbers,
            "rates_per_s": market.rates(campaign),
            "tmobile_cap": market.cap(campaign),
            "standing": msgspec.to_builtins(standing),
        }

    def _line(self, message: Message) -> dict[str, object]:
        status, code = self._world.state(message)
        return {
            "sid": message.sid,
            "to": f"+{message.to}",
            "from": f"+{message.sender}" if message.sender else "",
            "body": message.body[:80],
            "status": status,
            "code": code,
            "age_s": round(self._world.env.now - message.created_at, 1),
        }


def _decoded(body: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:  # and ValidationError, which is one
        raise ApiError(20422, str(error)) from error
