"""What a person and a machine read of a load test: one HTML file without anything outside it, and the same as JSON."""

from pathlib import Path
from typing import Any, Final, Literal

import jinja2
import msgspec

from loadtests.ledger import Verdict
from loadtests.outcome import Outcome, Route
from loadtests.plan import Size
from loadtests.recording import INVALID, Recording

HELD, VIOLATED = 0, 1
_WORDS: Final = {
    "since_intended": "since it was meant",
    "since_actual": "since it was asked",
    "blocked": "waiting for a connection",
}


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """`verdict`: a broken rule weighs more than an invalid run; `open` holds the pacer's counts and seconds."""

    verdict: Literal["held", "violated", "invalid"]
    why: str
    command: str
    size: Size
    lasted_s: float
    invalid: list[str]
    ledger: Verdict
    open: dict[str, Any]
    routes: list[Route]
    errors: dict[str, int]

    @property
    def exit_status(self) -> int:
        """0 held, 1 a rule was broken, 3 invalid."""
        return {"held": HELD, "violated": VIOLATED, "invalid": INVALID}[self.verdict]


def reported(outcome: Outcome, verdict: Verdict, size: Size, command: str) -> Report:
    """What came of a run, judged."""
    invalid = outcome.invalid(size.workers)
    if verdict.waiting:
        invalid.append(f"{verdict.waiting:,} texts still wait to be sent")
    word: Literal["held", "violated", "invalid"] = (
        "violated" if not verdict.held else "invalid" if invalid else "held"
    )
    return Report(
        verdict=word,
        why=_why(word, verdict, invalid),
        command=command,
        size=size,
        lasted_s=outcome.lasted_s,
        invalid=invalid,
        ledger=verdict,
        open=Recording.merged(outcome.parts).figures(),
        routes=outcome.routes,
        errors=outcome.errors,
    )


def _why(word: str, verdict: Verdict, invalid: list[str]) -> str:
    if word == "violated":
        return (
            f"{verdict.lost} texts lost, {verdict.twice} twice, {verdict.after_stop} after STOP,"
            f" {verdict.outside_hours} outside lawful hours."
        )
    if word == "invalid":
        return f"The figures mean nothing: {'; '.join(invalid)}."
    return f"All {verdict.acknowledged:,} acknowledged texts are accounted for, none twice, after STOP or outside lawful hours."


def written(report: Report, folder: Path) -> None:
    """`load.json` and `load.html` in the folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "load.json").write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2))
    (folder / "load.html").write_text(page(report), encoding="utf-8")


def page(report: Report) -> str:
    """The report as a page."""
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(
        Path(__file__).with_name("report.html.jinja").read_text(encoding="utf-8")
    )
    counts = report.open
    return template.render(
        report=report,
        ledger=_ledger(report.ledger),
        workload=[
            ("lasted", f"{report.lasted_s:,.1f} s, of which 12 s of waiting for late answers"),
            ("texts handed over a second", f"{report.ledger.handed_over / report.lasted_s:,.1f}"),
            ("contacts", f"{report.size.contacts:,}"),
            ("volunteers", f"{report.size.volunteers:,}, a click each {report.size.think_s:g} s"),
            ("batches meant, asked, late, dropped, failed", _counts(counts)),
            ("generators", f"{report.size.workers}"),
        ],
        percentiles=list(counts["seconds"]["blocked"]),
        durations=[(_WORDS[name], figures) for name, figures in counts["seconds"].items()],
    )


def _counts(counts: dict[str, Any]) -> str:
    return ", ".join(f"{counts[name]:,}" for name in ("intended", "started", "late", "dropped", "failed"))


def _ledger(verdict: Verdict) -> list[tuple[str, float, bool]]:
    wrong = {"lost", "twice", "after_stop", "outside_hours"}
    return [
        (name.replace("_", " "), value, name in wrong and value > 0)
        for name, value in msgspec.structs.asdict(verdict).items()
    ]
