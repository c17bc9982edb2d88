"""What clients and probes take for granted of an HTTP API."""

import asyncio
from http import HTTPStatus

import pytest
from yarl import URL

from gateway.http.openapi import document
from gateway.http.problems import title_of
from gateway.http.server import OPERATIONS
from tests.http.house import CAMPAIGN, House
from tests.http.signing_provider import PATIENCE_S


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz"])
async def test_head_of_health(house: House, path: str) -> None:
    for url in (house.worker.url, house.worker.internal_url):
        answer = await house.call("HEAD", path, key=None, url=url)
        assert (answer.status, answer.body) == (200, b"")


async def test_head_of_metrics(house: House) -> None:
    answer = await house.call("HEAD", "/metrics", key=None, url=house.worker.internal_url)
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize("path", ["/v1/campaigns", f"/v1/campaigns/{CAMPAIGN}/numbers"])
async def test_a_list_that_is_known_is_not_sent_again(house: House, path: str) -> None:
    first = await house.call("GET", path)
    tag = first.headers["ETag"]
    again = await house.call("GET", path, headers={"If-None-Match": f'"other", {tag}'})
    assert (again.status, again.body, again.headers["ETag"]) == (304, b"", tag)
    assert (await house.call("GET", path, headers={"If-None-Match": '"other"'})).status == 200
    assert (await house.call("GET", path, headers={"If-None-Match": tag}, key=None)).status == 401


async def test_a_list_that_changed_has_another_tag(house: House) -> None:
    before = await house.call("GET", "/v1/campaigns")
    await house.call("PATCH", f"/v1/campaigns/{CAMPAIGN}", {"paused": True})
    tag = before.headers["ETag"]
    after = await house.call("GET", "/v1/campaigns", headers={"If-None-Match": tag})
    assert (after.status, after.headers["ETag"] != tag) == (200, True)


@pytest.mark.parametrize("path", ["/livez", "/v1/campaigns", "/nowhere", "/openapi.json", "/docs"])
async def test_no_answer_tells_versions(house: House, path: str) -> None:
    assert (await house.call("GET", path)).headers["Server"] == "textbank"
    inside = await house.call("GET", path, key=None, url=house.worker.internal_url)
    assert inside.headers["Server"] == "textbank"


@pytest.mark.parametrize(
    "said", [b"nonsense\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /\x00 HTTP/1.1\r\n\r\n"]
)
async def test_what_is_no_http_learns_no_versions_either(house: House, said: bytes) -> None:
    url = URL(house.worker.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(said)
    writer.write_eof()
    async with asyncio.timeout(PATIENCE_S):
        answer = await reader.read()
    writer.close()
    assert b"aiohttp" not in answer
    assert b"Python/" not in answer


def test_the_description_names_its_server_and_every_operation_once() -> None:
    described = document("1.2.3", OPERATIONS)
    assert [server["url"] for server in described["servers"]] == ["/"]
    names = [each["operationId"] for path in described["paths"].values() for each in path.values()]
    assert len(names) == len(set(names)) > 10


@pytest.mark.parametrize(
    ("status", "title"), [(413, "Content Too Large"), (422, "Unprocessable Content"), (404, "Not Found")]
)
def test_a_status_has_the_same_words_on_every_python(status: int, title: str) -> None:
    """Those of RFC 9110: Python 3.13 renamed its own."""
    assert title_of(HTTPStatus(status)) == title
