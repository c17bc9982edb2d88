"""More bugs that somebody thought of who had not read the rules: what the store keeps, shows and is fetched."""

import pytest
from msgspec.structs import replace

import gateway.pipeline.inbound
from gateway.core.text import consent
from gateway.store import buckets, conversations, opt_outs, publishing, receipts
from gateway.store.opt_outs import OwnOptOut
from gateway.upkeep.inbound_poll import InboundPoll
from gateway.upkeep.reconciliation import Reconciliation
from simulator.model import replies
from simulator.model.replies import Intent
from tests.rehearsal.conftest import Rehearse
from tests.rehearsal.planted_bugs import (
    Plant,
    World,
    assert_clean,
    assert_named,
    longer_waits,
    rewrite,
)
from tests.rehearsal.small_worlds import (
    A_DAY,
    ELECTION_DAY,
    NEARLY_SHUT,
    TALKATIVE,
    UNRELIABLE_WEBHOOKS,
    WINDOW_CLOSE,
    chaotic,
    small,
    starting,
)

Patch = pytest.MonkeyPatch

_LOST = replace(
    small(ELECTION_DAY, hours=3.0, volunteers=8),
    webhooks=replace(UNRELIABLE_WEBHOOKS, lost_share=0.3),
    people=TALKATIVE,
)


def people_ask_for_help(patch: Patch) -> None:
    asks = ("HELP", "Info", "help")
    patch.setitem(replies.TEXTS, Intent.QUESTION, (asks, asks))
    for text in asks:
        patch.setitem(replies._INTENT_OF, text, Intent.QUESTION)


WORLDS = {
    "a day": World(A_DAY),
    "people ask for help": World(A_DAY, people_ask_for_help),
    "an hour before closing": World(starting(chaotic(WINDOW_CLOSE, hours=1), NEARLY_SHUT)),
    "webhooks are lost": World(_LOST, lambda patch: longer_waits(patch, catch_up={"reconcile_s": 900.0})),
}


def help_is_taken_for_stop(patch: Patch) -> None:
    read, stop = consent.read, consent.Reading(consent.Intent.STOP)
    patch.setattr(
        gateway.pipeline.inbound,
        "read",
        lambda text: stop if read(text).intent is consent.Intent.HELP else read(text),
    )


def a_mark_opts_out_the_next_contact(patch: Patch) -> None:
    async def of_another(database, key, scope, contact_id, *rest):
        phone = await opt_outs.opt_out(database, key, scope, contact_id + 1, *rest)
        return OwnOptOut(True, phone)

    patch.setattr(opt_outs, "opt_out_own", of_another)


def an_opt_out_is_dated_an_hour_late(patch: Patch) -> None:
    late = r"'keyword', body, to_timestamp(received_at + 3600)"
    rewrite(patch, conversations, "_HEAR", r"'keyword', body, to_timestamp\(received_at\)", late)


def screens_show_the_first_thing_they_wrote(patch: Patch) -> None:
    rewrite(
        patch, conversations, "_ATTENTION", "ORDER BY inbound_id DESC LIMIT 1", "ORDER BY inbound_id LIMIT 1"
    )


def a_look_counts_as_an_answer(patch: Patch) -> None:
    rewrite(patch, conversations, "_ATTENTION", "SET offered_at", "SET attention_at = NULL, offered_at")


def an_end_has_the_time_of_the_request(patch: Patch) -> None:
    rewrite(patch, receipts, "_TELL", r"THEN to_timestamp\(t\.final_at\) ELSE", "THEN m.requested_at ELSE")


async def _nothing(*_: object) -> None:
    return None


def lost_texts_are_never_fetched(patch: Patch) -> None:
    patch.setattr(InboundPoll, "poll", _nothing)


def lost_receipts_are_never_fetched(patch: Patch) -> None:
    patch.setattr(Reconciliation, "catch_up", _nothing)


def the_last_of_a_bucket_is_not_assigned(patch: Patch) -> None:
    claim = buckets.claim

    async def but_one(database, key, action_id, wanted, **rest):
        claimed = await claim(database, key, action_id, wanted, **rest)
        await database.execute(
            "UPDATE assignments SET volunteer_id = NULL WHERE organisation_id = $1 AND campaign_id = $2"
            " AND action_id = $3 AND contact_id = ANY ($4::bigint[])",
            *key,
            action_id,
            [contact_id for each in claimed for contact_id in each.contact_ids[-1:]],
        )
        return claimed

    patch.setattr(buckets, "claim", but_one)


def some_area_codes_are_given_to_nobody(patch: Patch) -> None:
    some = "AND c.deleted_at IS NULL AND c.phone NOT LIKE '+12%'"
    rewrite(patch, publishing, "_ASSIGN_ALL", r"AND c\.deleted_at IS NULL", some)


_CONSENT, _SHOWN, _CLAIMS = "consent_kept", "replies_shown", "one_volunteer_a_contact"
PLANTS = {
    "HELP is taken for STOP": Plant(
        help_is_taken_for_stop, "people ask for help", _CONSENT, frozenset({"blocked_for_a_reason", _SHOWN})
    ),
    "a mark opts out the next contact": Plant(
        a_mark_opts_out_the_next_contact,
        "a day",
        _CONSENT,
        frozenset({"blocked_for_a_reason", _SHOWN}),
    ),
    "an opt-out is dated an hour late": Plant(an_opt_out_is_dated_an_hour_late, "a day", _CONSENT),
    "screens show the first thing they wrote": Plant(
        screens_show_the_first_thing_they_wrote, "a day", _SHOWN
    ),
    "a look counts as an answer": Plant(a_look_counts_as_an_answer, "an hour before closing", _SHOWN),
    "an end has the time of the request": Plant(an_end_has_the_time_of_the_request, "a day", "books_balance"),
    "lost texts are never fetched": Plant(lost_texts_are_never_fetched, "webhooks are lost", "inbound_once"),
    "lost receipts are never fetched": Plant(
        lost_receipts_are_never_fetched, "webhooks are lost", "books_balance"
    ),
    "the last of a bucket is not assigned": Plant(the_last_of_a_bucket_is_not_assigned, "a day", _CLAIMS),
    "some area codes are given to nobody": Plant(some_area_codes_are_given_to_nobody, "a day", _CLAIMS),
}


@pytest.mark.parametrize("name", WORLDS)
def test_without_the_bug_the_world_is_in_order(rehearse: Rehearse, monkeypatch: Patch, name: str) -> None:
    assert_clean(rehearse, monkeypatch, WORLDS[name])


@pytest.mark.parametrize("name", PLANTS)
def test_the_auditor_sees(rehearse: Rehearse, monkeypatch: Patch, name: str) -> None:
    assert_named(rehearse, monkeypatch, WORLDS, PLANTS[name])
