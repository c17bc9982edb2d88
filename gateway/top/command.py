"""`textbank top`: asks workers for their metrics again and again, and shows them; or once, for a script."""

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

import click

from gateway.core.rules.errors import BadInput

if TYPE_CHECKING:
    from aiohttp import ClientSession
    from rich.text import Text

    from gateway.top.picture import Picture, Seen
    from gateway.top.scrape import Scrape

_ANSWERS_WITHIN_S: Final = 5.0
_MOST_BYTES: Final = 4 * 2**20
_OURS: Final = "http://127.0.0.1:18800"
_STYLES: Final = {"title": "bold", "plain": "", "look": "yellow", "bad": "bold red"}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--url",
    "urls",
    multiple=True,
    metavar="URL",
    help=f"A worker's own door; may be repeated, for all workers of a gateway.  [default: {_OURS}]",
)
@click.option(
    "--every",
    "every_s",
    type=click.FloatRange(0.2, 60),
    default=2.0,
    show_default=True,
    help="Seconds between two looks; rates are of that time.",
)
@click.option("--once", is_flag=True, help="Look twice, show it once, and leave.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a look, on one line.")
def top(urls: tuple[str, ...], every_s: float, once: bool, as_json: bool) -> int:
    """Watch running workers: what waits and until when, how full everything is, the provider, the workers.

    Ctrl-C ends it. Where standard output is no terminal it writes plain lines of 60 columns. The exit status is 2 when no
    worker answers at the start.
    """
    doors = [_door(url) for url in urls or (_OURS,)]
    with contextlib.suppress(KeyboardInterrupt):  # the way to leave
        asyncio.run(_watch(doors, every_s, once=once, as_json=as_json))
    return 0


def _door(url: str) -> str:
    """Raises BadInput for what is no address."""
    whole = url if "://" in url else f"http://{url}"
    parts = urlsplit(whole)
    try:
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_one = False
    if not is_one:
        raise BadInput(f"'{url}' is not an address", "--url", f"write it as {_OURS}")
    return whole.rstrip("/").removesuffix("/metrics")


async def _watch(urls: Sequence[str], every_s: float, *, once: bool, as_json: bool) -> None:
    from aiohttp import ClientSession, ClientTimeout

    from gateway.top.picture import picture

    async with ClientSession(timeout=ClientTimeout(total=_ANSWERS_WITHIN_S)) as session:
        before = await _scrapes(session, urls)
        if all(isinstance(each, str) for each in before.values()):
            raise BadInput(
                "; ".join(f"{url} {why}" for url, why in before.items()),
                "--url",
                "start the worker, or give its own door: port 18800 for a worker at 8800",
            )
        with _Shown(as_json=as_json, is_live=not once) as shown:
            while True:
                await asyncio.sleep(every_s)
                after = await _scrapes(session, urls)
                shown.show(picture([_seen(url, before[url], after[url]) for url in urls]))
                if once:
                    return
                before = after


async def _scrapes(session: "ClientSession", urls: Sequence[str]) -> "dict[str, Scrape | str]":
    """Each worker's, or why there is none."""
    found = await asyncio.gather(*(_scrape(session, url) for url in urls))
    return dict(zip(urls, found, strict=True))


async def _scrape(session: "ClientSession", url: str) -> "Scrape | str":
    from aiohttp import ClientError

    from gateway.top.scrape import Scrape

    try:
        async with session.get(f"{url}/metrics", allow_redirects=False) as answer:
            body = await answer.content.read(_MOST_BYTES)
            while len(body) < _MOST_BYTES and (more := await answer.content.read(_MOST_BYTES)):
                body += more
        if answer.status != 200:
            return f"answers {answer.status}"
        scrape = Scrape(body.decode(), asyncio.get_running_loop().time())
    except (ClientError, OSError, TimeoutError):
        return "does not answer"
    except ValueError:
        return "has no metrics of ours"
    return scrape or "has no metrics of ours"


def _seen(url: str, before: "Scrape | str", after: "Scrape | str") -> "Seen":
    from gateway.top.picture import Seen

    if isinstance(after, str):
        return Seen(url, why=after)
    return Seen(url, after if isinstance(before, str) else before, after)


class _Shown:
    """Where it is shown: a screen that is drawn anew, or lines one after the other."""

    def __init__(self, *, as_json: bool, is_live: bool) -> None:
        from rich.console import Console
        from rich.live import Live

        self._as_json = as_json
        self._live: Live | None = None
        if is_live and not as_json and sys.stdout.isatty():
            self._live = Live(console=Console(), auto_refresh=False, screen=True)

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, shown: "Picture") -> None:
        import msgspec

        from gateway.top.screen import lines

        if self._as_json:
            click.echo(msgspec.json.encode(shown).decode())
            return
        written = lines(shown, at=_time_of_day())
        if self._live is None:
            click.echo("\n".join(line.text for line in written) + "\n")
        else:
            self._live.update(_coloured([(line.text, _STYLES[line.tone]) for line in written]), refresh=True)


def _coloured(written: Sequence[tuple[str, str]]) -> "Text":
    from rich.text import Text

    return Text("\n").join(Text(text, style=style) for text, style in written)


def _time_of_day() -> str:
    from gateway.clock import Clock

    now = Clock.of_the_system(asyncio.get_running_loop()).now()
    return datetime.fromtimestamp(now, UTC).strftime("%H:%M:%S UTC")
