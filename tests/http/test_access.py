"""Keys: hashed, of a role, of a campaign, revocable."""

import asyncio
import hashlib
from collections import Counter

import pytest

from gateway.core.bank.permissions import KEY_ROLES, Role
from gateway.core.rules.errors import BadInput
from gateway.http.access import Keys
from gateway.http.failures import Failures
from gateway.p2p.keys import RANDOM_BYTES, ApiKeys, BadKey
from gateway.p2p.remembered import Remembered
from gateway.store import api_keys
from tests.http.house import CAMPAIGN, OTHER_CAMPAIGN, START_AT, House


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "Bearer",
        "Bearer tb_",
        "Basic dXNlcjpwYXNz",
        f"Bearer tb_{'0' * 12}_{'0' * 64}",
        "Bearer tb_' OR 1=1 --",
    ],
)
async def test_without_a_known_key_nothing_is_told(house: House, given: str | None) -> None:
    headers = {} if given is None else {"Authorization": given}
    answer = await house.call("GET", "/v1/campaigns", key=None, headers=headers)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_a_secret_must_be_the_keys_own(house: House) -> None:
    good = house.keys[Role.KEY_READER]
    changed = good[:-1] + ("0" if good[-1] != "0" else "1")
    assert (await house.call("GET", "/v1/campaigns", key=good)).status == 200
    assert (await house.call("GET", "/v1/campaigns", key=changed)).status == 401


MESSAGE = {"campaign_id": CAMPAIGN, "contact_id": 1, "body": "x"}
CALLS = {
    "read": (Role.KEY_READER, "GET", f"/v1/campaigns/{CAMPAIGN}/numbers", None),
    "send": (Role.KEY_SENDER, "POST", "/v1/messages", MESSAGE),
    "pause": (Role.KEY_ADMIN, "PATCH", f"/v1/campaigns/{CAMPAIGN}", {"paused": True}),
    "make": (Role.KEY_ADMIN, "POST", "/v1/campaigns", {"name": "Another"}),
}
RANKS = list(KEY_ROLES.values())


@pytest.mark.parametrize("role", KEY_ROLES.values())
@pytest.mark.parametrize("call", CALLS)
async def test_a_role_may_what_it_may(house: House, role: Role, call: str) -> None:
    needed, method, path, body = CALLS[call]
    answer = await house.call(method, path, body, key=role)
    assert (answer.status == 403) == (RANKS.index(role) < RANKS.index(needed))
    assert answer.status in (200, 201, 202, 403)


async def test_a_campaigns_key_is_for_that_campaign(house: House) -> None:
    key = await house.key(Role.KEY_ADMIN, OTHER_CAMPAIGN)
    listed = (await house.call("GET", "/v1/campaigns", key=key)).body["campaigns"]
    assert [each["campaign_id"] for each in listed] == [OTHER_CAMPAIGN]
    assert (await house.call("POST", "/v1/campaigns", {"name": "Another"}, key=key)).status == 403


async def test_a_revoked_key_ends(house: House) -> None:
    key = await house.key(Role.KEY_READER)
    assert await api_keys.revoke(house.store, key.split("_")[1], START_AT)
    assert (await house.call("GET", "/v1/campaigns", key=key)).status == 401


async def test_a_verified_key_is_remembered_for_seconds_only(house: House) -> None:
    key = await house.key(Role.KEY_READER)
    assert (await house.call("GET", "/v1/campaigns", key=key)).status == 200
    await api_keys.revoke(house.store, key.split("_")[1], START_AT)
    parts = house.worker._parts
    keys = ApiKeys(house.worker.database, house.worker.clock.now, remembered_s=0)
    parts.keys = Keys(keys, Remembered(parts.sign_in.find))
    assert (await house.call("GET", "/v1/campaigns", key=key)).status == 401


async def test_only_a_hash_is_stored(house: House) -> None:
    _, key_id, secret = house.keys[Role.KEY_ADMIN].split("_")
    row = (await api_keys.find(house.store, [key_id]))[key_id]
    assert row is not None
    assert row.secret_hash == hashlib.sha256(secret.encode()).hexdigest()
    assert secret not in repr(await api_keys.load(house.store))


