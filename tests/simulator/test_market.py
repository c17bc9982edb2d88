"""The market as a whole: every way a message can end, and the laws no run may break."""

import os
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.model.blocking import BlockScope
from simulator.model.carriers import CARRIERS, CampaignRegistration, CarrierParameters
from simulator.model.draws import Draws
from simulator.model.faults import Brownout, FaultParameters, Faults, NumberBan, Window
from simulator.model.filtering import FilteringParameters
from simulator.model.handsets import HandsetParameters
from simulator.model.inventory import InventoryParameters
from simulator.model.ledger import Ledger
from simulator.model.market import Market, MarketParameters, MarketRefusal, Submission
from simulator.model.webhooks import WebhookParameters

ROOT = Path(__file__).resolve().parents[2]
NOON_EASTERN = datetime(2026, 11, 3, 12, tzinfo=ZoneInfo("America/New_York")).timestamp()
OURS = 12_675_550_100
FIRST = 12_155_550_200
MOBILE, LANDLINE, DEAD = range(3)
GOOD = "Hi, it's Bo with Vote Example. Reply STOP to opt out"
DAYS = 86_400.0


class People:
    """A population of `lines` on `carriers`, who only note what they see."""

    def __init__(self, lines=(MOBILE,) * 10, carriers=(0,)):
        self.phones = np.arange(FIRST, FIRST + len(lines), dtype=np.int64)
        self.line = np.array(lines, dtype=np.uint8)
        self.carrier = np.array([carriers[n % len(carriers)] for n in range(len(lines))], dtype=np.uint8)
        self.seen = []

    def index_of(self, phone):
        return phone - FIRST if 0 <= phone - FIRST < len(self.line) else -1

    def __len__(self):
        return len(self.line)

    def received(self, index, phone, sender, body, nth, at):
        self.seen.append((index, phone, sender, body, nth, at))


CALM = MarketParameters(
    carriers=CarrierParameters(unknown_error_share=0.0, receipt_missing={}),
    handsets=HandsetParameters(off_share=0.0),
    filtering=FilteringParameters(base_share=0.0, missing_opt_out_share=0.0, identical_share=0.0),
    webhooks=WebhookParameters(overtaken_share=0.0, twice_share=0.0, lost_share=0.0),
)


class World:
    """A market on its own, with everything it says written down."""

    def __init__(self, parameters=CALM, people=None, seed=1, registration=None, **faults):
        self.env = simpy.Environment()
        self.people = people or People()
        self.ledger = Ledger(parameters.carriers)
        draws = Draws(seed)
        self.market = Market(
            self.env,
            parameters,
            start_at=NOON_EASTERN,
            population=self.people,
            draws=draws,
            ledger=self.ledger,
            faults=Faults(FaultParameters(**faults), draws),
            people=self.people,
        )
        self.market.register(1, registration or CampaignRegistration())
        self.number = self.market.own(OURS, 1)
        self.statuses, self.inbound = [], []
        self.market.on_status = self.statuses.append
        self.market.on_inbound = self.inbound.append

    def send(self, nth=0, **change):
        fields = {
            "to": FIRST + nth,
            "sender": OURS,
            "campaign": 1,
            "segments": 1,
            "body": GOOD,
            "body_key": 1,
            "validity_s": 3_600.0,
            "reference": (1, nth, 1),
            "handed_at": self.env.now,
        }
        return self.market.submit(Submission(**{**fields, **change}))

    def run(self, seconds=10 * DAYS):
        self.env.run(until=self.env.now + seconds)
        return self

    def words(self):
        return [(event.status, event.code) for event in self.statuses]

    def finals(self):
        rows = self.ledger.finals.columns()
        return Counter(zip(rows["status"].tolist(), rows["code"].tolist(), strict=True))


def calm(**parts):
    return msgspec.structs.replace(CALM, **parts)


