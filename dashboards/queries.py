"""Pieces of PromQL. A division has a denominator above 0, or there is no answer: idle is not broken."""

import re
from functools import partial
from typing import Final

ENVIRONMENT: Final = 'environment=~"$environment"'
CARRIER: Final = 'carrier=~"$carrier"'
BY_CARRIER: Final = frozenset(
    {
        "p2p_segments_total",
        "p2p_messages_final_total",
        "p2p_delivery_duration_seconds_bucket",
        "p2p_queue_messages",
        "p2p_queue_segments",
        "p2p_queue_oldest_age_seconds",
        "p2p_queue_drain_eta_seconds",
        "p2p_cost_dollars_total",
        "carrier:finals:increase30m",
        "carrier:filtered:ratio30m",
        "carrier:filtered:lower_bound",
        "carrier:failed:ratio30m",
        "carrier:failed:lower_bound",
        "carrier:slow:ratio30m",
        "carrier:slow:lower_bound",
        "p2psim_accepted_total",
        "p2psim_queue_messages",
    }
)
"""What a board's choice of carriers narrows."""
_LEVELS = "slo|resource|carrier|environment|bank"
_SELECTOR: Final = re.compile(
    rf"\b(?P<name>(?:p2p|p2psim|p2pload|process|python)_\w+|(?:{_LEVELS}):[\w:]+|up|ALERTS)\b(?!\()(?:\{{(?P<given>[^}}]*)\}})?"
)
_LABELS: Final = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")


def rate(counter: str, window: str = "$__rate_interval", by: str = "") -> str:
    """A second's worth of a counter, summed."""
    return total(f"rate({counter}[{window}])", by)


def total(expression: str, by: str = "") -> str:
    return f"sum by ({by}) ({expression})" if by else f"sum({expression})"


def share(part: str, whole: str) -> str:
    """`part` of `whole`; nothing while there is no whole."""
    return f"{part} / ({whole} > 0)"


def quantile(q: float, histogram: str, window: str = "$__rate_interval", by: str = "") -> str:
    """The qth quantile of a histogram, of its summed buckets; `histogram` may have matchers."""
    name, brace, matchers = histogram.partition("{")
    labels = f"{by}, le" if by else "le"
    return f"histogram_quantile({q:g}, {rate(f'{name}_bucket{brace}{matchers}', window, labels)})"


def lower_bound(ratio: str, count: str, z: float = 3.0) -> str:
    """Wilson's lower bound of a share: what it is at least, 998 times in 1,000. Rules look every half minute."""
    z2 = z * z
    spread = f"sqrt({ratio} * (1 - {ratio}) / ({count} > 0) + {z2 / 4:g} / ({count} > 0) ^ 2)"
    middle = f"{ratio} + {z2 / 2:g} / ({count} > 0)"
    return f"({middle} - {z:g} * {spread}) / (1 + {z2:g} / ({count} > 0))"


def narrowed(expression: str, *, by_carrier: bool) -> str:
    """The expression for what a board's reader has chosen: the environment, and of what has carriers those."""
    narrow = partial(_narrow, by_carrier=by_carrier)
    pieces, at = [], 0
    for labels in _LABELS.finditer(expression):
        pieces += [_SELECTOR.sub(narrow, expression[at : labels.start()]), labels[0]]
        at = labels.end()
    return "".join((*pieces, _SELECTOR.sub(narrow, expression[at:])))


def _narrow(found: re.Match[str], *, by_carrier: bool) -> str:
    name, given = found["name"], found["given"]
    if name.startswith("slo:objective"):
        return found[0]  # it is the same everywhere
    is_narrower = by_carrier and name in BY_CARRIER
    matchers = [ENVIRONMENT, *([given] if given else []), *([CARRIER] if is_narrower else [])]
    return f"{name}{{{','.join(matchers)}}}"
