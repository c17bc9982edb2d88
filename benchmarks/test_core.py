"""The decisions that every message passes: microseconds a call."""

from gateway.core.rules import hours, safeguards
from gateway.core.rules.registration import Registration, limits
from gateway.core.sending.numbers import Number, NumberPool, PoolPolicy
from gateway.core.sending.pacing import Pacer
from gateway.core.text import consent, phone, scripts, segments

NOON = 1_793_725_200.0  # 2026-11-03, 12:00 in New York
BODY = "Hi Maria, it's Sam with Vote Together. Polls are open today. Do you have a plan to vote? Reply STOP to opt out"


def test_segments(benchmark):
    assert benchmark(segments.measure, BODY).segments == 1


def test_phone(benchmark):
    assert benchmark(phone.parse, "(215) 555-0123").e164 == "+12155550123"


def test_hours(benchmark):
    group = hours.group_key("PA", ("America/New_York",))
    window = hours.CampaignHours.parse("09:00", "21:00")
    assert isinstance(benchmark(hours.verdict, NOON, window, group), hours.Open)


def test_script(benchmark):
    script = scripts.compile_script("Hi {{first_name}}, it's {{user.first_name}}. Reply STOP to opt out")
    assert "Maria" in benchmark(script.render, {"first_name": "Maria"}, {}, {"first_name": "Sam"})


def test_consent(benchmark):
    assert benchmark(consent.read, "Yes, I already voted").intent is consent.Intent.REPLY


def test_safeguards(benchmark):
    request = safeguards.Request(
        campaign_id=1, contact_id=1, kind=safeguards.Kind.INITIAL, body=BODY, action_id=1, sender_id=1
    )
    facts = safeguards.Facts(phone="+12155550123", assignee_id=1)
    answer = benchmark(safeguards.check, request, facts, safeguards.Policy(), NOON)
    assert isinstance(answer, safeguards.Admitted)


def test_number_and_slot(benchmark):
    """A new conversation over a pool of 49 numbers, its capacity reserved."""
    allowed = limits(Registration())
    numbers = [Number(number_id=n, phone=f"+1215555{n:04d}", area_code="215") for n in range(1, 50)]
    pool = NumberPool(PoolPolicy(), allowed, numbers, Pacer(allowed))
    clock = iter(range(10**9))

    def choose() -> object:
        return pool.choose(
            NOON + next(clock), sticky=None, area_code="215", carrier="att", segments=1, horizon_s=2.0
        )

    assert benchmark(choose) is not None
