"""What the gateway says that its texts cost: some messages' stories, and what its metrics count."""

from collections import defaultdict
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from gateway.app import Gateway
from gateway.p2p.story import story_of
from gateway.store import stories
from simulator.audit.records import COST, Rows

_OF_EACH_KIND, _STREWN = 2, 30  # messages: of each end, attempt and size so many, and so many from among all
_COUNTED = "p2p_cost_dollars"


async def told_costs(gateway: Gateway, campaign_id: int, messages: Rows) -> Rows:
    """The cost of some of a campaign's messages, as their stories tell it."""
    campaign, now = gateway.campaigns[campaign_id], gateway.clock.now()
    told = []
    for message_id in _some(messages).tolist():
        facts = await stories.facts(gateway.database, campaign.key, campaign.opt_out_scope, message_id)
        if facts is not None:
            told.append((message_id, story_of(facts, campaign.limits, now).cost_usd))
    return np.array(told, COST)


def _some(messages: Rows) -> NDArray[np.int64]:
    """Ids: a few of every kind of end, of further attempts and of every size, and some of all."""
    kinds = np.stack([messages[name].astype(np.int64) for name in ("state", "code", "attempt", "segments")])
    _, kind = np.unique(kinds, axis=1, return_inverse=True)
    order = np.argsort(kind.ravel(), kind="stable")
    starts = np.flatnonzero(np.diff(kind.ravel()[order], prepend=-1))
    nth = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    of_kinds = order[nth < _OF_EACH_KIND]
    strewn = np.linspace(0, len(messages) - 1, min(_STREWN, len(messages))).astype(np.int64)
    ids: NDArray[np.int64] = messages["message_id"][np.union1d(of_kinds, strewn)]
    return ids


class CountedCosts:
    """What the gateway's metrics count by carrier, in US dollars, over all its lives."""

    def __init__(self) -> None:
        self._usd: defaultdict[str, float] = defaultdict(float)

    def ended(self, gateway: Gateway) -> None:
        """One life is over: its metrics go with it."""
        for family in gateway.metrics.registry.collect():
            if family.name == _COUNTED:
                for sample in family.samples:
                    self._usd[sample.labels["carrier"]] += sample.value

    @property
    def usd(self) -> Mapping[str, float]:
        """By carrier, so far."""
        return dict(self._usd)
