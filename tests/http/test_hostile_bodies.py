"""Bodies that grow, are endless, deep, cut off or no text: bounded, refused in words, and nobody else waits (23, 25, 26, 32)."""

import asyncio
import gzip
import logging
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from io import BytesIO

import aiohttp
import msgspec
import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yarl import URL

from gateway.core.bank.permissions import Role
from gateway.http.bodies import INTAKE, MOST_BYTES
from gateway.http.intake import Intake, release
from gateway.http.problems import Refusal
from gateway.http.rows import Rows
from gateway.turns import Floor
from tests.http.house import CAMPAIGN, House, phone
from tests.http.signing_provider import PATIENCE_S

Called = Callable[[str, bytes], Awaitable[int]]
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
BATCH, CONTACTS = "/v1/messages:batch", f"/v1/campaigns/{CAMPAIGN}/contacts"
MOST_MEMORY = 60_000_000
ROWS = b'{"campaign_id":1,"messages":['


async def sent(
    house: House, path: str, data: bytes, key: Role | None = Role.KEY_ADMIN, **headers: str
) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return (await house.call("POST", path, data=BytesIO(data), headers={**JSON, **named}, key=key)).status


GROWN = b'{"x":"' + b"a" * 200_000_000 + b'"}'
BOMBS = {
    "gzip": (gzip.compress(GROWN), 413),
    "deflate": (zlib.compress(GROWN), 413),
    "br": (b"\x8b\x07\x80" * 100, 415),
    "zstd": (b"\x28\xb5\x2f\xfd" + b"\0" * 100, 415),
    "gzip, gzip": (gzip.compress(gzip.compress(GROWN[:1_000_000])), 415),
}


@pytest.mark.parametrize("encoding", BOMBS)
@pytest.mark.parametrize("path", [BATCH, CONTACTS, "/webhooks/twilio/status", "/v1/messages"])
async def test_what_is_packed_is_bounded_before_it_is_unpacked(
    house: House, encoding: str, path: str
) -> None:
    data, status = BOMBS[encoding]
    headers = FORM if path.startswith("/webhooks") else JSON
    tracemalloc.start()
    try:
        answer = await house.call("POST", path, data=data, headers={**headers, "Content-Encoding": encoding})
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()
    assert answer.status == status
    assert ("Accept-Encoding" in answer.headers) == (status == 415)


async def test_a_packed_body_of_an_honest_client_is_read(house: House) -> None:
    row = {"campaign_id": CAMPAIGN, "messages": [{"contact_id": 1, "body": "Hello"}]}
    packed = gzip.compress(msgspec.json.encode(row))
    assert await sent(house, BATCH, packed, Content_Encoding="gzip") == 202
    assert await sent(house, BATCH, packed[:-9], Content_Encoding="gzip") == 400
    assert await sent(house, BATCH, b"no gzip", Content_Encoding="gzip") == 400


HOSTILE = {
    "a million quotes": (ROWS + b",".join([b'""'] * 1_000_000) + b"]}", 422),
    "a million rows": (ROWS + b",".join([b'{"body":"a"}'] * 900_000) + b"]}", 422),
    "one row without end": (ROWS + b'{"media_urls":[' + b",".join([b'"http://a"'] * 900_000) + b"]}]}", 422),
    "one string without end": (ROWS + b'{"body":"' + b"a" * 9_000_000 + b'"}]}', 422),
    "nested 1,000 deep": (ROWS + b"[" * 1_000 + b"]" * 1_000 + b"]}", 400),
    "nested without end": (ROWS + b"[" * 9_000_000, 400),
    "nested deep in a row": (ROWS + b'{"body":' + b'{"a":' * 2_000 + b"1" + b"}" * 2_000 + b"}]}", 400),
    "not UTF-8": (ROWS + b'{"contact_id":1,"body":"\xff\xfe"}]}', 400),
    "half a surrogate": (ROWS + b'{"contact_id":1,"body":"\\ud800"}]}', 400),
    "a surrogate's bytes": (ROWS + b'{"contact_id":1,"body":"\xed\xa0\x80"}]}', 400),
    "a number without end": (b'{"campaign_id":' + b"9" * 1_000_000 + b',"messages":[]}', 422),
    "an exponent": (b'{"campaign_id":1e999999999,"messages":[]}', 422),
    "not a number": (b'{"campaign_id":NaN,"messages":[]}', 400),
    "nothing": (b"", 400),
    "NULs": (b"\0" * 1_000, 400),
    "no rows": (ROWS + b"]}", 422),
    "no list": (b'{"campaign_id":1,"messages":{}}', 422),
    "larger than allowed": (b" " * (MOST_BYTES + 1), 413),
}


