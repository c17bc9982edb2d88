"""What became of requests, asked for by their idempotency keys: a phone may have forgotten what it was told (C23)."""

from collections.abc import Sequence

import msgspec

from gateway.core.bank.permissions import Actor
from gateway.core.rules.idempotency import Key
from gateway.pipeline.admission import Admission, Outcome, outcome_of
from gateway.pipeline.campaigns import Campaigns
from gateway.store import idempotency
from gateway.store.database import Database


class KeyOutcome(msgspec.Struct, frozen=True):
    """Of one key: the first answer; None while the first request with it is under way."""

    word: str
    outcome: Outcome | None


class Outcomes:
    """First answers, as long as keys are kept: three days at least."""

    def __init__(self, database: Database, campaigns: Campaigns, admission: Admission) -> None:
        self._database = database
        self._campaigns = campaigns
        self._admission = admission

    async def of(self, actor: Actor, campaign_id: int, words: Sequence[str]) -> list[KeyOutcome]:
        """Those of the actor's keys that were used, each once; the key of a whole batch has no outcome of its own."""
        keys = [Key(actor.name, word) for word in dict.fromkeys(words)]
        under_way = [key for key in keys if self._admission.keys.is_under_way(campaign_id, key)]
        found = await idempotency.find(self._database, self._campaigns[campaign_id].key, keys)
        answered = {first.key.word: outcome_of(first) for first in found if first.message_id is not None}
        waiting = [key.word for key in under_way if key.word not in answered]
        return [KeyOutcome(word, answered.get(word)) for word in (*answered, *waiting)]
