"""Several campaigns in one world: each has its own numbers, volunteers and audit; a brand's day is theirs together."""

from collections import Counter
from datetime import date
from zoneinfo import ZoneInfo

import numpy as np
from msgspec.structs import replace

from simulator.model.carriers import TMOBILE
from simulator.model.of_campaign import of_campaign
from simulator.model.scenario import Companion, load
from tests.rehearsal.conftest import Rehearse
from tests.rehearsal.small_worlds import broken, chaotic, limited, small, told
from tests.rehearsal.test_shipped_scenarios import clock

TWO = load("two-campaigns-one-brand")
_PACIFIC = ZoneInfo("America/Los_Angeles")


def test_a_brands_day_is_shared_by_its_campaigns(rehearse: Rehearse) -> None:
    world = small(limited(TWO, tmobile_daily_segments=60), hours=3.0, volunteers=6)
    done = rehearse(world, contacts=200)
    assert broken(done) == set(), told(done)
    rows = done.ledger.submissions.columns()
    to_tmobile = rows[rows["carrier"] == TMOBILE]
    days: Counter[date] = Counter()
    for row in to_tmobile:
        days[clock(done, row["handed_at"], _PACIFIC).date()] += int(row["segments"])
    assert 55 < max(days.values()) <= 60
    assert min(Counter(to_tmobile["campaign"].tolist()).values()) > 5, "one campaign had it all"
    assert set(Counter(rows["campaign"].tolist())) == {1, 2}


def test_several_campaigns_in_a_chaotic_world(rehearse: Rehearse) -> None:
    """Crashes and all: each campaign comes back with its road, its presses and its texts."""
    other = replace(TWO.companions[0], volunteers=4, brand="Somebody Else")
    world = replace(chaotic(TWO, hours=2.0), companions=(*TWO.companions, other))
    world = replace(world, companions=tuple(replace(each, volunteers=4) for each in world.companions))
    first, second = (rehearse(world, contacts=120, seed=3) for _ in range(2))
    assert broken(first) == set(), told(first)
    assert first.result.trace_hash == second.result.trace_hash
    texted = Counter(first.ledger.submissions.columns()["campaign"].tolist())
    assert min(texted[campaign] for campaign in (1, 2, 3)) > 60
    assert first.result.numbers.bought >= 3


def test_the_ledger_of_one_campaign(rehearse: Rehearse) -> None:
    done = rehearse(small(TWO, hours=1.0, volunteers=4), contacts=80)
    whole = done.ledger
    parts = [of_campaign(whole, campaign) for campaign in (1, 2)]
    for name in (
        "submissions",
        "accepts",
        "finals",
        "statuses",
        "arrivals",
        "inbound_deliveries",
        "purchases",
    ):
        assert sum(len(getattr(part, name)) for part in parts) == len(getattr(whole, name)), name
    for campaign, part in enumerate(parts, 1):
        sent, ended = part.submissions.columns(), part.finals.columns()
        assert set(sent["campaign"].tolist()) == {campaign}
        all_sent, all_ended = whole.submissions.columns(), whole.finals.columns()
        ours = all_ended[all_sent["campaign"][all_ended["n"]] == campaign]
        assert sent["message_id"][ended["n"]].tolist() == all_sent["message_id"][ours["n"]].tolist()
        assert np.array_equal(ended["at"], ours["at"])


def test_a_companion_is_as_the_first_campaign_but_for_what_it_says() -> None:
    theirs = Companion(name="Other", scripts=("Hi. Reply STOP to opt out",), volunteers=3).over(TWO)
    assert theirs.campaign.registration().brand == TWO.campaign.registration().brand == "Ohio Rivers Action"
    assert theirs.campaign.score == TWO.campaign.score
    assert theirs.volunteers.shifts == TWO.volunteers.shifts
    assert theirs.volunteers.count == 3
