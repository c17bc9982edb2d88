"""Each rule about what people asked for, what texts say, who sees replies and what waits, its safeguard switched off."""

from pathlib import Path

import pytest
from msgspec.structs import replace

import gateway.p2p.buckets
import gateway.p2p.compiled
import gateway.p2p.lists
import gateway.p2p.variants
import gateway.pipeline.road
from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.safeguards import Request
from gateway.core.sending import settling
from gateway.core.sending.choice import Wait
from gateway.core.sending.numbers import NumberPool
from gateway.core.sending.pacing import Pacer
from gateway.p2p.bank import TextBank
from gateway.p2p.buckets import Volunteer
from gateway.p2p.list_consent import Said
from gateway.pipeline.admission import Admission
from gateway.pipeline.prefetch import Prefetch
from gateway.pipeline.road import CampaignRoad
from gateway.providers.base import OutboundText
from gateway.store import conversations, messages, opt_outs
from gateway.store.conversations import Inbox
from gateway.store.database import Database
from gateway.store.messages import Queued
from gateway.store.opt_outs import OwnOptOut
from simulator.model.faults import FaultParameters
from tests.rehearsal.conftest import Rehearse
from tests.rehearsal.planted_bugs import (
    Plant,
    World,
    assert_clean,
    assert_named,
    assert_seen,
    rewrite,
)
from tests.rehearsal.small_worlds import (
    A_DAY,
    ELECTION_DAY,
    TALKATIVE,
    broken,
    campaign,
    known_at_once,
    small,
    told,
)

Patch = pytest.MonkeyPatch

_LATER_START = replace(TALKATIVE, start_again_share=0.6)
_CRASHES = FaultParameters(gateway_crashes_at_s=(240.0, 500.0))

WORLDS = {
    "a day": World(A_DAY),
    "STOP, then abuse": World(
        replace(A_DAY, people=replace(TALKATIVE, hostile_share=0.5, opt_out_share=0.05))
    ),
    "people come back": World(replace(small(ELECTION_DAY, hours=2.5, volunteers=8, people=_LATER_START))),
    "a suffix": World(
        campaign(
            A_DAY,
            opt_out_suffix=True,
            scripts=("Hi {{first_name}}, it's {{user.first_name}}. Will you vote?",),
        )
    ),
    "numbers known at once": World(known_at_once(A_DAY)),
    "early crashes": World(replace(A_DAY, faults=_CRASHES)),
}


# ---- consent kept


def every_third_stop_is_not_written_down(patch: Patch) -> None:
    rewrite(
        patch,
        conversations,
        "_HEAR",
        r"FROM last_word WHERE intent = 'stop'",
        "FROM last_word WHERE intent = 'stop' AND ascii(right(phone, 1)) % 3 > 0",
    )


def any_later_text_lifts_an_opt_out(patch: Patch) -> None:
    rewrite(
        patch,
        conversations,
        "_HEAR",
        r"FROM last_word WHERE intent = 'start'\)\)",
        "FROM fresh WHERE intent <> 'stop'))",
    )
    rewrite(
        patch,
        conversations,
        "_HEAR",
        r"AND greatest\(opted_out_at, noted_again_at\) <= \(\s*SELECT .*?\.phone\)",
        "",
    )


def what_volunteers_mark_is_only_closed(patch: Patch) -> None:
    async def closed(
        database: Database,
        key: CampaignKey,
        _scope: int,
        contact_id: int,
        _source: str,
        now: float,
        _by: int,
    ) -> OwnOptOut:
        await conversations.report(database, key, contact_id, now)
        return OwnOptOut(True, "+12155550100")

    patch.setattr(opt_outs, "opt_out_own", closed)


def start_lifts_nothing(patch: Patch) -> None:
    rewrite(
        patch,
        conversations,
        "_HEAR",
        r"DELETE FROM opt_outs\s+WHERE ",
        "DELETE FROM opt_outs WHERE false AND ",
    )


