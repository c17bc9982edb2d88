"""`textbank load`: load tests over HTTP. What is heavy is imported when it is needed, gevent in Locust's processes only."""

import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from loadtests.reading.compare_command import compare
from loadtests.shapes import COMMANDS, Shape

if TYPE_CHECKING:
    from loadtests.run import Town

_KEY = "LOADTEST_KEY"
_TIMES_AS_LONG: Final = 10.0
"""As many --seconds a run may take that ends when everybody is texted."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def load() -> None:
    """Load a gateway as a text bank does, and judge its texts by the carrier's ledger.

    Each command is one load test. Volunteers join, text, answer and report; integrators send batches; an admin watches.
    Only this machine is loaded, and hosts that --allow names; a provider's never.
    """


_METRICS_PORT: Final = "LOADTEST_METRICS_PORT"  # loadtests.metrics.PORT


def where(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say what is loaded."""
    for option in reversed(_WHERE):
        command = option(command)
    return command


_WHERE: Final = (
    click.option(
        "--host",
        metavar="URL",
        help="The gateway's address; without it one is started here, with its carrier.",
    ),
    click.option(
        "--carrier",
        metavar="URL",
        help="The address of the `textbank carrier` behind it, whose ledger judges.",
    ),
    click.option(
        "--metrics", metavar="URL", help="Where it tells its metrics: says what is full, and what waits."
    ),
    click.option(
        "--allow", multiple=True, metavar="HOST", help="A host that may be loaded besides this machine."
    ),
    click.option(
        "--metrics-port",
        type=click.IntRange(1, 65_535),
        expose_value=False,
        callback=lambda context, _, port: _tell_metrics(context, port),
        help="Where Prometheus finds the generator's own metrics while it runs, on this machine; default: nowhere.",
    ),
)


_workers: Final = click.option(
    "--workers", type=click.IntRange(1, 64), default=2, show_default=True, help="Processes that ask."
)


