"""Whatever is sent, as the OpenAPI document allows it or not: no 5xx, and answers as documented."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import CHECKS

from gateway.core.bank.permissions import Role
from gateway.http.openapi import document
from gateway.http.server import OPERATIONS
from tests.http.house import a_house
from tests.http.signing_provider import PATIENCE_S
from tests.store.cluster import Cluster

SCHEMA = schemathesis.openapi.from_dict(document("0", OPERATIONS))
EXAMPLES = 15
A_STREAM = CHECKS.get_by_names(["not_a_server_error", "status_code_conformance", "content_type_conformance"])
AS_DOCUMENTED = [*A_STREAM, *CHECKS.get_by_names(["response_schema_conformance"])]


@pytest.fixture(scope="module")
def door(cluster: Cluster) -> Iterator[tuple[str, str]]:
    """A worker in a thread of its own: its address and an admin's key."""
    dsn, loop = cluster.empty(), asyncio.new_event_loop()
    opened: list[tuple[str, str]] = []
    is_open, may_close = threading.Event(), asyncio.Event()

    async def live() -> None:
        async with a_house(dsn) as house:
            opened.append((house.worker.url, house.keys[Role.KEY_ADMIN]))
            is_open.set()
            await may_close.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(live()))
    thread.start()
    assert is_open.wait(PATIENCE_S)
    yield opened[0]
    loop.call_soon_threadsafe(may_close.set)
    thread.join(PATIENCE_S)
    loop.close()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.handler)
def test_no_request_meets_a_defect(door: tuple[str, str], operation) -> None:
    url, key = door
    described = SCHEMA[operation.path][operation.method]

    @settings(
        max_examples=EXAMPLES,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(case=described.as_strategy())
    def any_request(case) -> None:
        is_stream = operation.handler == "live.stream"
        if is_stream:
            case.query = {**(case.query or {}), "once": "true"}
        response = case.call(base_url=url, headers={"Authorization": f"Bearer {key}"})
        case.validate_response(response, checks=A_STREAM if is_stream else AS_DOCUMENTED)

    any_request()