def whoever_answers_is_opted_out(patch: Patch) -> None:
    rewrite(
        patch,
        conversations,
        "_HEAR",
        r"WHERE intent = 'stop' OR intent = 'start'",
        "WHERE intent <> 'start' OR true",
    )
    rewrite(
        patch,
        conversations,
        "_HEAR",
        r"FROM last_word WHERE intent = 'stop'",
        "FROM last_word WHERE intent <> 'start'",
    )


# ---- the right words


def names_are_those_of_the_person_before(patch: Patch) -> None:
    variables, last = gateway.p2p.buckets.variables_of, [{"first_name": "Ann"}]

    def of_another(person: object) -> dict[str, str]:
        before, last[0] = last[0], variables(person)
        return before

    patch.setattr(gateway.p2p.buckets, "variables_of", of_another)


def everybody_gets_the_first_script(patch: Patch) -> None:
    patch.setattr(gateway.p2p.variants, "draw", lambda *_: 0)


def another_response_than_the_one_pressed(patch: Patch) -> None:
    prepared = TextBank.prepared

    async def astray(bank: TextBank, *where: object, only: str, **more: object) -> object:
        place = int(only.removeprefix("response-")) % 6 + 1
        return await prepared(bank, *where, only=f"response-{place}", **more)

    patch.setattr(TextBank, "prepared", astray)


def all_texts_come_from_one_volunteer(patch: Patch) -> None:
    item = gateway.p2p.buckets._item
    sam = Volunteer(0, {"first_name": "Sam"})
    patch.setattr(gateway.p2p.buckets, "_item", lambda script, _volunteer, person: item(script, sam, person))


def the_suffix_is_forgotten(patch: Patch) -> None:
    compile_script = gateway.p2p.compiled.compile_script
    patch.setattr(
        gateway.p2p.compiled,
        "compile_script",
        lambda source, **more: compile_script(source, **{**more, "opt_out_suffix": False}),
    )


def the_end_of_a_text_is_cut_off(patch: Patch) -> None:
    outbound = gateway.pipeline.road.outbound

    def cut(message: Queued, *rest: object) -> OutboundText:
        text = outbound(message, *rest)
        return replace(text, body=text.body[:60])

    patch.setattr(gateway.pipeline.road, "outbound", cut)


# ---- every reply on a screen


def a_third_of_all_replies_needs_no_attention(patch: Patch) -> None:
    rewrite(
        patch,
        conversations,
        "_HEAR",
        r"ELSE to_timestamp\(min\(f\.received_at\)\) END",
        "WHEN f.contact_id % 3 = 0 THEN NULL ELSE to_timestamp(min(f.received_at)) END",
    )


def nobody_takes_over(patch: Patch) -> None:
    rewrite(patch, conversations, "_ATTENTION", r"v\.attention_at <= to_timestamp\(\$\d+\)", "false")


def a_look_shows_one_conversation(patch: Patch) -> None:
    attention = conversations.attention

    async def one(*args: object, **more: object) -> Inbox:
        inbox = await attention(*args, **more)
        return replace(inbox, found=inbox.found[:1])

    patch.setattr(conversations, "attention", one)


def screens_show_the_wrong_text(patch: Patch) -> None:
    attention = conversations.attention

    async def mixed(*args: object, **more: object) -> Inbox:
        inbox = await attention(*args, **more)
        return replace(inbox, found=[replace(each, body=f"{each.body} ") for each in inbox.found])

    patch.setattr(conversations, "attention", mixed)


def replies_to_our_first_text_are_overlooked(patch: Patch) -> None:
    rewrite(
        patch,
        conversations,
        "_HEAR",
        r"attention_at = CASE WHEN excluded.*?END",
        "attention_at = v.attention_at",
    )


# ---- every press on the wire


def what_waits_is_lost(patch: Patch) -> None:
    rewrite(patch, messages, "_ADMIT", r"FROM written WHERE state = 'queued'", "FROM written WHERE false")
    patch.setattr(CampaignRoad, "waits", lambda *_: None)