@pytest.mark.parametrize("case", HOSTILE)
async def test_a_hostile_batch_is_refused_and_fills_no_memory(house: House, case: str) -> None:
    data, status = HOSTILE[case]
    tracemalloc.start()
    try:
        assert await sent(house, BATCH, data) == status
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()
    contacts = data.replace(ROWS, b'{"contacts":[').replace(b'"body"', b'"phone"')
    assert await sent(house, CONTACTS, contacts) in (400, 413, 422)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=20) | st.floats(),
        lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
        max_leaves=30,
    )
)
def test_rows_are_cut_where_they_end(rows: object) -> None:
    listed = rows if isinstance(rows, list) else [rows]
    body = msgspec.json.encode({"before": 1, "rows": listed, "after": "]}"})
    cut = Rows(body, 100)
    assert [msgspec.json.decode(row) for row in cut] == msgspec.json.decode(body)["rows"]
    assert msgspec.json.decode(cut.envelope) == {"before": 1, "rows": [], "after": "]}"}


ODD_JSON = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=60).map(str.encode),
    st.lists(
        st.sampled_from(
            [
                b"{",
                b"}",
                b"[",
                b"]",
                b'"',
                b",",
                b":",
                b"1",
                b"\\",
                b"\\u",
                b"d800",
                b"\xff",
                b'"body"',
                b'"campaign_id"',
                b'"messages"',
                b"null",
                b"-",
                b".",
            ]
        ),
        max_size=30,
    ).map(b"".join),
    st.binary(max_size=30).map(lambda odd: ROWS + odd + b"]}"),
)


async def test_no_bytes_end_in_a_defect(house: House) -> None:
    """Thousands of bodies that are nearly JSON, over HTTP."""
    bodies: list[bytes] = []

    @settings(max_examples=800, database=None, suppress_health_check=list(HealthCheck))
    @given(ODD_JSON)
    def draw(body: bytes) -> None:
        bodies.append(body)

    draw()
    paths = [BATCH, CONTACTS, "/v1/messages", "/v1/campaigns"]
    for nth, body in enumerate(bodies):
        assert 400 <= await sent(house, paths[nth % 4], body) < 500, body


