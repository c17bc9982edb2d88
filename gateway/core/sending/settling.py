"""Whether carriers know a number yet (30034, 30035): a new one settles, is tried, and is then believed.

After a purchase the registry and each carrier have to learn of a number, which takes minutes to days, and nobody
says when it is done. So a number first waits. Then it is on trial: one new conversation a second goes out from it,
until one of its texts has reached a carrier, or none was refused for a minute. A refusal sends it back to wait,
twice as long each time; the text itself loses nothing by it.
"""

from typing import Final

from gateway.core.sending.pool_policy import PoolPolicy
from gateway.core.sending.rotation import Number, NumberState

TRIAL_GAP_S: Final = 1.0
TRIAL_S: Final = 60.0
_LATE_WORD_S: Final = 60.0  # after a number was proved, refusals of texts sent before may still come in
_LEAST_WAIT_S: Final = 30.0
_MOST_DOUBLINGS: Final = 20


def settle(number: Number, now: float, policy: PoolPolicy) -> None:
    """A number was just bought."""
    number.bought_at = now
    if policy.settle_s > 0:
        number.state = NumberState.PROVISIONING
        number.settles_at = now + policy.settle_s
        number.proved_at, number.was_seen = None, False


def is_known_refusal(number: Number, now: float) -> bool:
    """Whether a refusal tells nothing new: the number waits already, or was proved after the text was sent."""
    if number.state in (NumberState.PROVISIONING, NumberState.RETIRED):
        return True
    return number.proved_at is not None and now - number.proved_at < _LATE_WORD_S


def refuse(number: Number, code: int, now: float, policy: PoolPolicy) -> None:
    """Carriers don't know the number (any more): it waits, longer than the last time."""
    number.refusals += 1
    wait_s = max(policy.settle_s, _LEAST_WAIT_S) * 2.0 ** min(number.refusals, _MOST_DOUBLINGS)
    number.state = NumberState.PROVISIONING
    number.settles_at = now + min(wait_s, policy.max_settle_s)
    number.refused_with = code
    number.proved_at = number.tried_at = None


def try_out(number: Number, now: float) -> bool:
    """A text goes out from a number on trial. True: nothing was refused for a minute, which is proof enough."""
    if number.tried_at is None:
        number.tried_at = now
        return False
    if now - number.tried_at <= TRIAL_S:
        return False
    prove(number, now)  # receipts get lost, and some carriers send none
    return True


def prove(number: Number, now: float) -> None:
    """A text of the number's has reached a carrier: from now on people may know it."""
    number.proved_at, number.was_seen = now, True
    number.refusals, number.refused_with = 0, None