def nothing_is_read_again_after_a_crash(patch: Patch) -> None:
    async def nothing(queue: Prefetch, _now: float) -> None:
        queue.next_read_at = float("inf")
        queue.more_in_store = False

    patch.setattr(Prefetch, "refill", nothing)


def every_tenth_press_ends_in_an_error(patch: Patch) -> None:
    submit = Admission.submit

    def failing(admission: Admission, request: Request, **more: object) -> object:
        sent = submit(admission, request, **more)
        if request.contact_id % 10 == 0:
            told = sent.get_loop().create_future()
            told.set_exception(RuntimeError("the disk is on fire"))
            return told
        return sent

    patch.setattr(Admission, "submit", failing)


def a_few_that_wait_are_never_picked(patch: Patch) -> None:
    enter = Prefetch.enter

    def some(queue: Prefetch, message: Queued) -> None:
        if message.message_id % 4:
            enter(queue, message)

    async def read(queue: Prefetch, _lanes: object, _until: float, _limit: int) -> bool:
        return False

    patch.setattr(Prefetch, "enter", some)
    patch.setattr(Prefetch, "_read", read)


# ---- nothing idles


def _held_for(patch: Patch, seconds: float, who: str = "") -> None:
    waits = CampaignRoad.waits

    def later(road: CampaignRoad, message: Queued) -> None:
        if not who or message.carrier == who:
            message.due_at += seconds
        waits(road, message)

    patch.setattr(CampaignRoad, "straight_on", lambda *_: None)
    patch.setattr(CampaignRoad, "waits", later)


def each_text_is_held_for_a_quarter_of_an_hour(patch: Patch) -> None:
    _held_for(patch, 900.0)


def one_carriers_texts_are_held(patch: Patch) -> None:
    _held_for(patch, 600.0, who="tmobile")


def the_pace_is_a_thousandth(patch: Patch) -> None:
    factor = Pacer._factor
    patch.setattr(Pacer, "_factor", lambda pacer, scope: 0.001 * factor(pacer, scope))


def numbers_stay_on_trial(patch: Patch) -> None:
    patch.setattr(settling, "TRIAL_GAP_S", 30.0)
    patch.setattr(settling, "prove", lambda *_: None)


def new_conversations_wait_for_a_better_number(patch: Patch) -> None:
    begin = NumberPool._begin

    def choosy(pool: NumberPool, need: object) -> object:
        if need.now - need.due_at < 400.0:
            return Wait(need.now + 30.0)
        return begin(pool, need)

    patch.setattr(NumberPool, "_begin", choosy)


