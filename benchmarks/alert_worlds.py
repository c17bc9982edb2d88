"""Rehearsed days on which alerts are judged: healthy ones of every kind, and ones on which a fault of the model begins.

No two days are alike. What differs on healthy days is drawn from the seed: how many volunteers text for how long, how
clean the list is, how many people answer and leave, how quick the carriers are, how often the provider says "later". All
of it is within what is called healthy; the ranges are assumptions of ours [A].
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Final

from msgspec.structs import replace

from simulator.model.carriers import CARRIERS, Carrier
from simulator.model.faults import (
    Brownout,
    CarrierFailure,
    FaultParameters,
    NumberBan,
    Rush,
    StopWave,
    WebhookBacklog,
    Window,
)
from simulator.model.people import PeopleParameters
from simulator.model.population import PopulationParameters
from simulator.model.scenario import Scenario, load
from simulator.model.volunteers import Shift

HEALTHY: Final = "healthy"
HOURS: Final = 0.7
_TEXTED_AN_HOUR: Final = 560
"""By a volunteer who taps all the time and has breaks."""
MOST_LEAVE: Final = 0.035
"""Of those who are texted. From 5 % on the carriers' filter rises: such a day is not healthy."""
_LARGE: Final = ("att", "tmobile", "verizon")


@dataclass(frozen=True)
class Fault:
    """What goes wrong, and which alerts should say so: one of them is enough."""

    what: str
    parameters: Callable[[Window, Random], Mapping[str, object]]  # of FaultParameters
    alerts: tuple[str, ...]
    lasts_s: float = 900.0
    begins_s: float | None = None  # None: drawn from the middle of the day


@dataclass(frozen=True)
class World:
    """A day to be rehearsed, and when what goes wrong begins."""

    scenario: Scenario
    people: int
    began_s: float


def _one_of_three(luck: Random) -> Carrier:
    return CARRIERS[luck.randrange(3)]


def _as(kind: type[Window], window: Window, **more: object) -> tuple[Window, ...]:
    return (kind(window.from_s, window.for_s, **more),)


def _of_calls(what: str, share: str) -> Fault:
    """A fifth of the calls to the provider, from the day's beginning on."""
    return Fault(f"a fifth of the calls {what}", lambda *_: {share: 0.2}, ("ProviderDegraded",), begins_s=0.0)


FAULTS: Final[Mapping[str, Fault]] = {
    "outage": Fault(
        "the provider refuses connections",
        lambda window, _: {"outages": (window,)},
        ("ProviderDegraded", "RepliesMayBeLost"),
    ),
    "receipt_storm": Fault(
        "receipts are held back and come together",
        lambda window, _: {"receipt_storms": (window,)},
        ("ReceiptsMissing",),
    ),
    "webhook_backlog": Fault(
        "the provider brings one webhook in ten seconds",
        lambda window, _: {"webhook_backlogs": _as(WebhookBacklog, window, per_s=0.1)},
        ("ReceiptsMissing",),
    ),
    "brownout": Fault(
        "one of the large carriers takes twenty times as long",
        lambda window, luck: {
            "brownouts": _as(Brownout, window, carrier=_one_of_three(luck), slow_factor=20.0)
        },
        ("CarrierSlow",),
    ),
    "rush": Fault(
        "all carriers take six times as long at the full hour, as in the week before an election",
        lambda window, _: {"rushes": _as(Rush, window)},
        ("CarrierSlow",),
        begins_s=1200.0,  # a full hour: the day begins at twenty to
    ),
    "carrier_failure": Fault(
        "one of the large carriers fails every text that it took",
        lambda window, luck: {
            "carrier_failures": _as(
                CarrierFailure, window, carrier=_one_of_three(luck), code=luck.choice((30008, 30017, 30022))
            )
        },
        ("CarrierFails",),
    ),
    "number_ban": Fault(
        "the first number bought is banned while it is used: its texts end 30007",
        lambda window, _: {"number_bans": (NumberBan(window.from_s, 0),)},
        ("NumberQuarantined", "CarrierFilters", "CarrierFiltersMuch"),
        begins_s=300.0,  # it carries 300 first texts, and rests then
    ),
    "stop_wave": Fault(
        "a further 30 % of those who are texted answer STOP, half of them within two minutes",
        lambda window, _: {"stop_waves": _as(StopWave, window, share=0.3)},
        ("ManyLeave", "VeryManyLeave"),
    ),
    "gateway_crash": Fault(
        "the worker is killed and comes back after 20 s",
        lambda window, _: {"gateway_crashes_at_s": (window.from_s,)},
        ("WorkerRestarted", "GatewayDown"),
    ),
    "answers_lost": _of_calls("is carried out and never answered", "answers_lost_after_share"),
    "calls_lost": _of_calls("neither arrives nor is answered", "answers_lost_before_share"),
    "errors_after": _of_calls("is carried out and answered with 500", "errors_after_share"),
    "errors_before": _of_calls("is answered with 500 and does nothing", "errors_before_share"),
    "throttled": _of_calls("is answered with 429", "throttled_share"),
    "no_numbers_to_buy": Fault(
        "somebody else is quicker at every purchase of a number",
        lambda *_: {"purchase_failure_share": 1.0},
        ("NoNumber",),
        begins_s=0.0,
    ),
}
"""Every kind of FaultParameters but `chaos`, which strews these; a test holds it to that."""


