"""What a load test does, and the campaign that it makes for it over the public API, as the tutorial does with curl."""

import math
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from loadtests.door import Door
from loadtests.people import EASTERN, contacts
from loadtests.shapes import BY_NAME, Shape, calibrating
from loadtests.timeline import MOST_STEPS

VARIABLE: Final = "LOADTEST_PLAN"
"""Environment of Locust's processes: the plan's file, which holds a key and a join code."""

_ROWS_AT_ONCE: Final = 2000
BUCKET: Final = 25
"""Contacts a volunteer gets at once: few, so that all have some until the end."""
_WIDE_PER_S: Final = 100_000.0

_FIRST_MINUTE, _LAST_MINUTE = 540, 1260
_CAME_S: Final = 10.0
"""Longer than it takes to bring ten thousand people in."""
_CLICKS_A_TEXT: Final = 1.4
"""A look into the inbox each five clicks, and what answering takes."""

SETTINGS: Final[dict[str, Any]] = {
    "registration": {
        "total_per_s": _WIDE_PER_S,
        "number_per_s": _WIDE_PER_S,
        "carrier_per_s": dict.fromkeys(("att", "tmobile", "verizon", "uscellular"), _WIDE_PER_S),
        "small_carrier_number_per_s": _WIDE_PER_S,
    },
    "pool": {"preferred_area_codes": ["602"], "settle_s": 0.0, "rotate_after": 10_000},
}
_SCRIPTS: Final = [
    {
        "kind": "initial",
        "source": "Hi {{first_name}}, it is {{user.first_name}} with Vote Together. Will you vote on Tuesday? Reply STOP to opt out",
    },
    {
        "kind": "response",
        "name": "Yes",
        "source": "Thank you {{first_name}}! The polls are open from 7 to 8.",
    },
]


class TooFew(Exception):
    """Nobody could do what was asked for; the message says what would do."""

    textbank_exit_status = 2


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """Which test, how much, how many at once, and for how long.

    `seconds`: over them all arrivals are spread; `at_most_s`: then the run is ended, and invalid. `think_s`: mean time
    between a volunteer's clicks. A batch is of `batch_size` texts. `integrated_share`: of the contacts, those whom
    integrators text; None: as the shape has it. `calibrates`: it is the step before the run, see `calibration`.
    """

    shape: str = "election-day"
    contacts: int = 2000
    volunteers: int = 20
    workers: int = 2
    think_s: float = 0.5
    batch_size: int = 10
    seconds: float = 60.0
    at_most_s: float = 600.0
    seed: int = 1
    integrated_share: float | None = None
    calibrates: bool = False

    @property
    def form(self) -> Shape:
        form = BY_NAME[self.shape]
        return calibrating(form) if self.calibrates else form

    def calibration(self, seconds: float) -> "Size":
        """A short step of the load that this has when everybody has come: as many at once, and batches as often."""
        batched = max(self.batch_size, int(self.integrated * seconds / self.seconds))
        pressed = self.volunteers * (math.ceil(seconds / self.think_s) + BUCKET)
        return msgspec.structs.replace(
            self,
            contacts=batched + pressed,
            integrated_share=(batched + 0.5) / (batched + pressed),
            seconds=seconds,
            at_most_s=seconds,
            calibrates=True,
        )

    @property
    def integrated(self) -> int:
        """How many are texted by integrators; all others by volunteers."""
        share = self.form.integrated_share if self.integrated_share is None else self.integrated_share
        return min(max(self.batch_size, int(self.contacts * share)), self.contacts - self.batch_size)

    @property
    def lead_s(self) -> float:
        """From Locust's start to the first instant: by then all greenlets are there, whose start must delay no arrival."""
        return 2.0 + self.volunteers / 250

    @property
    def step_s(self) -> float:
        """How long a step of the timeline is."""
        return max(1.0, self.seconds / MOST_STEPS)

    def possible(self) -> None:
        """Raises TooFew when so many volunteers can't press Send as often as is wanted, however quick the gateway is."""
        texts = self.contacts - self.integrated
        can = int(self.volunteers * (self.at_most_s - self.lead_s) / (self.think_s * _CLICKS_A_TEXT))
        if self.form.ends == "texted" and can < texts:
            least = math.ceil(self.volunteers * texts / max(can, 1))
            raise TooFew(
                f"{self.volunteers:,} volunteers who click each {self.think_s:g} s text {can:,} within {self.at_most_s:g} s,"
                f" not {texts:,}: take {least:,} volunteers, or more --seconds"
            )


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """All that Locust's processes have to know.

    `outcome`: the file into which the master writes what came of it. `metrics`: the gateway's, "" when nobody said where.
    `opened_at`: the Unix second at which the market opened. `shuts_at`: that at which the campaign's hours end, when the
    test is about that.
    """

    url: str
    key: str
    campaign_id: int
    action_id: int
    tag_id: int
    code: str
    integrated_ids: list[int]
    size: Size
    outcome: str
    carrier: str = ""
    metrics: str = ""
    opened_at: float = 0.0
    shuts_at: float | None = None

    def shuts_s(self, market_s: float) -> float:
        """The same, in seconds after the first instant, which was second `market_s` of the market."""
        return math.inf if self.shuts_at is None else self.shuts_at - self.opened_at - market_s