def refused(world, **change):
    with pytest.raises(MarketRefusal) as refusal:
        world.send(**change)
    return refusal.value.code


# ------------------------------------------------------------ one message


def test_a_text_is_sent_delivered_and_seen():
    world = World()
    sid = world.send(3)
    world.run()
    assert world.words() == [("sent", 0), ("delivered", 0)]
    assert [(event.sid, event.reference) for event in world.statuses] == [(sid, (1, 3, 1))] * 2
    [(index, phone, sender, body, nth, at)] = world.people.seen
    assert (index, phone, sender, body, nth) == (3, FIRST + 3, OURS, GOOD, 0)
    assert world.ledger.arrivals.columns()["at"].tolist() == [at]
    assert world.market.fetch(sid).status == "delivered"


@pytest.mark.parametrize(
    ("line", "parts", "code", "shown"),
    [
        (LANDLINE, {}, 30006, 0),
        (DEAD, {}, 30005, 0),
        (MOBILE, {"carriers": CarrierParameters(unknown_error_share=1.0)}, 30008, 0),
        (MOBILE, {"filtering": FilteringParameters(base_share=0.95)}, 30007, 0),
        (MOBILE, {"handsets": HandsetParameters(off_share=1.0, store_s=1.0)}, 30003, 0),
        (MOBILE, {}, 0, 1),
    ],
)
def test_how_messages_end_at_the_handset(line, parts, code, shown):
    world = World(calm(**parts), People([line] * 200))
    for nth in range(200):
        world.send(nth)
    world.run()
    ends = {end for _, end in world.finals()}
    assert ends == ({code} if code != 30007 else {0, 30007})
    if code == 30007:  # the ceiling and the silent share leave a few
        assert world.finals()[3, 30007] > 150
    else:
        assert len(world.people.seen) == 200 * shown


def test_silent_filtering_reports_delivered_and_shows_nothing():
    world = World(
        calm(filtering=FilteringParameters(base_share=0.01, silent_per_filtered=99.0)), People([0] * 50)
    )
    for nth in range(50):
        world.send(nth)
    world.run()
    counts = world.ledger.counts()
    assert counts.silent > 40
    assert counts.delivered == 50 - counts.filtered
    assert len(world.people.seen) == 50 - counts.filtered - counts.silent


def test_a_handset_that_was_off_gets_its_text_late():
    world = World(
        calm(
            handsets=HandsetParameters(off_share=1.0, off_median_s=3_600, off_p95_s=7_200, given_up_share=0.0)
        )
    )
    world.send()
    world.run()
    [seen] = world.people.seen
    assert seen[-1] > 300
    assert world.words() == [("sent", 0), ("delivered", 0)]


def test_30003_comes_when_the_store_gives_up():
    world = World(
        calm(handsets=HandsetParameters(off_share=1.0, off_median_s=1e6, off_p95_s=2e6, given_up_share=0.0))
    )
    world.send()
    world.run(2.9 * DAYS)
    assert world.words() == [("sent", 0)]
    world.run(1 * DAYS)
    assert world.words()[1:] == [("undelivered", 30003)]


def test_missing_receipts_leave_sent_as_the_last_word():
    world = World(calm(carriers=CarrierParameters(unknown_error_share=0, receipt_missing={"att": 1.0})))
    sid = world.send()
    world.run()
    assert world.words() == [("sent", 0)]
    assert world.market.fetch(sid).status == "sent"
    assert len(world.people.seen) == 1


# ------------------------------------------------------------ the provider's refusals


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"to": 447_700_900_123}, 21408),
        ({"to": 11_155_550_123}, 21211),
        ({"to": 12_151_550_123}, 21211),
        ({"sender": OURS + 1}, 21606),
        ({"body": "  \n"}, 21602),
        ({"body": "x" * 1_601}, 21617),
        ({"validity_s": 0.0}, 21624),
        ({"validity_s": 36_001.0}, 21624),
    ],
)
def test_refusals_at_once(change, code):
    world = World()
    assert refused(world, **change) == code
    assert world.ledger.counts().refused == {code: 1}
    assert len(world.ledger.submissions) == 0


