"""What only the world knows, from whole rehearsals: the result tells what no book of the gateway's shows."""

import json

import msgspec
from msgspec.structs import replace

from simulator.model.scenario import load
from tests.rehearsal.conftest import Rehearse
from tests.rehearsal.small_worlds import ELECTION_DAY, TALKATIVE, broken, small, told


def test_wishes_in_own_words_that_volunteers_overlook(rehearse: Rehearse) -> None:
    world = small(ELECTION_DAY, hours=2.0, people=replace(TALKATIVE, keyword_share=0.0))
    deaf = replace(world, volunteers=replace(world.volunteers, opt_out_noticed_share=0.0))
    heard, overlooked = (rehearse(each).result for each in (world, deaf))
    assert overlooked.opt_outs.manual < heard.opt_outs.manual
    known = overlooked.ground_truth
    assert known.asked_to_leave > 20
    assert known.opt_outs_overlooked > 0.5 * known.asked_to_leave
    assert known.shown_after_leaving >= known.sent_after_leaving > 5
    assert heard.ground_truth.opt_outs_overlooked < 0.5 * heard.ground_truth.asked_to_leave
    assert any("who asked to be left alone are not opted out" in each for each in overlooked.verdict_reasons)


def test_a_bad_list_tells_what_was_never_shown_and_names_the_largest_cause_first(rehearse: Rehearse) -> None:
    done = rehearse(load("bad-list"), contacts=600)
    assert broken(done) == set(), told(done)
    known = json.loads(done.result.to_json())["ground_truth"]
    assert known == msgspec.to_builtins(done.result.ground_truth)
    assert known["reported_delivered"] > known["never_shown"] > 20
    assert known["to_reassigned"] > 5
    assert known["to_unlisted"] == 0
    assert done.result.answer.startswith("The carriers noticed after ")
    assert "count as delivered and were never shown." in done.result.answer
    first = done.result.verdict_reasons[0]
    assert first.startswith("Carriers filtered")
    assert "It held against you: " in first


def test_the_filter_is_watched_without_a_display_too(rehearse: Rehearse) -> None:
    done = rehearse(small(ELECTION_DAY, hours=1.0), contacts=60)
    assert done.filter_record is not None
    assert len(done.filter_record) == 3600 // 120 - 1
