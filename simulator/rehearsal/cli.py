"""`textbank rehearse`: flags in, a summary and a report out. What is heavy is imported when it is needed."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from simulator.model.scenario import Scenario
    from simulator.rehearsal.progress import Progress
    from simulator.report.result import Plan, Rehearsed, Result

BROKEN_RULE = 1
NO_GO = 3
NOT_TESTED = 4
_MOST_CONTACTS = 5_000_000


class Unwritable(click.ClickException):
    """A folder or file that cannot be written."""

    exit_code = 2


def _answers(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    if not given:
        return {}
    from gateway.core.rules.errors import BadInput
    from gateway.p2p.list_answers import read_answers

    try:
        return read_answers(given)
    except BadInput as error:
        raise click.BadParameter(f"{error.where} is no answer; {error.do}.") from error


def _list_scenarios(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted or context.resilient_parsing:
        return
    from simulator.model.scenario import load, shipped

    names = shipped()
    for name in names:
        click.echo(f"{name:<{max(map(len, names))}}  {load(name).title}")
    context.exit()


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("scenario", default="election-day")
@click.option(
    "--contacts", type=click.IntRange(1, _MOST_CONTACTS), metavar="N", help="How many people to invent."
)
@click.option(
    "--list",
    "list_path",
    type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path),
    metavar="CSV",
    help="A real contact list instead; nobody on it is texted.",
)
@click.option(
    "--consent",
    "consents",
    multiple=True,
    callback=_answers,
    metavar="COLUMN=SAYS",
    help="What a column of the list says of consent: opt-out, opt-in or nothing; may be repeated.",
)
@click.option("--script", metavar="TEXT", help='The first text, such as "Hi {{first_name}}, …".')
@click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    default=1,
    show_default=True,
    help="Chance; same seed, same run.",
)
@click.option(
    "--report",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where the reports go; not where others are.  [default: the first free of reports/SCENARIO-SEED, .2, …]",
)
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Your textbank.toml: rehearse its settings, but those of capacity, which no rehearsal can show.",
)
@click.option(
    "--dsn", metavar="URL", help="An empty PostgreSQL database to rehearse in, instead of one of our own."
)
@click.option(
    "--metrics",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the gateway's metrics over the day as OpenMetrics with virtual time stamps.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the summary.")
@click.option("--strict", is_flag=True, help="End with 3 on NO-GO, with 4 if a rule was not tested.")
@click.option(
    "--rejects",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where rows of the list that can't be used go.  [default: DIR/rejects.csv]",
)
@click.option(
    "--list-scenarios",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_scenarios,
    help="Name the scenarios that come with Textbank, and leave.",
)
def rehearse(
    *,
    scenario: str,
    contacts: int | None,
    list_path: Path | None,
    consents: dict[str, str],
    script: str | None,
    seed: int,
    report: Path | None,
    config: Path | None,
    dsn: str | None,
    metrics: Path | None,
    as_json: bool,
    strict: bool,
    rejects: Path | None,
) -> int:
    """Run a whole text bank in virtual time, and say whether it may go ahead.

    SCENARIO is a name or the path of a TOML file; the default is election-day. The status is 0 when every rule
    held, whatever the verdict, 1 when one was broken, 2 on bad input; with --strict 3 on NO-GO, and 4 on any
    other verdict when a rule was not tested.
    """
    from msgspec.structs import replace

    from simulator.model.scenario import load
    from simulator.rehearsal import campaign_setup

    _check(contacts, list_path, script, rejects, consents)
    world = load(scenario)
    plan = _plan(world, contacts, list_path, script, seed, config, consents)
    campaign_setup.check(plan)
    with _folders(report, rejects, plan) as folder:
        if list_path is not None:
            plan = replace(plan, rejects=rejects or folder / "rejects.csv")
        if metrics is not None:
            _check_writable_file(metrics)
            plan = replace(plan, metrics=metrics)
        rehearsed, progress = _run(plan, dsn)
        _write(rehearsed, progress, folder, _command(scenario, plan, config))
    _print(rehearsed, as_json=as_json)
    if not rehearsed.result.held:
        return BROKEN_RULE
    return _strict_status(rehearsed.result) if strict else 0


def _strict_status(result: "Result") -> int:
    """Of a run in which no rule was broken; a rule that nothing could have broken is named."""
    if result.verdict == "NO-GO":
        return NO_GO
    if not result.not_tested:
        return 0
    click.echo(f"not tested: {', '.join(result.not_tested)}", err=True)
    return NOT_TESTED


@contextmanager
def _folders(report: Path | None, rejects: Path | None, plan: "Plan") -> Iterator[Path]:
    """The report's folder, it and the rejects' found writable before the run, not after it."""
    from simulator.report.folder import made_folder, own_folder

    with ExitStack() as stack:
        place = rejects.parent if rejects is not None else Path()
        try:
            if rejects is not None:
                _check_writable(stack.enter_context(made_folder(rejects.parent)))
            place = report or Path("reports")
            folder = stack.enter_context(own_folder(report, plan.scenario.name, plan.seed))
            _check_writable(folder)
        except OSError as error:
            raise _unwritable(error, place) from error
        yield folder


def _check(
    contacts: int | None,
    list_path: Path | None,
    script: str | None,
    rejects: Path | None,
    consents: dict[str, str],
) -> None:
    """What no single flag can know about the others."""
    if contacts is not None and list_path is not None:
        raise click.UsageError("--contacts and --list exclude each other: give one of them.")
    if rejects is not None and list_path is None:
        raise click.UsageError("--rejects needs --list.")
    if consents and list_path is None:
        raise click.UsageError("--consent needs --list.")
    if script is not None and not script.strip():
        raise click.UsageError("--script is empty: give the text to send.")


def _plan(
    scenario: "Scenario",
    contacts: int | None,
    list_path: Path | None,
    script: str | None,
    seed: int,
    config: Path | None,
    consents: dict[str, str],
) -> "Plan":
    from gateway.config import load
    from simulator.report.result import Plan

    return Plan(
        scenario=scenario,
        contacts=contacts,
        list_path=list_path,
        consents=consents,
        script=script,
        seed=seed,
        settings=load(config) if config is not None else None,
    )


def _check_writable(folder: Path) -> None:
    """Raises OSError."""
    probe = folder / ".writable"
    probe.touch()
    probe.unlink()


def _check_writable_file(path: Path) -> None:
    """Found out before the run, not after it."""
    try:
        path.touch()
    except OSError as error:
        raise _unwritable(error, path) from error


def _unwritable(error: OSError, place: Path) -> Unwritable:
    reason = (error.strerror or str(error)).lower()
    return Unwritable(f"can't be written: {place}: {reason}; choose another place")


def _run(plan: "Plan", dsn: str | None) -> tuple["Rehearsed", "Progress"]:
    from gateway.config import Log
    from gateway.logs import configure
    from simulator.rehearsal import run
    from simulator.rehearsal.ending import ended_by_signals
    from simulator.rehearsal.progress import Progress

    configure(Log())
    with (
        ended_by_signals(),
        Progress(plan.scenario.title, plan.scenario.campaign.zone, sys.stderr) as progress,
    ):
        return run.rehearse(plan, progress, dsn), progress


def _write(rehearsed: "Rehearsed", progress: "Progress", folder: Path, command: str) -> None:
    from simulator.report.page import write

    try:
        written = write(rehearsed, folder, history=progress.history, command=command)
    except OSError as error:
        raise _unwritable(error, folder) from error
    for path in written:
        click.echo(f"wrote {path}", err=True)


def _print(rehearsed: "Rehearsed", *, as_json: bool) -> None:
    if as_json:
        click.echo(rehearsed.result.to_json())
        return
    from simulator.report.summary import write_summary

    write_summary(rehearsed, sys.stdout)


def _command(scenario: str, plan: "Plan", config: Path | None) -> str:
    """The command that gives the same run again."""
    words = ["textbank", "rehearse", scenario]
    if plan.contacts is not None:
        words += ["--contacts", str(plan.contacts)]
    if plan.list_path is not None:
        words += ["--list", str(plan.list_path)]
    for header, says in plan.consents.items():
        words += ["--consent", f"{header}={says}"]
    if plan.script is not None:
        words += ["--script", plan.script]
    if config is not None:
        words += ["--config", str(config)]
    return shlex.join([*words, "--seed", str(plan.seed)])
