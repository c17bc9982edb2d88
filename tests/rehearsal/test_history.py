"""What webhooks lose is fetched from the provider's history, in rehearsals too; the operator's own settings count."""

import numpy as np
from msgspec.structs import replace

from gateway.config import CatchUp, Dispatch, Http, OptOuts, Settings
from simulator.model.faults import FaultParameters, Window
from simulator.model.webhooks import WebhookParameters
from simulator.rehearsal.rehearsed_settings import SETTINGS, not_rehearsed, rehearsed
from simulator.report.result import Rehearsed
from tests.rehearsal.conftest import Rehearse
from tests.rehearsal.small_worlds import ELECTION_DAY, TALKATIVE, broken, known_at_once, small, told

FORGETFUL = WebhookParameters(lost_share=0.3)
WORLD = known_at_once(small(ELECTION_DAY, hours=2.0, people=TALKATIVE, webhooks=FORGETFUL))
NO_HISTORY = Settings(catch_up=CatchUp(inbound_poll_s=0, before_sending=False, reconcile_s=0))


def asked(inbound_poll_s: float = 60.0, reconcile_s: float = 1_800.0) -> Settings:
    return Settings(catch_up=CatchUp(inbound_poll_s=inbound_poll_s, reconcile_s=reconcile_s))


def unheard(done: Rehearsed, before_s: float) -> int:
    """Texts to the provider before then that the gateway does not have."""
    heard = done.ledger.inbound_deliveries.columns()["n"]
    early = np.flatnonzero(done.ledger.inbound.columns()["at"] < before_s)
    return len(np.setdiff1d(early, heard))


def test_texts_that_webhooks_lost_are_fetched(rehearse: Rehearse) -> None:
    alone, helped = (
        rehearse(WORLD, contacts=300, settings=settings) for settings in (NO_HISTORY, asked(reconcile_s=0))
    )
    assert broken(alone) == broken(helped) == set(), told(helped)
    assert unheard(alone, 6_900.0) > 20
    assert unheard(helped, 6_900.0) == 0
    assert helped.result.replies > alone.result.replies


def test_receipts_that_webhooks_lost_are_fetched(rehearse: Rehearse) -> None:
    alone, helped = (rehearse(WORLD, contacts=300, settings=settings) for settings in (NO_HISTORY, asked()))
    assert broken(helped) == set(), told(helped)
    assert alone.result.messages.sent > 60
    assert helped.result.messages.sent < alone.result.messages.sent / 3
    assert helped.result.messages.requested == sum(
        count if isinstance(count, int) else sum(count.values())
        for name, count in (
            (name, getattr(helped.result.messages, name)) for name in helped.result.messages.__struct_fields__
        )
        if name != "requested"
    )


def test_nothing_is_sent_after_an_outage_before_lost_texts_are_fetched(rehearse: Rehearse) -> None:
    """Nobody can text while the provider is away; what came meanwhile is there before the first text goes out."""
    faults = FaultParameters(outages=(Window(1_800.0, 900.0),), gateway_crashes_at_s=(3_600.0,))
    done = rehearse(replace(WORLD, faults=faults), contacts=300, settings=asked(inbound_poll_s=0))
    assert broken(done) == set(), told(done)
    assert unheard(done, 1_800.0) == unheard(done, 3_600.0) == 0
    assert unheard(done, 7_200.0) > 0, "nobody asked again"


def test_one_seed_one_trace_with_a_history(rehearse: Rehearse) -> None:
    first, second = (rehearse(WORLD, contacts=150, seed=3, settings=asked()) for _ in range(2))
    assert first.result.trace_hash == second.result.trace_hash


def test_what_of_the_operators_settings_is_rehearsed() -> None:
    theirs = Settings(
        opt_outs=OptOuts(provider_replies=False),
        dispatch=Dispatch(closing_margin_s=300.0, concurrency=7),
        http=Http(port=9000),
    )
    used = rehearsed(theirs)
    assert (used.opt_outs.provider_replies, used.dispatch.closing_margin_s) == (False, 300.0)
    assert used.catch_up == CatchUp()
    assert (used.dispatch.concurrency, used.http) == (SETTINGS.dispatch.concurrency, SETTINGS.http)
    assert not_rehearsed(theirs) == ("capacity", "dispatch.concurrency", "http.port")
    assert (rehearsed(None), not_rehearsed(None)) == (SETTINGS, ())


def test_our_confirmations_are_rehearsed_when_the_provider_sends_none(rehearse: Rehearse) -> None:
    ours = Settings(opt_outs=OptOuts(provider_replies=False))
    plain = rehearse(WORLD, contacts=120)
    done = rehearse(WORLD, contacts=120, settings=ours)
    assert broken(done) == set(), told(done)
    assert done.result.messages.requested > plain.result.messages.requested + 8
    assert "21610" not in done.result.messages.failed, "a provider that leaves opt-outs to us blocks nobody"
    assert done.result.not_rehearsed == ("capacity",)
