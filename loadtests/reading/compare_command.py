"""`textbank load compare A B`. What is heavy is imported when it is needed."""

from typing import Final

import click

NOTHING_WORSE: Final = 0
WORSE: Final = 1
CANT_TELL: Final = 3


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("a")
@click.argument("b")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table.")
def compare(a: str, b: str, as_json: bool) -> int:
    """Compare runs B with runs A: each figure's change, its interval, and whether it is better, worse or noise.

    A and B are folders with load.json in them or in the folders below, or several joined by commas. At least three runs of
    the same plan are wanted on each side. The exit status is 0 when nothing got worse, 1 when something did, 2 on bad
    input, and 3 when there are too few runs to tell.
    """
    import msgspec

    from loadtests.cli import needs_load

    needs_load()
    from loadtests.reading.compare import reports, same_plan, told
    from loadtests.reading.differences import LEAST_RUNS, compared

    runs_a, runs_b = reports(a), reports(b)
    same_plan([*runs_a, *runs_b])
    if min(len(runs_a), len(runs_b)) < LEAST_RUNS:
        counts = f"A has {len(runs_a)} and B has {len(runs_b)}"
        click.echo(f"can't tell: {counts}, and less than {LEAST_RUNS} runs don't show their noise", err=True)
        return CANT_TELL
    found = compared([run for _, run in runs_a], [run for _, run in runs_b])
    click.echo(msgspec.json.encode(found).decode() if as_json else told(found))
    return WORSE if found.is_worse else NOTHING_WORSE
