"""The boards as Grafana's JSON, by its own SDK."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    heatmap,
    prometheus,
    stat,
    timeseries,
)
from grafana_foundation_sdk.builders import table as table_panel
from grafana_foundation_sdk.builders import text as text_panel
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import prometheus as prometheus_models
from grafana_foundation_sdk.models import text as text_models

from dashboards.addresses import Addresses, uid
from dashboards.alert import Alert
from dashboards.panels import WIDTH, Annotation, Board, Panel, Query

SOURCE: Final = common_models.DataSourceRef(type_val="prometheus", uid="${source}")
COLOURS: Final = {
    "att": "#00a8e0",
    "tmobile": "#e20074",
    "verizon": "#ee0000",
    "uscellular": "#0060a9",
    "regional": "#9aa0a6",
    "voip": "#f2b705",
    "unknown": "#5f6368",
}
"""A carrier has one colour on every board."""


def boards_json(boards: Iterable[Board], alerts: Iterable[Alert], addresses: Addresses) -> dict[str, str]:
    """Each board's JSON by the name of its file."""
    told = list(alerts)
    return {f"{each.name}.json": _json(_board(each, told, addresses)) for each in boards}


def _json(board: dashboard.Dashboard) -> str:
    return json.dumps(board.build(), cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _board(board: Board, alerts: list[Alert], addresses: Addresses) -> dashboard.Dashboard:
    drawn = (
        dashboard.Dashboard(f"Textbank: {board.title}")
        .uid(uid(board.name))
        .description(board.asks)
        .tags(["textbank"])
        .timezone("browser")
        .time(board.since, "now")
        .refresh("30s")
        .readonly()
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .link(
            dashboard.DashboardLink("Textbank")
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags(["textbank"])
            .as_dropdown(True)
            .include_vars(True)
            .keep_time(True)
        )
        .with_variable(dashboard.DatasourceVariable("source").label("Prometheus").type("prometheus"))
        .with_variable(_choice("environment", "up"))
    )
    if board.by_carrier:
        drawn.with_variable(_choice("carrier", "p2p_queue_messages"))
    for annotation in board.annotations:
        drawn.annotation(_annotation(annotation))
    for nth, panel in enumerate(board.panels, start=1):
        own = [each for each in alerts if (each.board, each.panel) == (board.name, panel.question)]
        drawn.with_panel(_panel(panel, nth, board, own, addresses))
    if board.says:
        words = text_panel.Panel().title("What is not here").mode(text_models.TextMode.MARKDOWN)
        drawn.with_panel(words.content(board.says).span(WIDTH).height(4).id(len(board.panels) + 1))
    return drawn


def _choice(label: str, of: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(label)
        .label(label.capitalize())
        .query(f"label_values({of}, {label})")
        .datasource(SOURCE)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(models.VariableOption(text="All", value="$__all"))
    )


def _annotation(annotation: Annotation) -> dashboard.AnnotationQuery:
    return (
        dashboard.AnnotationQuery()
        .name(annotation.name)
        .datasource(SOURCE)
        .enable(True)
        .icon_color(annotation.colour)
        .expr(annotation.expression)
        .title_format(annotation.title)
        .step("30s")
    )


# ---------------------------------------------------------------- a panel


def _panel(panel: Panel, nth: int, board: Board, alerts: list[Alert], addresses: Addresses) -> Any:
    drawn = (
        _of_its_kind(panel)
        .id(nth)
        .title(panel.question)
        .description(panel.means)
        .datasource(SOURCE)
        .span(panel.width)
        .height(panel.height)
        .unit(panel.unit)
        .links(list(_links(alerts, addresses)))
    )
    if panel.decimals is not None:
        drawn.decimals(panel.decimals)
    for place, query in enumerate(panel.queries):
        drawn.with_target(_target(panel, query, "ABCDEFGH"[place], by_carrier=board.by_carrier))
    return drawn


def _of_its_kind(panel: Panel) -> Any:
    match panel.kind:
        case "time":
            return _over_time(panel)
        case "stat":
            shown = stat.Panel().reduce_options(_last()).thresholds(_thresholds(panel))
            return shown.color_mode(common_models.BigValueColorMode.VALUE)
        case "bars":
            bars = bargauge.Panel().reduce_options(_last()).thresholds(_thresholds(panel))
            bars = bars.orientation(common_models.VizOrientation.HORIZONTAL)
            return bars.max(1) if panel.unit == "percentunit" else bars
        case "heat":
            return heatmap.Panel().calculate(False)
        case "table":
            return table_panel.Panel()


def _over_time(panel: Panel) -> timeseries.Panel:
    legend = common.VizLegendOptions().display_mode(common_models.LegendDisplayMode.LIST)
    drawn = (
        timeseries.Panel()
        .legend(legend.placement(common_models.LegendPlacement.BOTTOM).show_legend(True))
        .tooltip(common.VizTooltipOptions().mode(common_models.TooltipDisplayMode.MULTI))
        .fill_opacity(60 if panel.stacked else 0)
        .show_points(common_models.VisibilityMode.NEVER)
    )
    if panel.unit in ("percentunit", "short", "cps", "reqps", "bytes", "currencyUSD"):
        drawn.axis_soft_min(0)
    if panel.stacked:
        drawn.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL).group("A"))
    if panel.limit is not None or panel.floor is not None:
        drawn.thresholds(_thresholds(panel)).thresholds_style(
            common.GraphThresholdsStyleConfig().mode(common_models.GraphThresholdsStyleMode.DASHED)
        )
    names_carriers = any("{{carrier}}" in query.legend for query in panel.queries)
    for carrier, colour in COLOURS.items() if names_carriers else ():
        painted = models.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": colour})
        drawn.override_by_regexp(f"^{carrier}($|,)", [painted])
    return drawn


def _last() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"]).values(False)


def _thresholds(panel: Panel) -> dashboard.ThresholdsConfig:
    steps = [models.Threshold(color="green", value=None)]
    if panel.limit is not None:
        steps.append(models.Threshold(color="red", value=panel.limit))
    if panel.floor is not None:
        steps = [
            models.Threshold(color="red", value=None),
            models.Threshold(color="green", value=panel.floor),
        ]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)


def _target(panel: Panel, query: Query, ref_id: str, *, by_carrier: bool) -> prometheus.Dataquery:
    asked = (
        prometheus.Dataquery()
        .ref_id(ref_id)
        .datasource(SOURCE)
        .expr(query.shown(by_carrier=by_carrier))
        .legend_format(query.legend or "__auto")
    )
    match panel.kind:
        case "table":
            return asked.instant().format(prometheus_models.PromQueryFormat.TABLE)
        case "stat" | "bars":
            return asked.instant()
        case "heat":
            return asked.range().format(prometheus_models.PromQueryFormat.HEATMAP)
        case "time":
            return asked.range().exemplar(panel.exemplars)


def _links(alerts: list[Alert], addresses: Addresses) -> Iterator[dashboard.DashboardLink]:
    """To the runbook of each alert that sends people here."""
    for runbook, names in _by_runbook(alerts).items():
        title = f"Runbook: {', '.join(names)}"
        link = dashboard.DashboardLink(title).type(models.DashboardLinkType.LINK)
        yield link.url(addresses.runbook(runbook)).target_blank(True)


def _by_runbook(alerts: list[Alert]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for alert in alerts:
        found.setdefault(alert.runbook, []).append(alert.name)
    return found
