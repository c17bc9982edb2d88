"""The filter: a table of bodies, laws for the reputations."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.model.filtering import Content, Filtering, FilteringParameters, Reputation, Screened, score

RULES = FilteringParameters()
GOOD = "Hi Ann, it's Bo with Vote Example. Can we count on you? Reply STOP to opt out"


@pytest.mark.parametrize(
    ("body", "first", "later"),
    [
        (GOOD, 0.002, 0.002),
        ("Hi Ann, can we count on you?", 0.012, 0.002),
        (GOOD + " https://bit.ly/x1", 0.074, 0.052),
        (GOOD + " HTTPS://TinyURL.com/x1", 0.074, 0.052),
        (GOOD + " https://rabbit.ly/x1", 0.024, 0.002),
        (GOOD + " https://bit.ly.example.org", 0.024, 0.002),
        ("VOTE NOW OR LOSE EVERYTHING, reply STOP to end", 0.012, 0.012),
        ("Hola, responda ALTO para no recibir mensajes", 0.002, 0.002),
        (GOOD + " https://a.example https://b.example", 0.034, 0.012),
        (GOOD + " No more guns in schools", 0.052, 0.052),
        ("OK", 0.012, 0.002),
        (
            GOOD + " We meet on Tuesday at seven in the library, all are welcome, and there is cake" * 2,
            0.020,
            0.002,
        ),
        (GOOD + " https://a.example/" + "x" * 160, 0.024, 0.002),
    ],
)
def test_content_scores(body, first, later):
    content = score(body, RULES)
    assert (content.first_share, content.later_share) == pytest.approx((first, later))


def busy(filtering, *, campaign=1, texts=1_000, sender=5, now=0.0, personal=True):
    """Send `texts` and return what became of them."""
    return [
        filtering.judge(
            campaign,
            sender,
            f"{GOOD} {(sender, nth) if personal else ''}",
            body_key=1,
            first=True,
            uniform=0.5,
            now=now,
        )
        for nth in range(texts)
    ]


def share_of(filtering, now, campaign=1, sender=5):
    """The probability of the next good text, by bisection over its luck."""
    low, high = 0.0, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        probe = Filtering(filtering.parameters)
        probe.__dict__.update(filtering.__dict__)
        ours = probe._record(probe._campaigns, campaign, now)
        number = probe._record(probe._numbers, sender, now)
        filtered = middle < probe.probability(Content(0.002, 0.002), ours, number, first=True)
        low, high = (middle, high) if filtered else (low, middle)
    return low


@settings(max_examples=100, deadline=None)
@given(
    sent=st.integers(0, 5_000),
    opt_outs=st.integers(0, 800),
    complaints=st.integers(0, 200),
    dead=st.integers(0, 2_000),
    identical=st.integers(0, 5_000),
    senders=st.integers(0, 120),
    more=st.sampled_from(["opt_outs", "complaints", "dead", "identical", "senders"]),
    first_share=st.floats(0, 0.2),
)
def test_probability_rises_with_every_fault_of_content_campaign_and_number(
    more, senders, first_share, **counts
):
    filtering = Filtering(RULES)
    filtering.register(1, 49)

    def risk(extra):
        record = Reputation()
        for name, count in counts.items():
            setattr(record, name, count + (extra if more == name else 0))
        record.senders = dict.fromkeys(range(senders + (extra if more == "senders" else 0)), 0.0)
        record.risk = filtering._campaign_risk(1, record)
        return record

    clean = Reputation()
    content, worse_content = Content(first_share, 0), Content(first_share + 0.01, 0)

    def chance(text, ours, number):
        return filtering.probability(text, ours, number, first=True)

    assert chance(content, risk(0), clean) <= chance(content, risk(30), clean) <= RULES.ceiling_share
    assert chance(content, clean, risk(0)) <= chance(content, clean, risk(30))
    assert chance(content, risk(0), risk(0)) <= chance(worse_content, risk(0), risk(0))


def test_complaints_bring_up_to_sixty_per_cent():
    filtering = Filtering(RULES)
    busy(filtering, texts=2_000)
    for _ in range(40):
        filtering.complaint(1, 6, 0.0)
    assert share_of(filtering, 0.0) == pytest.approx(0.602, abs=0.01)


@pytest.mark.parametrize(("texts", "suspended"), [(400, False), (600, True)])
def test_suspension_needs_enough_traffic(texts, suspended):
    filtering = Filtering(RULES)
    busy(filtering, texts=texts)
    for _ in range(texts // 10 + 1):
        filtering.opt_out(1, 5, 0.0)
    assert filtering.suspended(1, 1.0) is suspended
    assert not filtering.suspended(2, 1.0)
    assert not filtering.suspended(1, RULES.suspended_s + 1)


@pytest.mark.parametrize(
    ("opt_outs", "warned", "punished"), [(29, False, False), (35, True, False), (70, True, True)]
)
def test_opt_outs_warn_then_punish(opt_outs, warned, punished):
    filtering = Filtering(RULES)
    busy(filtering)
    for _ in range(opt_outs):
        filtering.opt_out(1, 5, 0.0)
    standing = filtering.standing(1, 0.0)
    assert standing.opt_out_share == pytest.approx(opt_outs / 1000)
    assert (standing.warned, standing.added_share > 0) == (warned, punished)


def test_a_bad_record_fades():
    filtering = Filtering(RULES)
    busy(filtering)
    for _ in range(10):
        filtering.complaint(1, 5, 0.0)
    chances = [share_of(filtering, hours * 3600.0) for hours in (0, 24, 48, 240)]
    assert chances == sorted(chances, reverse=True)
    assert chances[0] > 0.5
    assert chances[-1] < 0.01


def test_campaigns_do_not_pay_for_each_other():
    filtering = Filtering(RULES)
    busy(filtering)
    for _ in range(30):
        filtering.complaint(1, 5, 0.0)
    assert share_of(filtering, 0.0, campaign=2, sender=6) == pytest.approx(0.002, abs=1e-6)
    assert share_of(filtering, 0.0, campaign=2, sender=5) > 0.2  # the number's own record


@pytest.mark.parametrize(("personal", "added"), [(True, 0.0), (False, 0.02)])
def test_identical_bulk_is_seen_and_personal_texts_are_not(personal, added):
    filtering = Filtering(RULES)
    filtering.register(1, 49)
    busy(filtering, personal=personal)
    assert filtering.standing(1, 100.0).added_share == pytest.approx(0.0 if personal else added)


def test_snowshoeing_over_more_numbers_than_registered_and_its_end():
    filtering = Filtering(RULES)
    filtering.register(1, 10)
    for sender in range(10):
        busy(filtering, texts=1, sender=sender)
    assert filtering.standing(1, 0.0).added_share == 0
    for sender in range(10, 15):
        busy(filtering, texts=1, sender=sender)
    assert filtering.standing(1, 0.0).added_share == pytest.approx(0.2)
    busy(filtering, texts=1, sender=3, now=RULES.sender_memory_s + 100)
    standing = filtering.standing(1, RULES.sender_memory_s + 200)
    assert (standing.numbers_in_use, standing.added_share) == (1, 0)


def test_dead_numbers_look_like_a_bought_list():
    filtering = Filtering(RULES)
    busy(filtering)
    for _ in range(250):
        filtering.dead(1, 5, 0.0)
    assert filtering.standing(1, 60.0).added_share == pytest.approx(0.05, abs=0.001)


@pytest.mark.parametrize(
    ("uniform", "verdict"),
    [
        (0.0, Screened.FILTERED),
        (0.0019, Screened.FILTERED),
        (0.0021, Screened.SILENT),
        (0.0031, Screened.PASSED),
    ],
)
def test_luck_decides_between_filtered_silent_and_passed(uniform, verdict):
    assert Filtering(RULES).judge(1, 5, GOOD, body_key=1, first=True, uniform=uniform, now=0.0) is verdict


def test_unknown_rules_are_refused():
    with pytest.raises(msgspec.ValidationError, match="half_live_s"):
        msgspec.convert({"half_live_s": 1}, FilteringParameters)