@pytest.mark.parametrize(("scope", "other_number"), [(BlockScope.PAIR, None), (BlockScope.SERVICE, 21610)])
def test_stop_blocks_the_pair_or_the_service(scope, other_number):
    world = World(calm(block_scope=scope))
    world.market.own(OURS + 1, 1)
    world.market.text_from_person(FIRST, OURS, " stop\n")
    world.run(60)
    assert refused(world) == 21610
    if other_number:
        assert refused(world, sender=OURS + 1) == other_number
    else:
        world.send(sender=OURS + 1)
    world.send(1)  # others are not concerned
    world.market.text_from_person(FIRST, OURS, "Unstop")
    world.run(60)
    world.send()
    assert world.ledger.counts().opt_outs == 1


@pytest.mark.parametrize("text", ["stop please", "Stop.", "no más", "take me off", "remove"])
def test_what_is_not_a_bare_keyword_blocks_nothing(text):
    world = World()
    world.market.text_from_person(FIRST, OURS, text)
    world.run(60)
    world.send()
    assert world.ledger.counts().opt_outs == 0
    assert [event.body for event in world.inbound] == [text]


def test_a_full_queue_refuses():
    parameters = calm(carriers=CarrierParameters(queue_s=10.0))
    world = World(parameters, registration=CampaignRegistration(1.0, {"att": 1.0}))
    for _ in range(11):
        world.send()
    assert refused(world) == 21611


@pytest.mark.parametrize("case", ["other campaign", "unregistered", "unknown campaign"])
def test_unregistered_senders_fail_later(case):
    registration = CampaignRegistration(registered=case != "unregistered")
    world = World(registration=registration)
    world.market.register(2, CampaignRegistration())
    world.send(campaign={"other campaign": 2, "unregistered": 1, "unknown campaign": 99}[case])
    world.run()
    assert world.words() == [("failed", 30034)]
    assert world.ledger.segments_billed == 0


def test_a_suspended_campaign_fails_also_what_waits():
    rules = FilteringParameters(base_share=0.0, missing_opt_out_share=0.0, campaign_least_texts=10)
    world = World(calm(filtering=rules), registration=CampaignRegistration(1.0, {"att": 1.0}))
    for _ in range(40):
        world.send()
    world.run(20)
    for nth in range(1, 6):
        world.market.text_from_person(FIRST + nth, OURS, "STOP")
    world.run(20)
    world.send()
    world.run(600)
    finals = world.finals()
    assert sum(finals.values()) == 41
    assert finals[4, 30033] > 10
    assert world.ledger.segments_billed == len(world.ledger.accepts) == 41 - finals[4, 30033]
    world.run(2 * DAYS)
    world.send()
    assert world.run().words()[-1] == ("delivered", 0)


# ------------------------------------------------------------ throughput, expiry and the daily cap


