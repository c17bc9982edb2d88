"""The webhook client against receivers of every kind, on raw sockets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import pytest
from yarl import URL

from simulator.twin.posts import Answer, CannotConnect, NoAnswer, Posts

REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]


@pytest.fixture
async def listen() -> AsyncIterator[Callable[[Talk], Any]]:
    servers, writers = [], []

    async def start(talk: Talk) -> URL:
        async def whole(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writers.append(writer)
            await talk(reader, writer)

        server = await asyncio.start_server(whole, "127.0.0.1", 0)
        servers.append(server)
        return URL(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")

    yield start
    for server in servers:
        server.close()
    for writer in writers:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@pytest.fixture
async def posts() -> AsyncIterator[Posts]:
    posts = Posts(asyncio.get_running_loop(), largest=100)
    yield posts
    posts.close()


async def send(posts: Posts, url: URL, read_s: float = 10.0) -> Answer:
    return await posts.send(url, REQUEST, connect_s=5.0, read_s=read_s)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([b"HTTP/1.1 204 No Content\r\n\r\n"], Answer(204, "", b"")),
        (
            [
                b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/xml; charset=utf-8\r\n\r\nhe",
                b"llo",
            ],
            Answer(200, "text/xml", b"hello"),
        ),
        ([b"HTTP/1.1 200 OK\r\n", b"content-length:0\r\n\r", b"\n"], Answer(200, "", b"")),
        (
            [
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
                b"2;x=y\r\nde\r\n0\r\n\r\n",
            ],
            Answer(200, "", b"abcde"),
        ),
        (
            [b"HTTP/1.0 200 OK\r\nContent-Type: TEXT/XML\r\n\r\nto the end", None],
            Answer(200, "text/xml", b"to the end"),
        ),
        (
            [b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"],
            Answer(503, "", b""),
        ),
    ],
)
async def test_answers(listen: Any, posts: Posts, parts: list[bytes | None], expected: Answer) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            if part is None:
                break
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)
        if None in parts:
            writer.close()

    assert await send(posts, await listen(talk)) == expected


async def test_a_body_that_never_ends_is_cut(listen: Any, posts: Posts) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 5000)

    assert len((await send(posts, await listen(talk))).content) > 100


@pytest.mark.parametrize(
    "said", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"]
)
async def test_no_answer(listen: Any, posts: Posts, said: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        writer.close()

    with pytest.raises(NoAnswer):
        await send(posts, await listen(talk))


async def test_an_answer_that_takes_too_long(listen: Any, posts: Posts) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    with pytest.raises(NoAnswer, match="no answer in time"):
        await send(posts, await listen(talk), read_s=0.01)


async def test_nobody_there(posts: Posts) -> None:
    with pytest.raises(CannotConnect):
        await send(posts, URL("http://127.0.0.1:1/"))


async def test_connections_are_kept_and_replaced_when_they_were_closed(listen: Any, posts: Posts) -> None:
    connections = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        for _ in range(2):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    url = await listen(talk)
    for _ in range(5):
        assert (await send(posts, url)).status == 200
    assert connections == 3


async def test_many_at_once_share_a_bounded_number_of_connections(listen: Any, posts: Posts) -> None:
    open_now = most = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        except asyncio.IncompleteReadError:
            open_now -= 1
            writer.close()

    url = await listen(talk)
    answers = await asyncio.gather(*(send(posts, url) for _ in range(500)))
    assert {answer.status for answer in answers} == {204}
    assert most <= 200