async def test_revoking_twice_keeps_the_first_end(house: House) -> None:
    key_id = (await house.key(Role.KEY_READER)).split("_")[1]
    for at in (START_AT + 1, START_AT + 9):
        await ApiKeys(house.store, lambda at=at: at).revoke(key_id)
    row = (await api_keys.find(house.store, [key_id]))[key_id]
    assert row is not None
    assert row.revoked_at == START_AT + 1
    with pytest.raises(BadInput, match="no such key"):
        await ApiKeys(house.store, lambda: START_AT).revoke("nobody")


async def test_a_key_that_expired_is_refused(house: House) -> None:
    keys = ApiKeys(house.store, lambda: START_AT - 100.0)
    over = await keys.create(bytes(RANDOM_BYTES), "over", "reader", expires_s=99.0)
    good = await keys.create(bytes([1] * RANDOM_BYTES), "good", "reader", expires_s=3_600.0)
    answer = await house.call("GET", "/v1/campaigns", key=over)
    assert (answer.status, answer.body["detail"]) == (401, "this API key has expired")
    assert (await house.call("GET", "/v1/campaigns", key=good)).status == 200


async def test_a_key_ends_to_the_second_though_it_is_remembered(house: House) -> None:
    now = START_AT
    keys = ApiKeys(house.store, lambda: now, remembered_s=3_600.0)
    key = await keys.create(bytes(RANDOM_BYTES), "short", "reader", expires_s=60.0)
    _, key_id, secret = key.split("_")
    now = START_AT + 59.9
    assert (await keys.proved(key_id, secret)).expires_at == START_AT + 60.0
    now = START_AT + 60.0
    with pytest.raises(BadKey, match="expired"):
        await keys.proved(key_id, secret)


async def test_a_thousand_wrong_keys_are_limited_and_cost_few_reads(house: House) -> None:
    """Story 26: whatever others try, a good key is served, one made just now too."""
    reads = 0
    fetch = house.worker.database.fetch

    async def counted(sql: str, *arguments: object) -> object:
        nonlocal reads
        reads += "FROM api_keys" in sql
        return await fetch(sql, *arguments)

    house.worker.database.fetch = counted  # type: ignore[method-assign]
    wrong = [f"tb_{nth:012x}_{'0' * 64}" for nth in range(1_000)]
    answers = []
    for begin in range(0, 1_000, 100):
        some = wrong[begin : begin + 100]
        answers += await asyncio.gather(*(house.call("GET", "/v1/campaigns", key=key) for key in some))
        assert (await house.call("GET", "/v1/campaigns", key=Role.KEY_READER)).status == 200
    new = await house.key(Role.KEY_READER)
    assert (await house.call("GET", "/v1/campaigns", key=new)).status == 200
    statuses = Counter(answer.status for answer in answers)
    assert set(statuses) == {401, 429}
    assert statuses[401] < 100
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers if answer.status == 429)
    assert reads < 100


async def test_guessing_a_keys_secret_costs_no_read_and_does_not_lock_it_out(house: House) -> None:
    good = house.keys[Role.KEY_READER]
    assert (await house.call("GET", "/v1/campaigns", key=good)).status == 200
    guesses = [f"{good[:17]}{nth:064x}" for nth in range(60)]
    statuses = [(await house.call("GET", "/v1/campaigns", key=key)).status for key in guesses]
    assert statuses[-1] == 429
    assert (await house.call("GET", "/v1/campaigns", key=good)).status == 200


@pytest.mark.parametrize("who", ["one", "two"])
def test_failures_are_let_pass_then_one_every_few_seconds(who: str) -> None:
    failures = Failures(allowed=3, one_more_every_s=2.0)
    assert [failures.failed(who, now) for now in (0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 2.0)] == [0, 0, 0, 2, 1, 0, 2]
    assert [failures.failed("another", 2.0) for _ in range(4)] == [0, 0, 0, 2]
    assert failures.failed(who, 60.0) == 0


def test_who_fails_under_many_names_fills_no_memory() -> None:
    failures = Failures()
    for nth in range(30_000):
        failures.failed(str(nth), 0.0)
    assert len(failures._paid_off_at) <= 10_000