def test_what_cannot_leave_in_time_expires_unbilled():
    world = World(registration=CampaignRegistration(10.0, {"att": 1.0}))
    for _ in range(20):
        world.send(validity_s=9.5)
    world.run()
    assert world.finals() == {(2, 0): 10, (4, 30036): 10}
    expiries = [event.at for event in world.statuses if event.code == 30036]
    assert all(9.5 <= at <= 9.9 for at in expiries)
    assert world.ledger.counts().segments_billed == 10
    assert sum(world.ledger.in_queue) == 0


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    sends=st.lists(
        st.tuples(st.floats(0, 3), st.integers(0, 59), st.integers(1, 4)), min_size=1, max_size=60
    ),
    att=st.sampled_from([0.5, 4.0, 75.0]),
    total=st.sampled_from([1.0, 12.0, 225.0]),
)
def test_departures_never_exceed_a_rate(seed, sends, att, total):
    registration = CampaignRegistration(total, {"att": att, "tmobile": 4.0, "verizon": 4.0})
    world = World(people=People([MOBILE] * 60, carriers=range(6)), seed=seed, registration=registration)
    for wait_s, nth, segments in sends:
        world.send(nth, segments=segments)
        world.run(wait_s + 1e-3)
    world.run()
    accepts, asked = world.ledger.accepts.columns(), world.ledger.submissions.columns()
    for carrier in [*range(len(CARRIERS)), None]:
        rate = total if carrier is None else registration.carrier_per_s.get(CARRIERS[carrier], 1.0)
        mine = asked[accepts["n"]]
        chosen = np.ones(len(mine), bool) if carrier is None else mine["carrier"] == carrier
        order = np.argsort(accepts["departed_at"][chosen], kind="stable")
        slots, segments = accepts["departed_at"][chosen][order], mine["segments"][chosen][order]
        assert (np.diff(slots) >= segments[:-1] / rate - 1e-6).all()


def test_tmobile_cap_blocks_until_pacific_midnight_and_is_billed():
    people = People([MOBILE] * 10, carriers=(1,))
    world = World(people=people, registration=CampaignRegistration(tmobile_daily_segments=5))
    for _ in range(8):
        world.send()
    world.run(12 * 3_600)
    assert world.finals() == {(2, 0): 5, (3, 30023): 3}
    assert world.ledger.segments_billed == 8
    assert len(world.ledger.accepts) == 5
    world.run(3.1 * 3_600)  # noon Eastern and 15 hours: midnight Pacific
    world.send()
    world.run()
    assert world.finals()[2, 0] == 6


def test_campaigns_of_a_brand_share_the_cap_and_other_carriers_have_none():
    people = People([MOBILE] * 10, carriers=(1, 0))
    registration = CampaignRegistration(tmobile_daily_segments=3, brand="B1")
    world = World(people=people, registration=registration)
    world.market.register(2, registration)
    world.market.own(OURS + 1, 2)
    for _ in range(2):
        world.send(0)
        world.send(0, campaign=2, sender=OURS + 1)
        world.send(1)
    world.run()
    assert world.finals() == {(2, 0): 5, (3, 30023): 1}


def test_a_brownout_slows_one_carrier():
    people = People([MOBILE] * 2, carriers=(0, 2))
    fault = Brownout(from_s=0.0, for_s=600.0, carrier="verizon", slow_factor=20.0)
    well, ill = World(people=people), World(people=people, brownouts=(fault,))
    for world in (well, ill):
        world.send(0)
        world.send(1)
        world.run()
    assert ill.ledger.latency_s("accepted", "att") == well.ledger.latency_s("accepted", "att")
    assert ill.ledger.latency_s("accepted", "verizon") == pytest.approx(
        20 * well.ledger.latency_s("accepted", "verizon"), rel=0.05
    )


# ------------------------------------------------------------ webhooks


def test_webhooks_come_twice_but_the_ledger_has_one_final():
    world = World(calm(webhooks=WebhookParameters(overtaken_share=0, twice_share=1.0, lost_share=0)))
    world.send()
    world.run()
    assert Counter(world.words()) == {("sent", 0): 2, ("delivered", 0): 2}
    assert len(world.ledger.finals) == 1
    assert len(world.ledger.statuses) == 4


def test_webhooks_overtake_each_other_and_get_lost():
    late = World(
        calm(webhooks=WebhookParameters(overtaken_share=1.0, overtaken_s=3_600, twice_share=0, lost_share=0))
    )
    late.send()
    assert [word for word, _ in late.run().words()] == ["delivered", "sent"]
    lost = World(calm(webhooks=WebhookParameters(lost_share=1.0)))
    sid = lost.send()
    assert lost.run().words() == []
    assert lost.ledger.webhooks_lost == 2
    assert lost.market.fetch(sid).status == "delivered"