class Market(msgspec.Struct, frozen=True, kw_only=True):
    """The carrier server: where it is, when it opened and what time it is there, in Unix seconds."""

    url: str
    opened_at: float
    now: float


def prepared(
    door: Door, *, url: str, key: str, size: Size, outcome: Path, market: Market, metrics: str = ""
) -> Plan:
    """A new campaign, its people, a published action, and a code to join by; raises Unanswered."""
    end_minute, shuts_at = _hours_end(size, market.now)
    settings = _settings(size, end_minute)
    made = door.call("POST", "/v1/campaigns", {"name": f"A load test: {size.shape}", "settings": settings})
    campaign = f"/v1/campaigns/{made['campaign_id']}"
    rows = list(contacts(size.contacts))
    integrated = _bring(door, campaign, "Integrators", rows[: size.integrated])
    _bring(door, campaign, "Volunteers", rows[size.integrated :])
    lists = door.call("GET", f"{campaign}/contact-lists")["lists"]
    audience = [each["list_id"] for each in lists if each["name"] == "Volunteers"]
    tag = {"name": "yes", "label": "Will vote", "by_default": True}
    tag_id = door.call("POST", f"{campaign}/tags", tag)["tag_id"]
    action = {
        "title": "Will you vote?",
        "scripts": _SCRIPTS,
        "settings": {"audience": {"contact_list_ids": audience}, "bucket_size": BUCKET},
    }
    action_id = door.call("POST", f"{campaign}/actions", action)["action_id"]
    door.call("POST", f"{campaign}/actions/{action_id}/publish", {"to": "public"})
    return Plan(
        url=url,
        key=key,
        campaign_id=made["campaign_id"],
        action_id=action_id,
        tag_id=tag_id,
        code=door.call("POST", f"{campaign}/join-code", {"valid_s": 86_400})["code"],
        integrated_ids=integrated,
        size=size,
        outcome=str(outcome),
        carrier=market.url,
        metrics=metrics,
        opened_at=market.opened_at,
        shuts_at=shuts_at,
    )


def _hours_end(size: Size, now: float) -> tuple[int, float | None]:
    """The minute of the day in New York at which the hours end, and when that is if it is during the run."""
    if size.form.shuts is None:
        return _LAST_MINUTE, None
    wanted = now + _CAME_S + size.contacts / 1000 + size.lead_s + size.form.shuts * size.seconds
    shuts_at = math.ceil(wanted / 60) * 60.0
    local = datetime.fromtimestamp(shuts_at, ZoneInfo(EASTERN))
    return min(_LAST_MINUTE, local.hour * 60 + local.minute), shuts_at


def _settings(size: Size, end_minute: int) -> dict[str, Any]:
    hours = {"start_minute": _FIRST_MINUTE, "end_minute": end_minute, "zone": EASTERN}
    settings = {**SETTINGS, "hours": hours}
    if size.form.pace is not None:
        per_s = size.form.pace * size.contacts / size.seconds
        settings["registration"] = {**SETTINGS["registration"], "total_per_s": per_s}
    return settings


def _bring(door: Door, campaign: str, name: str, rows: list[dict[str, str]]) -> list[int]:
    ids: list[int] = []
    for first in range(0, len(rows), _ROWS_AT_ONCE):
        body = {"contacts": rows[first : first + _ROWS_AT_ONCE]}
        ids += door.call("POST", f"{campaign}/contacts?list={name}", body)["contact_ids"]
    return ids


def read(path: str) -> Plan:
    """The plan that a file holds."""
    return msgspec.json.decode(Path(path).read_bytes(), type=Plan)