@pytest.mark.parametrize("path", [BATCH, CONTACTS, "/v1/campaigns", "/v1/messages"])
async def test_without_a_key_no_body_is_read(house: House, path: str) -> None:
    """The refusal comes although the body never does."""
    url = URL(house.worker.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9000000\r\n\r\n"
    writer.write(head.encode())
    async with asyncio.timeout(PATIENCE_S):
        assert b" 401 " in await reader.readline()
    writer.close()


async def test_a_client_that_hangs_up_is_no_defect(house: House, caplog: pytest.LogCaptureFixture) -> None:
    url = URL(house.worker.url)
    head = (
        f"POST {BATCH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {house.keys[Role.KEY_ADMIN]}\r\nContent-Length: 9000\r\n\r\n"
        '{"campaign_id":1'
    )
    line = 'p2p_http_requests_total{method="POST",route="/v1/messages:batch",status="%s"}'
    for _ in range(3):
        _, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(head.encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    async with asyncio.timeout(PATIENCE_S):
        while await house.metric(line % "4xx") < 3:
            pass
    assert await house.metric(line % "5xx") == 0
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@asynccontextmanager
async def served(intake: Intake, is_in: asyncio.Event, go_on: asyncio.Event) -> AsyncIterator[Called]:
    """A handler that takes a body and, asked to, waits with it; calls it with a path and a body."""

    async def take(request: web.BaseRequest) -> web.Response:
        try:
            await intake.whole(request, 800)
        except Refusal as refusal:
            return refusal.response()
        else:
            is_in.set()
            if request.query:
                await go_on.wait()
            return web.Response()
        finally:
            release(request)

    runner = web.ServerRunner(web.Server(take))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as session:

        async def call(path: str, body: bytes) -> int:
            async with session.post(path, data=body) as response:
                return response.status

        yield call
    await runner.cleanup()


async def test_bodies_at_once_are_bounded() -> None:
    """Beyond what may be in memory at once: 503, and as soon as one is over there is room again."""
    intake, is_in, go_on = Intake(Floor(), 1_000), asyncio.Event(), asyncio.Event()
    async with served(intake, is_in, go_on) as call, asyncio.timeout(PATIENCE_S):
        first = asyncio.create_task(call("/?wait=1", b"a" * 700))
        await is_in.wait()
        assert await call("/", b"a" * 700) == 503
        assert await call("/", b"a" * 100) == 200
        go_on.set()
        assert await first == 200
        assert intake.held_bytes == 0
        assert await call("/", b"a" * 700) == 200


async def test_a_body_that_never_comes_ends_in_time(house: House) -> None:
    house.worker._public.app[INTAKE]._patience_s = 0.01
    url = URL(house.worker.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    head = (
        f"POST {BATCH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {house.keys[Role.KEY_ADMIN]}\r\nContent-Length: 9000\r\n\r\n"
    )
    writer.write(head.encode())
    async with asyncio.timeout(PATIENCE_S):
        assert b" 408 " in await reader.readline()
    writer.close()


@pytest.mark.parametrize("row", ["not a number,Ann", "+44 20 7946 0958,Ann", "(215) 555-01000 x,Ann"])
async def test_a_list_of_unusable_rows_is_read_in_turns(house: House, row: str) -> None:
    """Others have the loop in between, however long not one row is good."""
    text = "phone,name\n" + f"{row}\n" * 3_000
    calls = 0

    async def others() -> None:
        nonlocal calls
        while True:
            assert (await house.call("GET", "/livez", key=None)).status == 200
            calls += 1

    beside = asyncio.create_task(others())
    answer = await house.call("POST", CONTACTS, data=text.encode(), headers={"Content-Type": "text/csv"})
    beside.cancel()
    assert (answer.status, answer.body["rows"], answer.body["new"]) == (200, 3_000, 0)
    assert calls > 5


async def test_a_large_batch_is_taken_in_turns_and_whole(house: House) -> None:
    """Large enough to be read row by row: the bad row harms itself, the others are in the books."""
    rows = [{"to": phone(1 + nth % 9), "body": f"Hello {nth} " + "x" * 100} for nth in range(1_000)]
    rows[500] = {"to": phone(1), "body": 7}
    answer = await house.call("POST", BATCH, {"campaign_id": CAMPAIGN, "messages": rows})
    assert answer.status == 202
    assert answer.body["rejected"] == 1
    assert answer.body["results"][500]["error"].startswith("Expected")
    assert len(answer.body["results"]) == 1_000


async def test_lists_at_once_are_bounded(house: House) -> None:
    """Of three lists that never come two are waited for, and the third is refused."""
    headers = {"Content-Type": "text/csv", "Authorization": f"Bearer {house.keys[Role.KEY_ADMIN]}"}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    url = URL(house.worker.url)
    lines = [await asyncio.open_connection(url.host, url.port) for _ in range(3)]
    for _, writer in lines:
        writer.write(f"POST {CONTACTS} HTTP/1.1\r\nHost: x\r\nContent-Length: 90\r\n{head}\r\n".encode())
    first = [asyncio.create_task(reader.readline()) for reader, _ in lines]
    done, _ = await asyncio.wait(first, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
    assert [b" 503 " in each.result() for each in done] == [True]
    for _, writer in lines:
        writer.close()
    await asyncio.gather(*first)
    async with asyncio.timeout(PATIENCE_S):
        while True:
            answer = await house.call(
                "POST", CONTACTS, data=b"phone\n2155550101\n", headers=headers, key=None
            )
            if answer.status == 200:
                break
            assert answer.headers["Retry-After"]