@pytest.mark.parametrize(("failures", "heard"), [(0, 2), (1, 2), (2, 0)])
def test_a_gateway_that_is_down_is_called_once_more(failures, heard):
    world, calls = World(), Counter()

    def handler(event):
        calls[event.status] += 1
        if calls[event.status] <= failures:
            raise ConnectionError
        world.statuses.append(event)

    world.market.on_status = handler
    world.send()
    world.run()
    assert len(world.statuses) == heard
    assert world.ledger.webhooks_lost == 2 - heard
    assert len(world.ledger.statuses) == heard


def test_other_errors_of_a_handler_are_not_hidden():
    world = World()
    world.market.on_status = lambda event: {}[event.sid]
    world.send()
    with pytest.raises(KeyError):
        world.run()


def test_a_receipt_storm_releases_everything_at_once():
    world = World(receipt_storms=(Window(from_s=0.0, for_s=1_000.0),))
    for nth in range(10):
        world.send(nth)
    world.run()
    finals = world.ledger.finals.columns()
    assert set(finals["at"].tolist()) == {1_000.0}
    assert len(finals) == 10
    assert max(seen[-1] for seen in world.people.seen) < 1_000


# ------------------------------------------------------------ inbound


def test_inbound_texts_come_once_more_or_never_and_can_be_listed():
    twice = World(calm(webhooks=WebhookParameters(twice_share=1.0, lost_share=0)))
    twice.market.text_from_person(FIRST, OURS, "Yes! 👍")
    twice.run(60)
    assert [(event.sid, event.body, event.sender, event.to) for event in twice.inbound] == [
        (twice.inbound[0].sid, "Yes! 👍", FIRST, OURS)
    ] * 2
    assert len(twice.ledger.inbound) == 1
    lost = World(calm(webhooks=WebhookParameters(lost_share=1.0)))
    lost.market.text_from_person(FIRST, OURS, "Hello")
    lost.market.text_from_person(FIRST, OURS + 5, "Who is this?")
    lost.run(60)
    assert lost.inbound == []
    assert [event.body for event in lost.market.inbound_since(0.0, OURS)] == ["Hello"]
    assert lost.market.inbound_since(59.0) == []
    assert lost.market.stray_inbound == 1


@pytest.mark.parametrize(
    ("text", "segments"),
    [("a" * 160, 1), ("a" * 161, 2), ("é" * 71, 1), ("á" * 70, 1), ("á" * 71, 2), ("", 1)],
)
def test_inbound_segments(text, segments):
    world = World()
    world.market.text_from_person(FIRST, OURS, text)
    world.run(60)
    assert [event.segments for event in world.inbound] == [segments]


def test_complaints_and_stops_reach_the_filter():
    world = World()
    world.market.complaint(FIRST, OURS)
    world.market.complaint(FIRST, 12_675_559_999)
    world.market.text_from_person(FIRST, OURS, "STOP")
    world.run(60)
    standing = world.market.filtering.standing(1, world.env.now)
    assert standing.complaint_share > 0
    assert standing.opt_out_share > 0


# ------------------------------------------------------------ numbers


def buy(world, area_code="215"):
    event = world.market.buy(area_code, 1)
    world.run(5)
    return event


def test_a_number_is_bought_after_a_while_and_usable_after_provisioning():
    world = World(
        calm(
            inventory=InventoryParameters(
                purchase_lag_s=2.0, provisioning_lag_s=30.0, provisioning_p99_s=30.0
            )
        )
    )
    event = world.market.buy("215", 1)
    world.run(1.9)
    assert not event.triggered
    world.run(0.2)
    assert event.ok
    world.send(sender=event.value.phone)
    world.run(60)
    world.send(sender=event.value.phone)
    world.run()
    assert world.words() == [("failed", 30035), ("sent", 0), ("delivered", 0)]
    world.market.release(event.value)
    assert refused(world, sender=event.value.phone) == 21606
    assert len(world.ledger.releases) == 1


