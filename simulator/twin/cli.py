"""`textbank carrier`: the carriers' market behind Twilio's API. What is heavy is imported when it is needed."""

import asyncio
import gc
import re
import signal
from math import isnan
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from simulator.model.scenario import Scenario
    from simulator.twin.accounts import Account
    from simulator.twin.server import ServerOptions

_CREDENTIALS = re.compile(r"(AC[0-9a-fA-F]{32}):(\S+)")
_MOST_CONTACTS = 5_000_000
_GC_THRESHOLDS = (20_000, 20, 20)  # a webhook makes dozens of short-lived objects, in no circles


def _a_number(_context: click.Context, _parameter: click.Parameter, value: float) -> float:
    """No range keeps out what is neither too small nor too large."""
    if isnan(value):
        raise click.BadParameter("nan is no number.")
    return value


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("scenario", default="election-day")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65_535), default=8900, show_default=True, help="0 takes any.")
@click.option(
    "--speed",
    type=click.FloatRange(0.01, 1000.0),
    default=1.0,
    show_default=True,
    callback=_a_number,
    help="Seconds of the market per real second.",
)
@click.option(
    "--account",
    "accounts",
    multiple=True,
    metavar="SID:TOKEN",
    help='An account; may be given again.  [default: "AC" and 32 zeros, token "twin"]',
)
@click.option(
    "--contacts", type=click.IntRange(0, _MOST_CONTACTS), metavar="N", help="People on the scenario's list."
)
@click.option(
    "--number",
    "numbers",
    multiple=True,
    metavar="E164",
    help="A number the first account has from the start; may be given again.",
)
@click.option(
    "--seed", type=click.IntRange(0, 2**63 - 1), default=1, show_default=True, help="The people's luck."
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 100_000),
    default=100,
    show_default=True,
    help="Open requests per account; beyond it 429 and error 20429.",
)
@click.option(
    "--answer-latency/--instant-answers",
    default=True,
    show_default=True,
    help="Answer create calls as slowly as the scenario's provider, or as fast as can be.",
)
def carrier(scenario: str, host: str, port: int, accounts: tuple[str, ...], **options: Any) -> None:
    """Serve a US carrier market behind Twilio's REST API, for any Twilio application.

    SCENARIO is the name of a shipped one or the path of a TOML file. Nothing is ever sent to anybody. The page
    at / shows the market live; addresses under /twin/ start faults and give the ledger.
    """
    from simulator.model.scenario import load
    from simulator.twin.server import ServerOptions

    customers = [_account(text) for text in accounts]
    world = load(scenario)
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(world, customers, ServerOptions(**options), host, port))


def _account(text: str) -> "Account":
    from simulator.model.scenario import BadScenario
    from simulator.twin.accounts import Account

    found = _CREDENTIALS.fullmatch(text)
    if found is None:
        sid = text.partition(":")[0]  # never the token
        raise BadScenario(
            "not an account", f"--account {sid}:…", "give AC, 32 hexadecimal digits, a colon and a token"
        )
    return Account(found[1], found[2])


async def _serve(
    scenario: "Scenario", accounts: "list[Account]", options: "ServerOptions", host: str, port: int
) -> None:
    from simulator.twin.pump import time_of_day
    from simulator.twin.server import TwilioServer

    server = TwilioServer(scenario, start_at=time_of_day(), accounts=accounts, options=options)
    asked_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for asked in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(asked) is not signal.SIG_IGN:  # nohup; a background job's Ctrl-C
            loop.add_signal_handler(asked, asked_to_stop.set)
    await server.start(host, port)
    first = server.accounts[0]
    click.echo(f"{scenario.title}: {server.url} at {options.speed:g} x, account {first.sid}", err=True)
    gc.collect()
    gc.freeze()  # the market's tables live as long as it does
    gc.set_threshold(*_GC_THRESHOLDS)
    try:
        await asked_to_stop.wait()
    finally:
        await server.stop()
