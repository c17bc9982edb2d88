"""What a load test does, and the campaign that it makes for it over the public API, as the tutorial does with curl."""

from pathlib import Path
from typing import Any, Final

import msgspec

from loadtests.door import Door
from loadtests.people import contacts

VARIABLE: Final = "LOADTEST_PLAN"
"""Environment of Locust's processes: the plan's file, which holds a key and a join code."""

INTEGRATED_SHARE: Final = 0.2
_ROWS_AT_ONCE: Final = 2000
_WIDE_PER_S: Final = 100_000.0

SETTINGS: Final[dict[str, Any]] = {
    "hours": {"start_minute": 540, "end_minute": 1260, "zone": "America/New_York"},
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


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How much, how many at once, and for how long at most.

    `think_s`: mean time between a volunteer's clicks. `batches_per_s`: arrivals of the integrators' batches, an open
    Poisson process; each batch is of `batch_size` texts. `at_most_s`: beyond it the run is ended, and invalid.
    """

    contacts: int = 2000
    volunteers: int = 20
    workers: int = 2
    think_s: float = 0.5
    batches_per_s: float = 5.0
    batch_size: int = 10
    at_most_s: float = 300.0
    seed: int = 1

    @property
    def integrated(self) -> int:
        """How many are texted by integrators; all others by volunteers."""
        return max(self.batch_size, int(self.contacts * INTEGRATED_SHARE))


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """All that Locust's processes have to know. `outcome`: the file into which the master writes what came of it."""

    url: str
    key: str
    campaign_id: int
    action_id: int
    tag_id: int
    code: str
    integrated_ids: list[int]
    size: Size
    outcome: str


def prepared(door: Door, *, url: str, key: str, size: Size, outcome: Path) -> Plan:
    """A new campaign, its people, a published action, and a code to join by; raises Unanswered."""
    made = door.call("POST", "/v1/campaigns", {"name": "A load test", "settings": SETTINGS})
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
        "settings": {"audience": {"contact_list_ids": audience}},
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
    )


def _bring(door: Door, campaign: str, name: str, rows: list[dict[str, str]]) -> list[int]:
    ids: list[int] = []
    for first in range(0, len(rows), _ROWS_AT_ONCE):
        body = {"contacts": rows[first : first + _ROWS_AT_ONCE]}
        ids += door.call("POST", f"{campaign}/contacts?list={name}", body)["contact_ids"]
    return ids


def read(path: str) -> Plan:
    """The plan that a file holds."""
    return msgspec.json.decode(Path(path).read_bytes(), type=Plan)