@pytest.mark.parametrize(
    ("area_code", "faults", "code"),
    [("907", {}, 21452), ("911", {}, 21421), ("215", {"purchase_failure_share": 1.0}, 21422)],
)
def test_purchases_that_fail(area_code, faults, code):
    world = World(calm(inventory=InventoryParameters(scarce={"907": 0})), **faults)
    event = buy(world, area_code)
    assert not event.ok
    assert event.value.code == code
    assert world.ledger.purchases.columns()["code"].tolist() == [code]


def test_a_process_that_waits_for_a_purchase_gets_the_refusal():
    world, heard = World(), []

    def buyer():
        try:
            yield world.market.buy("911", 1)
        except MarketRefusal as refusal:
            heard.append(refusal.code)

    world.env.process(buyer())
    world.run(60)
    assert heard == [21421]


def test_an_outage_refuses_every_connection():
    world = World(outages=(Window(from_s=10.0, for_s=20.0),))
    sid = world.send()
    world.run(11)
    for call in (
        world.send,
        lambda: world.market.fetch(sid),
        lambda: world.market.find((1, 0, 1)),
        lambda: world.market.messages_to(FIRST),
        lambda: world.market.inbound_since(0.0),
    ):
        with pytest.raises(ConnectionRefusedError):
            call()
    assert isinstance(buy(world).value, ConnectionRefusedError)
    world.run(20)
    world.send()


@pytest.mark.parametrize(("code", "word"), [(30007, ("undelivered", 30007)), (21606, None)])
def test_a_banned_number(code, word):
    world = World(number_bans=(NumberBan(at_s=10.0, nth=0, code=code),))
    world.run(11)
    if word is None:
        assert refused(world) == code
    else:
        world.send()
        assert world.run().words()[-1] == word


# ------------------------------------------------------------ questions


def test_messages_are_found_by_sid_reference_and_phone():
    world = World()
    first = world.send(0)
    opaque = world.send(0, reference=b"/status?m=7")
    world.send(1)
    world.run(100)
    later = world.send(0, reference=(1, 0, 2))
    assert [record.sid for record in world.market.find((1, 0, 1))] == [first]
    assert [(record.sid, record.reference) for record in world.market.find(b"/status?m=7")] == [
        (opaque, b"/status?m=7")
    ]
    assert [record.sid for record in world.market.messages_to(FIRST)] == [first, opaque, later]
    assert [(record.sid, record.status) for record in world.market.messages_to(FIRST, 50.0)] == [
        (later, "queued")
    ]
    assert world.market.find((9, 9, 9)) == []
    assert world.market.fetch("SM" + "f" * 32) is None
    assert world.market.fetch("SM" + "0" * 31 + "9") is None


def test_lookup_tells_the_line_type_but_for_a_small_share():
    people = People([MOBILE, LANDLINE, DEAD, MOBILE], carriers=(0, 1, 2, 5))
    sure = World(calm(inventory=InventoryParameters(lookup_error_share=0.0)), people)
    answers = [sure.market.lookup(FIRST + nth) for nth in range(5)]
    assert answers == [
        ("mobile", "att"),
        ("landline", "tmobile"),
        ("unknown", ""),
        ("nonFixedVoip", "voip"),
        ("unknown", ""),
    ]
    wrong = World(calm(inventory=InventoryParameters(lookup_error_share=1.0)), people)
    assert [wrong.market.lookup(FIRST + nth)[0] for nth in range(2)] == ["landline", "mobile"]


# ------------------------------------------------------------ laws