_CONSENT, _WORDS, _SCREENS, _PRESSES, _IDLE = (
    "consent_kept",
    "right_words",
    "replies_shown",
    "presses_sent",
    "nothing_idles",
)
_TEXTED = frozenset({"no_text_after_opt_out"})
_WAITING = frozenset({_PRESSES})  # what still waits when the day ends never goes
PLANTS = {
    # who is not on the list is texted again
    "every third STOP is not written down": Plant(
        every_third_stop_is_not_written_down, "a day", _CONSENT, _TEXTED
    ),
    "any later text lifts an opt-out": Plant(
        any_later_text_lifts_an_opt_out, "STOP, then abuse", _CONSENT, _TEXTED
    ),
    "what volunteers mark is only closed": Plant(what_volunteers_mark_is_only_closed, "a day", _CONSENT),
    "START lifts nothing": Plant(start_lifts_nothing, "people come back", _CONSENT),
    # and what is asked for them afterwards is blocked without a reason
    "whoever answers is opted out": Plant(
        whoever_answers_is_opted_out, "a day", _CONSENT, frozenset({"blocked_for_a_reason"})
    ),
    "names are those of the person before": Plant(names_are_those_of_the_person_before, "a day", _WORDS),
    "everybody gets the first script": Plant(
        everybody_gets_the_first_script, "a day", "filtered_scripts_stopped"
    ),
    "another response than the one pressed": Plant(another_response_than_the_one_pressed, "a day", _WORDS),
    "all texts come from one volunteer": Plant(all_texts_come_from_one_volunteer, "a day", _WORDS),
    "the suffix is forgotten": Plant(the_suffix_is_forgotten, "a suffix", _WORDS),
    "the end of a text is cut off": Plant(the_end_of_a_text_is_cut_off, "a day", _WORDS),
    "a third of all replies needs no attention": Plant(
        a_third_of_all_replies_needs_no_attention, "a day", _SCREENS
    ),
    "nobody takes over": Plant(nobody_takes_over, "a day", _SCREENS),
    "a look shows one conversation": Plant(a_look_shows_one_conversation, "a day", _SCREENS),
    "screens show the wrong text": Plant(screens_show_the_wrong_text, "a day", _SCREENS),
    "replies to our first text are overlooked": Plant(
        replies_to_our_first_text_are_overlooked, "a day", _SCREENS
    ),
    "what waits is lost": Plant(what_waits_is_lost, "a day", _PRESSES),
    "nothing is read again after a crash": Plant(
        nothing_is_read_again_after_a_crash, "early crashes", _PRESSES, frozenset({_IDLE})
    ),
    "every tenth press ends in an error": Plant(every_tenth_press_ends_in_an_error, "a day", _PRESSES),
    "a few that wait are never picked": Plant(
        a_few_that_wait_are_never_picked, "a day", _PRESSES, frozenset({_IDLE})
    ),
    "each text is held for a quarter of an hour": Plant(
        each_text_is_held_for_a_quarter_of_an_hour, "numbers known at once", _IDLE, _WAITING
    ),
    "one carrier's texts are held": Plant(
        one_carriers_texts_are_held, "numbers known at once", _IDLE, _WAITING
    ),
    "the pace is a thousandth": Plant(the_pace_is_a_thousandth, "numbers known at once", _IDLE, _WAITING),
    "numbers stay on trial": Plant(numbers_stay_on_trial, "a day", _IDLE, _WAITING),
    "new conversations wait for a better number": Plant(
        new_conversations_wait_for_a_better_number, "numbers known at once", _IDLE, _WAITING
    ),
}


@pytest.mark.parametrize("name", WORLDS)
def test_without_the_bug_the_world_is_in_order(rehearse: Rehearse, monkeypatch: Patch, name: str) -> None:
    assert_clean(rehearse, monkeypatch, WORLDS[name])


@pytest.mark.parametrize("name", PLANTS)
def test_the_auditor_sees(rehearse: Rehearse, monkeypatch: Patch, name: str) -> None:
    assert_named(rehearse, monkeypatch, WORLDS, PLANTS[name])


# ---- with a list of its own


_LIST = "first_name,phone,opted_out\n" + "\n".join(
    f"Ann,215555{line:04},{'yes' if line == 301 else ''}" for line in range(300, 340)
)


def the_list_is_not_asked_who_left(patch: Patch) -> None:
    patch.setattr(gateway.p2p.lists, "said", lambda *_: Said.NOTHING)


def marks_are_not_imported(patch: Patch) -> None:
    async def nobody(*_: object) -> None:
        pass

    patch.setattr(conversations, "import_opt_outs", nobody)


LIST_PLANTS = {
    "the list is not asked who left": the_list_is_not_asked_who_left,
    "its marks are not imported": marks_are_not_imported,
}


@pytest.mark.parametrize("name", LIST_PLANTS)
def test_the_auditor_reads_the_list_itself(
    rehearse: Rehearse, monkeypatch: Patch, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "list.csv"
    path.write_text(_LIST)
    world = small(ELECTION_DAY, hours=1.0)
    done = rehearse(world, contacts=None, list_path=path)
    assert broken(done) == set(), told(done)
    LIST_PLANTS[name](monkeypatch)
    done = rehearse(world, contacts=None, list_path=path)
    assert_seen(done, Plant(LIST_PLANTS[name], "a list", _CONSENT))