def _report(what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Where a command's files go; `what` names them."""
    return click.option(
        "--report",
        "folder",
        type=click.Path(file_okay=False, path_type=Path),
        default=Path("reports/load"),
        show_default=True,
        help=f"Where {what}.",
    )


def _tell_metrics(context: click.Context, port: int | None) -> None:
    """Locust's processes read it from their environment, as long as the command runs."""
    if port is not None:
        os.environ[_METRICS_PORT] = str(port)
        context.call_on_close(lambda: os.environ.pop(_METRICS_PORT, None))


def _command(shape: Shape) -> click.Command:
    """The command of one shape: its options' defaults are the shape's."""

    def run_it(
        host: str | None,
        carrier: str | None,
        metrics: str | None,
        allow: tuple[str, ...],
        folder: Path,
        at_most_s: float | None,
        predict: bool,
        owner: str,
        **size: Any,
    ) -> int:
        needs_load()
        from loadtests.plan import Size
        from loadtests.reading.page import written
        from loadtests.run import run

        most_s = _TIMES_AS_LONG * size["seconds"] if at_most_s is None else at_most_s
        wanted = Size(shape=shape.name, at_most_s=most_s, **size)
        wanted.possible()
        with town(host, carrier, metrics, allow, wanted.seed) as place:
            command = shlex.join(("textbank", *sys.argv[1:]))
            report = run(place, size=wanted, command=command, say=say, predict=predict, owner=owner)
        written(report, folder)
        say(f"{report.decision}: {report.why} {folder / 'load.html'}")
        return report.exit_status

    return click.Command(
        shape.name,
        callback=run_it,
        params=_parameters(shape),
        help=f"{shape.title}. {shape.question}\n\n{_STATUSES}",
        short_help=shape.question,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


_STATUSES: Final = """\
The exit status is 0 when every text was right, 1 when one was lost, sent twice, after STOP or outside lawful hours, 2 on
bad input, and 3 when the run was invalid, so that its figures mean nothing. A gateway that runs elsewhere is asked with
the admin's key in LOADTEST_KEY."""


def _parameters(shape: Shape) -> list[click.Parameter]:
    @click.command
    @where
    @click.option(
        "--contacts",
        type=click.IntRange(20, 250_000),
        default=shape.contacts,
        show_default=True,
        help="People to text.",
    )
    @click.option(
        "--volunteers",
        type=click.IntRange(1, 5000),
        default=shape.volunteers,
        show_default=True,
        help="Who text those whom integrators don't.",
    )
    @click.option(
        "--integrated",
        "integrated_share",
        type=click.FloatRange(0, 1),
        default=shape.integrated_share,
        show_default=True,
        help="Share of the people whom integrators text, in batches.",
    )
    @click.option(
        "--seconds",
        type=click.FloatRange(5, 86_400),
        default=shape.seconds,
        show_default=True,
        help="Over how long batches and volunteers come.",
    )
    @click.option(
        "--think",
        "think_s",
        type=click.FloatRange(0.01, 600),
        default=shape.think_s,
        show_default=True,
        help="Seconds between a volunteer's clicks, on average.",
    )
    @click.option(
        "--at-most",
        "at_most_s",
        type=click.FloatRange(10, 864_000),
        help="Seconds after which the run is ended, and invalid.  [default: ten times --seconds]",
    )
    @_workers
    @click.option(
        "--seed",
        type=click.IntRange(0, 2**63 - 1),
        default=1,
        show_default=True,
        help="Of arrivals and people.",
    )
    @_report("load.html, load.json and load.junit.xml go")
    @click.option(
        "--predict/--no-predict",
        default=shape.name == "election-day",
        show_default=True,
        help="Let the twin rehearse the plan before, and print prediction beside measurement; election-day does by itself.",
    )
    @click.option("--owner", default="", metavar="NAME", help="Who decides by the report.")
    def options() -> None:
        """Only for its parameters."""

    return options.params


def needs_load() -> None:
    """Raises UsageError without the extra `load`."""
    if missing := [name for name in ("hdrh", "locust") if find_spec(name) is None]:
        raise click.UsageError(f"{' and '.join(missing)} is not installed: pip install 'textbank[load]'.")


@contextmanager
def town(
    host: str | None, carrier: str | None, metrics: str | None, allow: tuple[str, ...], seed: int
) -> Iterator["Town"]:
    """What the options of `where` name; without a host, one that is started here. Raises UsageError, Refused, Unanswered."""
    from loadtests.house import opened
    from loadtests.run import Town
    from loadtests.targets import target

    if (host is None) != (carrier is None):
        raise click.UsageError("--host and --carrier go together: the carrier's ledger is what judges.")
    if host is None or carrier is None:
        with opened(seed=seed) as house:
            yield Town(
                gateway=target(house.gateway),
                carrier=target(house.carrier),
                metrics=target(house.metrics),
                key=house.key,
                processes=house.processes,
            )
        return
    key = os.environ.get(_KEY, "")
    if not key:
        raise click.UsageError(f"give an admin's key of {host} as {_KEY}.")
    yield Town(
        gateway=target(host, allow),
        carrier=target(carrier, allow),
        metrics=None if metrics is None else target(metrics, allow),
        key=key,
    )


def say(text: str) -> None:
    """To the person at the keyboard."""
    click.echo(text, err=True)


for _each in COMMANDS:
    load.add_command(_command(_each))
load.add_command(compare)


@load.command
@where
@click.option(
    "--from",
    "first",
    type=click.FloatRange(1, 10_000),
    default=100.0,
    show_default=True,
    help="Texts a second to begin with.",
)
@click.option(
    "--step-seconds",
    "step_s",
    type=click.FloatRange(5, 3600),
    default=20.0,
    show_default=True,
    help="How long each rate is offered.",
)
@click.option(
    "--repeats",
    type=click.IntRange(1, 9),
    default=3,
    show_default=True,
    help="Tries of a rate; most of them decide.",
)
@click.option(
    "--precision",
    type=click.FloatRange(1.01, 2),
    default=1.1,
    show_default=True,
    help="The lowest rate that fails over the highest that holds, at the end.",
)
@_workers
@click.option(
    "--seed", type=click.IntRange(0, 2**31), default=1, show_default=True, help="Of arrivals and people."
)
@_report("capacity.json goes")
def capacity(
    host: str | None,
    carrier: str | None,
    metrics: str | None,
    allow: tuple[str, ...],
    folder: Path,
    **terms: Any,
) -> int:
    """The highest rate of texts that holds, with its interval, and what is full first.

    Integrators offer one rate after the other: doubled until one fails, then between. A rate holds when most of its tries
    do: 99 in 100 batches accepted within 250 ms, at most one in 1,000 failed, and no queue that grows. The exit status is 0
    when it was found, 1 when a text was lost, sent twice, after STOP or outside lawful hours, 2 on bad input, and 3 when
    no rate holds or the runs were invalid.
    """
    needs_load()
    from loadtests.capacity import Terms, measured, written

    wanted = Terms(**terms)
    with town(host, carrier, metrics, allow, wanted.seed) as place:
        found = measured(place, wanted, shlex.join(("textbank", *sys.argv[1:])), say)
    file = written(found, folder)
    say(f"{found.verdict}: {found.why} {file}")
    return found.exit_status
