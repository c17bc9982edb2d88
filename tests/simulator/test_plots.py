"""The plots: they count what the ledger counts, say their units, and can be read by everybody on any page."""

import numpy as np
import plotly.graph_objects as go
import pytest

from simulator.audit.ends import ends
from simulator.audit.filter_record import RECORD
from simulator.audit.ground_truth import never_shown
from simulator.audit.places import place_of
from simulator.audit.records import ANSWER, MESSAGE, OPT_OUT, Books
from simulator.model.carriers import CARRIERS
from simulator.model.messages import Submission
from simulator.report.plots import CARRIER_COLOURS, figures, frame
from simulator.report.plots.frame import BLUE, DIRECT, MARK, line, plot
from simulator.report.plots.outcome import OUTCOMES, outcome_index
from simulator.report.words import CARRIER_NAMES
from tests.simulator.sample_rehearsal import OURS, rehearsed, snapshot


@pytest.fixture(scope="module")
def sample():
    return rehearsed()


@pytest.fixture(scope="module")
def history():
    return [snapshot(virtual_s=at, waiting=int(at) % 50) for at in np.linspace(0, 45_000, 40).tolist()]


def by_key(sample, history=()):
    return {
        figure.key: {trace["name"]: trace for trace in figure.spec["data"]}
        for figure in figures(sample, history)
    }


def layouts(sample, history=()):
    return {figure.key: figure.spec["layout"] for figure in figures(sample, history)}


def test_every_plot_is_valid_plotly_and_small(sample, history) -> None:
    for figure in figures(sample, history):
        assert figure.question.endswith("?")
        assert figure.answer.endswith(".")
        assert len(go.Figure(figure.spec).data) == len(figure.spec["data"]) > 0
        assert all(len(trace["x"]) <= 450 for trace in figure.spec["data"])


@pytest.mark.parametrize("virtual_s", [30.0, 3600.0, 45_000.0, 61_200.0, 400_000.0, 40_000_000.0])
def test_time_is_cut_into_few_bins(virtual_s: float) -> None:
    assert 1 <= np.ceil(virtual_s / frame.bin_s(virtual_s)) <= 160


def test_the_plots_count_what_the_ledger_counts(sample, history) -> None:
    traces, totals = by_key(sample, history), sample.ledger.counts()
    per_bin = 300 / 60  # minutes
    assert sum(traces["flow"]["handed over"]["y"]) * per_bin == totals.submitted == 400
    assert round(sum(traces["flow"]["delivered"]["y"]) * per_bin) == totals.delivered
    assert traces["texted"]["texted"]["y"][-1] == 400
    assert sum(traces["answers"]["other texts"]["y"]) == 5
    assert sum(traces["answers"]["ask to be left alone"]["y"]) == 5
    assert sum(traces["numbers"]["people"]["y"]) == 400
    assert sorted(traces["numbers"]["texts"]["y"]) == [200, 200]
    assert traces["waiting"]["at the provider"]["y"][-1] == 0
    assert sum(trace["y"][-1] for trace in traces["cost"].values()) == pytest.approx(
        sample.ledger.cost_usd, abs=1e-3
    )
    for key in ("outcomes", "places"):
        assert np.sum([trace["x"] for trace in traces[key].values()], axis=0) == pytest.approx(100, abs=0.01)
    assert sum(sum(trace["customdata"]) for trace in traces["places"].values()) == 400


def test_what_waits_is_shown_while_the_bank_is_at_work(sample, history) -> None:
    shown = by_key(sample, history)["waiting"]["in all"]["y"]
    assert shown == [each.waiting for each in history if each.virtual_s <= 12 * 3600 + 300]
    assert len(shown) < len(history)


def test_every_message_has_one_outcome(sample) -> None:
    hidden = never_shown(sample.ledger)
    found = np.bincount(outcome_index(ends(sample.ledger), hidden), minlength=len(OUTCOMES))
    totals = sample.ledger.counts()
    assert found.sum() == totals.submitted
    assert found[0] + found[-1] == totals.delivered
    assert found[1] == totals.sent
    assert found[3] == totals.filtered
    assert found[-1] == len(hidden)


# ------------------------------------------------------------ units, names and colours


def test_every_axis_has_its_unit(sample, history) -> None:
    for key, layout in layouts(sample, history).items():
        across, up = (layout[axis].get("title", {}).get("text", "") for axis in ("xaxis", "yaxis"))
        assert across, key
        assert up or key in {"outcomes", "places"}, key  # there the other axis names carriers and states


def test_lines_have_their_names_at_their_ends_and_bars_have_a_legend(sample, history) -> None:
    for figure in figures(sample, history):
        layout, data = figure.spec["layout"], figure.spec["data"]
        named = [each["text"] for each in layout["annotations"] if each["name"] == DIRECT]
        is_lines = all(trace["type"] == "scatter" for trace in data)
        assert named == ([trace["name"] for trace in data] if is_lines else []), figure.key
        assert layout["showlegend"] is not is_lines
        assert layout["legend"]["traceorder"] == "normal"


def test_names_at_the_ends_of_lines_do_not_lie_on_each_other() -> None:
    same = [line([0, 1], [0, height], str(height), BLUE) for height in (5.0, 5.1, 5.05, 0.0, 10.0)]
    layout = plot(same, x={}, y={"range": [0, 10]})["layout"]
    heights = sorted(each["y"] / 10 * 260 + each["yshift"] for each in layout["annotations"])
    assert min(np.diff(heights)) >= 14
    assert all(-1 <= height <= 261 for height in heights)


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.1."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


COLOURS = {name: value for name, value in vars(frame).items() if str(value).startswith("#")}


