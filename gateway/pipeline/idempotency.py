"""Idempotency: a request that comes again with its key gets the first one's answer, and nothing is done twice.

As Stripe has it: a key belongs to whoever used it; other parameters are refused; so is a request whose first is still
under way. Between workers the store decides (store/idempotency.py); this worker's own are known here.
"""

import hashlib
from collections.abc import Iterable

import msgspec

from gateway.core.rules.errors import TextbankError
from gateway.core.rules.idempotency import Key
from gateway.core.rules.safeguards import Request

OURS = "textbank"
"""The owner of the gateway's own keys."""

_encoder = msgspec.msgpack.Encoder()


class KeyReused(TextbankError):
    """This idempotency key was used for a request with other parameters: give each request a key of its own."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


class KeyUnderWay(TextbankError):
    """The first request with this idempotency key is still under way: ask again in a moment."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


class Use(msgspec.Struct, frozen=True, gc=False):
    """A key as used for one request."""

    key: Key
    request_hash: int


def use_of(key: Key, request: Request, script: str | None) -> Use:
    return Use(key, hash_of((request, script)))


def hash_of(parameters: object) -> int:
    """A signed 64-bit hash of what a request asks for."""
    digest = hashlib.blake2b(_encoder.encode(parameters), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


class KeysUnderWay:
    """The keys of this worker's requests that have no answer yet."""

    def __init__(self) -> None:
        self._hashes: dict[tuple[int, Key], int] = {}

    def __len__(self) -> int:
        return len(self._hashes)

    def begin(self, campaign_id: int, use: Use) -> None:
        """Raises KeyUnderWay, or KeyReused, for a key that is being used."""
        known = self._hashes.get((campaign_id, use.key))
        if known is not None:
            raise KeyUnderWay if known == use.request_hash else KeyReused
        self._hashes[campaign_id, use.key] = use.request_hash

    def end(self, campaign_id: int, key: Key) -> None:
        del self._hashes[campaign_id, key]

    def is_under_way(self, campaign_id: int, key: Key) -> bool:
        return (campaign_id, key) in self._hashes

    def require_none(self, campaign_id: int, keys: Iterable[Key]) -> None:
        """Raises KeyUnderWay when one of the keys is being used."""
        if any(self.is_under_way(campaign_id, key) for key in keys):
            raise KeyUnderWay