SHARE = st.sampled_from([0.0, 0.3, 1.0])


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    twice=SHARE,
    lost=SHARE,
    unknown=SHARE,
    off=SHARE,
    base=SHARE,
    validity_s=st.sampled_from([1.0, 10.0, 3_600.0]),
    storm=st.booleans(),
)
def test_each_message_has_at_most_one_final_and_an_explained_end(
    *, seed, twice, lost, unknown, off, base, validity_s, storm
):
    parameters = MarketParameters(
        carriers=CarrierParameters(unknown_error_share=unknown),
        handsets=HandsetParameters(off_share=off),
        filtering=FilteringParameters(base_share=base),
        webhooks=WebhookParameters(twice_share=twice, lost_share=lost),
    )
    registration = CampaignRegistration(12.0, {"att": 4.0, "tmobile": 4.0, "verizon": 4.0}, 20)
    storms = (Window(from_s=5.0, for_s=500.0),) if storm else ()
    people = People([MOBILE, MOBILE, LANDLINE, MOBILE, DEAD] * 12, carriers=range(6))
    world = World(parameters, people, seed, registration, receipt_storms=storms)
    for nth in range(60):
        world.send(nth, validity_s=validity_s)
    world.run(40 * DAYS)
    finals, accepts, arrivals = (
        table.columns() for table in (world.ledger.finals, world.ledger.accepts, world.ledger.arrivals)
    )
    for table in (finals, accepts, arrivals):
        assert len(np.unique(table["n"])) == len(table)
    ended, accepted = set(finals["n"].tolist()), set(accepts["n"].tolist())
    assert ended | set(arrivals["n"].tolist()) == set(range(60))
    never_accepted = {code for n, code in zip(finals["n"], finals["code"], strict=True) if n not in accepted}
    assert never_accepted <= {30023, 30036}
    counts = world.ledger.counts()
    assert (
        counts.delivered + sum(counts.undelivered.values()) + sum(counts.failed.values()) + counts.sent == 60
    )
    tmobile = world.ledger.submissions.columns()["carrier"][accepts["n"]] == CARRIERS.index("tmobile")
    assert tmobile.sum() <= 20


def busy_hash(seed=1, *, twice=0.0):
    """The hash and the finals of a busy world of defaults."""
    parameters = MarketParameters(webhooks=WebhookParameters(twice_share=twice))
    world = World(
        parameters, People([0, 0, 1, 2, 0] * 60, carriers=range(6)), seed, outages=(Window(20.0, 5.0),)
    )
    for nth in range(300):
        with suppress(ConnectionRefusedError):
            world.send(nth)
        if nth % 7 == 0:
            world.market.text_from_person(FIRST + nth, OURS, "STOP" if nth % 3 else "Who is this?")
        world.run(0.1)
    world.run()
    return world.ledger.trace_hash(), world.ledger.finals.columns().tolist()


def test_one_seed_one_world():
    assert busy_hash(1) == busy_hash(1)
    assert busy_hash(1)[0] != busy_hash(2)[0]


def test_duplicate_webhooks_change_no_final():
    assert busy_hash(twice=1.0)[1] == busy_hash(twice=0.0)[1]


def test_the_hash_is_the_same_under_any_hash_seed():
    script = (
        f"import importlib.util as u; s = u.spec_from_file_location('t', {str(Path(__file__))!r});"
        "m = u.module_from_spec(s); s.loader.exec_module(m); print(m.busy_hash()[0])"
    )
    hashes = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert hashes == {busy_hash()[0]}


def test_a_persons_luck_does_not_depend_on_who_else_is_texted():
    parameters = MarketParameters(carriers=CarrierParameters(unknown_error_share=0.3))
    people = People([MOBILE] * 100)

    def ends(order):
        world = World(parameters, people)
        for nth in order:
            world.send(nth, handed_at=0.0)
        world.run()
        asked = world.ledger.submissions.columns()["to"]
        finals = world.ledger.finals.columns()
        return dict(zip(asked[finals["n"]].tolist(), finals["code"].tolist(), strict=True))

    alone = ends(range(40, 60))
    assert len(set(alone.values())) > 1
    assert alone.items() <= ends(reversed(range(100))).items()