@pytest.mark.parametrize("name", COLOURS)
@pytest.mark.parametrize("paper", ["#ffffff", "#1a2029"])
def test_every_colour_stands_out_on_the_light_and_the_dark_page(name: str, paper: str) -> None:
    light, dark = sorted((luminance(COLOURS[name]), luminance(paper)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 3


def test_few_waiting_texts_are_counted_in_whole_ones(sample, history) -> None:
    assert "dtick" not in layouts(sample, history)["waiting"]["yaxis"]
    assert layouts(sample, [snapshot(virtual_s=1.0, waiting=3)])["waiting"]["yaxis"]["dtick"] == 1


# ------------------------------------------------------------ the axis of time


def test_times_are_the_campaigns_local_times(sample) -> None:
    starts = by_key(sample)["flow"]["delivered"]["x"]
    assert (starts[0], starts[1]) == ("2026-11-03 09:00:00", "2026-11-03 09:05:00")


def test_the_end_of_the_hours_stands_in_every_plot_over_time(sample, history) -> None:
    over_time = {
        key: layout
        for key, layout in layouts(sample, history).items()
        if layout["xaxis"].get("type") == "date"
    }
    assert len(over_time) >= 5
    for key, layout in over_time.items():
        assert layout["shapes"][0]["x0"] == "2026-11-03 21:00:00", key
        assert layout["xaxis"]["range"] == ["2026-11-03 09:00:00", "2026-11-03 21:05:00"], key


def late_text(done, at: float) -> None:
    text = Submission(
        to=OURS[0],
        sender=OURS[1],
        campaign=1,
        segments=1,
        body="Hi",
        body_key=1,
        validity_s=60.0,
        reference=(1, 1, 1),
        handed_at=at,
    )
    done.ledger.submit(text, at, 0)


def test_only_the_active_time_is_on_the_axis() -> None:
    """A bank of one evening in a world of 17 hours, and one that goes on the next morning."""
    done = rehearsed(60, scenario="small-town")
    evening = layouts(done)["texted"]["xaxis"]
    assert evening["range"][0] == "2026-10-14 18:00:00"
    assert "2026-10-14 21:00:00" < evening["range"][1] < "2026-10-14 21:10:00"
    assert evening["rangebreaks"] == []
    late_text(done, 54_300.0)  # 09:05 the next morning
    both = layouts(done)["texted"]["xaxis"]
    assert "2026-10-15 09:05:00" < both["range"][1] < "2026-10-15 09:30:00"
    assert both["rangebreaks"] == [{"bounds": ["2026-10-14 19:00:00", "2026-10-15 09:00:00"]}]


# ------------------------------------------------------------ what is drawn when


def test_tmobiles_day_is_drawn_where_there_is_a_cap(sample) -> None:
    assert "cap" not in by_key(sample)
    capped = rehearsed(60, scenario="small-town")
    assert 0 < by_key(capped)["cap"]["T-Mobile"]["y"][-1] < 60
    marks = [each["text"] for each in layouts(capped)["cap"]["annotations"] if each["name"] == MARK]
    assert "daily cap: 2,000" in marks


def test_carriers_alike_are_drawn_once_and_one_that_differs_beside_them(sample) -> None:
    assert len(set(CARRIER_COLOURS.values())) == len(CARRIERS)
    curves = by_key(sample)["arrival"]
    assert list(curves)[-1] == "all carriers"
    spans = {name: sample.ledger.latency_s("shown", name) for name in CARRIERS}
    every = np.quantile(np.concatenate(list(spans.values())), (0.5, 0.9))
    for name, seconds in spans.items():
        if len(seconds) >= 100:
            ratio = np.quantile(seconds, (0.5, 0.9)) / every
            differs = max(*ratio, *(1 / ratio)) > 1.25
            assert (CARRIER_NAMES[name] in curves) is bool(differs), name
    assert all(curve["x"] == sorted(curve["x"]) for curve in curves.values())


@pytest.mark.parametrize(
    ("area_code", "place"),
    [(215, "PA, Eastern"), (602, "AZ, Arizona"), (775, "NV, Mountain/Pacific"), (313, "MI, Eastern"), (999, "an unknown state")],
)  # fmt: skip
def test_an_area_codes_state_and_zone(area_code: int, place: str) -> None:
    assert place_of(area_code) == place


def test_a_filter_that_held_something_is_drawn(sample) -> None:
    assert "held" not in by_key(sample)
    record = np.zeros(50, RECORD)
    record["at"] = np.arange(50) * 600.0
    record["complaints"][10:] = 0.2
    done = rehearsed(60)
    done.filter_record = record
    [figure] = [figure for figure in figures(done) if figure.key == "held"]
    assert figure.answer == "Complaints from 10:40, up to 20.0%."
    assert max(figure.spec["data"][0]["y"]) == 20


def test_what_the_books_tell_is_drawn_from_them() -> None:
    done = rehearsed(100)
    asked = done.ledger.submissions.columns()
    answers = np.zeros(len(asked), ANSWER)
    answers["message_id"], answers["phone"], answers["response"] = asked["message_id"], asked["to"], -1
    answers["at"], answers["took_s"] = asked["handed_at"] - 1.0, 2.0
    start_at = done.plan.scenario.start_at
    left = np.array([(int(asked["to"][0]), start_at + 900.0, "keyword")], OPT_OUT)
    done.books = Books(campaign_id=1, messages=np.empty(0, MESSAGE), answers=answers, opt_outs=left)
    traces = by_key(done)
    assert traces["opt_outs"]["opted out"]["y"][-1] == pytest.approx(1.0)
    assert traces["inbox"]["waiting"]["y"][-1] == 1  # one of three wrote in words, and nobody answered
    assert set(traces["waits"]["press to wire"]["x"]) == {3.0}
