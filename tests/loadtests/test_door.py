"""The leader's own requests, between which a rehearsal may take a quarter of an hour."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from loadtests import door
from loadtests.door import Door, Unanswered
from loadtests.targets import Target


class _TiredOfWaiting(BaseHTTPRequestHandler):
    """Answers, and closes the connection without having said so, as servers do with one that nobody uses."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")
        self.close_connection = True

    def log_message(self, *_words: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _TiredOfWaiting) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_connection_that_lay_idle_is_not_used_again(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Door(Target(url=url, named=url, is_here=True)) as opened:
        assert opened.call("GET", "/") == {}
        with pytest.raises(Unanswered, match="does not answer"):
            opened.call("GET", "/")
        assert opened.call("GET", "/") == {}
        monkeypatch.setattr(door, "_KEPT_S", -1.0)
        assert opened.call("GET", "/") == {}