def world(fault: str, seed: int) -> World:
    """The nth day with that fault, or the nth healthy one."""
    luck = Random(f"{fault} {seed}")
    volunteers = luck.randint(3, 6)
    hours = HOURS * luck.uniform(0.9, 1.1)
    shift = Shift(0.0, 0.97 * hours, 1.0)
    day = _healthy(luck)
    staff = replace(
        day.volunteers, count=volunteers, desk_until_h=hours, late_at_most_s=60.0, shifts=(shift,)
    )
    known, began_s = FAULTS.get(fault), 0.0
    faults = day.faults
    if known is not None:
        began_s = known.begins_s if known.begins_s is not None else luck.uniform(900.0, 1200.0)
        window = Window(began_s, known.lasts_s)
        given = known.parameters(window, luck)
        faults = replace(faults, **given)
    scenario = replace(
        day,
        start=day.start.replace(minute=40),
        duration_s=hours * 3600,
        volunteers=staff,
        faults=faults,
    )
    people = round(volunteers * hours * _TEXTED_AN_HOUR)
    return World(scenario, people, began_s)


def _healthy(luck: Random) -> Scenario:
    """An election day's list and carriers, neither better nor worse than usual."""
    day = load("election-day")
    while True:
        population, people = _list(luck, day)
        leaves = people.opt_out_share + people.hostile_share
        strangers = population.reassigned_share * people.wrong_number_reply_share
        if leaves + strangers <= MOST_LEAVE:
            break
    carriers = replace(
        day.carriers,
        answer_median_s=luck.uniform(0.05, 0.3),
        unknown_error_share=luck.uniform(0.002, 0.01),
        latency_factor={carrier: luck.uniform(0.6, 1.8) for carrier in _LARGE},
    )
    troubles = FaultParameters(
        throttled_share=luck.uniform(0.0, 0.01),
        errors_before_share=luck.uniform(0.0, 0.003),
        answers_lost_after_share=luck.uniform(0.0, 0.001),
        purchase_failure_share=luck.uniform(0.0, 0.1),
    )
    return replace(day, population=population, people=people, carriers=carriers, faults=troubles)


def _list(luck: Random, day: Scenario) -> tuple[PopulationParameters, PeopleParameters]:
    """Who is on the list, and what they do."""
    population = replace(
        day.population,
        landline_share=luck.uniform(0.005, 0.06),
        dead_share=luck.uniform(0.005, 0.04),
        reassigned_share=luck.uniform(0.01, 0.04),
    )
    people = replace(
        day.people,
        reply_share=luck.uniform(0.03, 0.15),
        opt_out_share=luck.uniform(0.005, 0.025),
        hostile_share=luck.uniform(0.002, 0.012),
    )
    return population, people
