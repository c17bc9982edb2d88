"""`textbank load`: a load test over HTTP. What is heavy is imported when it is needed, gevent in Locust's processes only."""

import os
import shlex
import sys
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

_KEY = "LOADTEST_KEY"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--host", metavar="URL", help="The gateway's address; without it one is started here, with its carrier."
)
@click.option(
    "--carrier", metavar="URL", help="The address of the `textbank carrier` behind it, whose ledger judges."
)
@click.option(
    "--allow", multiple=True, metavar="HOST", help="A host that may be loaded besides this machine."
)
@click.option(
    "--contacts", type=click.IntRange(20, 250_000), default=2000, show_default=True, help="People to text."
)
@click.option(
    "--volunteers", type=click.IntRange(1, 5000), default=20, show_default=True, help="Who text them."
)
@click.option(
    "--workers", type=click.IntRange(1, 64), default=2, show_default=True, help="Processes that ask."
)
@click.option(
    "--think",
    "think_s",
    type=click.FloatRange(0.01, 600),
    default=0.5,
    show_default=True,
    help="Seconds between a volunteer's clicks, on average.",
)
@click.option(
    "--batches",
    "batches_per_s",
    type=click.FloatRange(0.1, 1000),
    default=5.0,
    show_default=True,
    help="Integrators' batches of ten texts a second.",
)
@click.option(
    "--at-most",
    "at_most_s",
    type=click.FloatRange(10, 86_400),
    default=300.0,
    show_default=True,
    help="Seconds after which the run is ended, and invalid.",
)
@click.option(
    "--seed", type=click.IntRange(0, 2**63 - 1), default=1, show_default=True, help="Of arrivals and people."
)
@click.option(
    "--report",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("reports/load"),
    show_default=True,
    help="Where load.html and load.json go.",
)
def load(host: str | None, carrier: str | None, allow: tuple[str, ...], folder: Path, **size: Any) -> int:
    """Load a gateway as a text bank does, and judge its texts by the carrier's ledger.

    Volunteers join, text, answer and report; integrators send batches; an admin watches. Only this machine is loaded,
    and hosts that --allow names; a provider's never. A gateway that runs elsewhere is asked with the admin's key in
    LOADTEST_KEY. The exit status is 0 when every text was right, 1 when one was lost, sent twice, after STOP or
    outside lawful hours, 2 on bad input, and 3 when the run was invalid, so that its figures mean nothing.
    """
    if missing := [name for name in ("hdrh", "locust") if find_spec(name) is None]:
        raise click.UsageError(f"{' and '.join(missing)} is not installed: pip install 'textbank[load]'.")
    from loadtests.house import opened
    from loadtests.plan import Size
    from loadtests.report import written
    from loadtests.run import run
    from loadtests.targets import target

    if (host is None) != (carrier is None):
        raise click.UsageError("--host and --carrier go together: the carrier's ledger is what judges.")
    key = os.environ.get(_KEY, "")
    if host is not None and not key:
        raise click.UsageError(f"give an admin's key of {host} as {_KEY}.")
    wanted = Size(**size)
    with ExitStack() as stack:
        if host is None or carrier is None:
            house = stack.enter_context(opened(seed=wanted.seed))
            host, carrier, key = house.gateway, house.carrier, house.key
        report = run(
            target(host, allow),
            target(carrier, allow),
            key=key,
            size=wanted,
            command=shlex.join(("textbank", *sys.argv[1:])),
            say=lambda text: click.echo(text, err=True),
        )
    written(report, folder)
    click.echo(f"{report.verdict}: {report.why} {folder / 'load.html'}", err=True)
    return report.exit_status
