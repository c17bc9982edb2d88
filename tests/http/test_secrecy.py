"""A real worker, malformed requests with a key and a person's words, and everything it wrote (story 30)."""

import asyncio
import json
import re
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from pathlib import Path

import pytest

from gateway import cli
from tests.http.signing_provider import PATIENCE_S

pytestmark = pytest.mark.usefixtures("bare")

WORDS = "Meet-me-at-Rosa's-at-nine"
TOKEN = "provider-token"
PHONE = "+12155550123"


def requests(key: str) -> dict[str, bytes]:
    """Each with the key, and a person's words wherever they fit."""
    head = f"Authorization: Bearer {key}\r\nX-Note: {WORDS}\r\n"
    body = json.dumps({"campaign_id": 1, "contact_id": 1, "to": PHONE, "body": WORDS})
    form = f"MessageSid=SM1&From=%2B{PHONE[1:]}&To=%2B12155550100&Body={WORDS}"

    def request(start: str, more: str = "", rest: str = "") -> bytes:
        return f"{start}\r\nHost: x\r\n{head}{more}\r\n{rest}".encode("latin-1")

    post = "POST /v1/messages HTTP/1.1"
    as_json = "Content-Type: application/json\r\n"
    return {
        "a header without a colon": request("GET / HTTP/1.1", f"{WORDS} {key}\r\n"),
        "a header with NUL": request("GET / HTTP/1.1", f"X-A: {WORDS}\x00{key}\r\n"),
        "a method of nobody's": request(f"{WORDS} / HTTP/1.1"),
        "a start without sense": f"{key} {WORDS} {PHONE}\r\n\r\n".encode(),
        "a version of nobody's": request(f"GET /{WORDS}/{key} HTTP/9.9"),
        "two lengths": request(post, f"{as_json}Content-Length: 3\r\nContent-Length: 4\r\n", body),
        "a length that is none": request(post, f"{as_json}Content-Length: {WORDS}\r\n", body),
        "a chunk that is none": request(
            post, f"{as_json}Transfer-Encoding: chunked\r\n", f"{WORDS} {key}\r\n"
        ),
        "a header without end": request("GET / HTTP/1.1", f"X-A: {WORDS * 800}{key}\r\n"),
        "a path with both": request(f"GET /v1/{WORDS}/{key}/{PHONE} HTTP/1.1"),
        "an absolute address": request(f"GET http://u:{key}@[{WORDS}/ HTTP/1.1"),
        "no JSON": request(post, f"{as_json}Content-Length: {len(body) - 1}\r\n", body[:-1]),
        "JSON of another shape": request(post, f"{as_json}Content-Length: {len(body) + 2}\r\n", f"[{body}]"),
        "a text": request(post, f"{as_json}Content-Length: {len(body)}\r\n", body),
        "half a body": request(post, f"{as_json}Content-Length: 99999\r\n", body),
        "a wrong encoding": request(
            post, f"{as_json}Content-Encoding: gzip\r\nContent-Length: 9\r\n", WORDS[:9]
        ),
        "a bad signature": request(
            "POST /webhooks/twilio/inbound HTTP/1.1",
            "Content-Type: application/x-www-form-urlencoded\r\n"
            f"X-Twilio-Signature: {WORDS}\r\nContent-Length: {len(form)}\r\n",
            form,
        ),
        "a wrong key": request("GET /v1/campaigns HTTP/1.1").replace(key[-8:].encode(), b"00000000"),
        "an unknown type": request(post, f"Content-Type: {WORDS}/{key}\r\nContent-Length: 2\r\n", "{}"),
    }


async def sent(port: int, data: bytes, *, hang_up: bool) -> None:
    """One request on a connection of its own, until the answer begins."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    await writer.drain()
    if not hang_up:
        with suppress(ConnectionError):
            async with asyncio.timeout(PATIENCE_S):
                await reader.read(1)
    writer.close()


async def served(config: Path) -> tuple[Process, bytes, int]:
    program = "from gateway import cli; cli.main()"
    words = ("-c", program, "serve", "--config", str(config))
    process = await asyncio.create_subprocess_exec(sys.executable, *words, stdout=PIPE, stderr=PIPE)
    assert process.stderr is not None
    said = b""
    async with asyncio.timeout(PATIENCE_S):
        while b'"serving"' not in said:
            line = await process.stderr.readline()
            assert line, said
            said += line
    port = re.search(rb'"url": "http://127.0.0.1:(\d+)"', said)
    assert port is not None
    return process, said, int(port[1])


@pytest.mark.parametrize("level", ["info", "debug"])
async def test_no_log_shows_a_secret_or_a_persons_words(
    tmp_path: Path, dsn: str, level: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "textbank.toml"
    config.write_text(
        f'[database]\ndsn = "{dsn}"\n'
        f'[provider]\nurl = "twilio://AC{"0" * 32}:{TOKEN}@127.0.0.1:9?scheme=http"\n'
        '[http]\nport = 0\npublic_url = "https://texts.example.org"\n'
        f'[log]\nformat = "json"\nlevel = "{level}"\n'
    )
    await asyncio.to_thread(cli.run, ["keys", "create", "a", "--role", "admin", "--config", str(config)])
    key = capsys.readouterr().out.strip()
    process, said, port = await served(config)
    for what, data in requests(key).items():
        await sent(port, data, hang_up=what == "half a body")
    process.terminate()
    async with asyncio.timeout(PATIENCE_S):
        out, error = await process.communicate()
    logged = (said + out + error).decode()
    assert process.returncode == 0
    for hidden in (key, key[-64:], WORDS, WORDS[:12], PHONE, PHONE[1:], TOKEN):
        assert hidden not in logged, logged
    assert "Traceback" not in logged
    lines = [json.loads(line) for line in logged.splitlines()]
    events = {line["event"] for line in lines}
    assert {"a malformed request", "request", "bad signature"} <= events
    by_key = [line for line in lines if line.get("key_id") == key[3:15]]
    assert {line["status"] for line in by_key} >= {400, 404, 415, 422}
    assert all(line["remote"] == "127.0.0.1" for line in by_key)
