"""The kinds of panel the boards are made of.

Each takes a title, a text (what it means and what to do), a unit, its queries and what to say when there is nothing to show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from grafana_foundation_sdk.builders import bargauge, common, prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders.dashboard import DashboardLink, FieldColor, ThresholdsConfig
from grafana_foundation_sdk.models import common as words
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from dashboards.colours import NEUTRAL

MOST_BARS = 60  # in one graph, so that each can be seen
DASHES = ([12, 6], [3, 5])

SOURCE = words.DataSourceRef(type_val="prometheus", uid="${datasource}")
KEPT = "${__url_time_range}&${datasource:queryparam}&${job:queryparam}&${instance:queryparam}"

Steps = Sequence[tuple[float | None, str]]
Meanings = Mapping[str, tuple[str, str]]
"""Values by what they say and their colour: ``{"1": ("degraded", "orange")}``."""


class Query(NamedTuple):
    """``legend`` may name labels, as in ``{{target}}``; ``instant`` asks for the end of the range alone."""

    expr: str
    legend: str
    instant: bool = False


def series(
    title: str,
    text: str,
    unit: str,
    *queries: Query,
    empty: str,
    width: int = 12,
    colours: Mapping[str, str] | None = None,
    dashed: Mapping[str, str] | None = None,
    stacked: bool = False,
    beside: bool = False,
    most: float | None = None,
    steps: Steps = (),
    shades: str | None = None,
) -> Any:
    """Lines over time, or areas one on the other.

    ``dashed`` are colours by legend, as ``colours``, of lines that are bounds or upper quantiles: dashed, never stacked. The
    legend is a line below, or a table ``beside`` the graph, where many names would not fit. ``shades`` is the colour for
    series that have no meaning of their own.
    """
    panel = timeseries.Panel().height(8).min(0).line_width(0 if stacked else 2).show_points(words.VisibilityMode.AUTO)
    panel = panel.span_nulls(span_nulls=False).tooltip(_tooltip()).fill_opacity(70 if stacked else 0)
    panel = panel.legend(_legend("lastNotNull", "max", beside=beside or stacked))
    if stacked:
        panel = panel.stacking(_stacking())
    if most is not None:
        panel = panel.max(most)
    if steps:
        panel = panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(words.GraphThresholdsStyleMode.DASHED))
    panel = _dress(panel, title, text, unit, queries, empty, width, steps)
    for number, (name, colour) in enumerate((dashed or {}).items()):
        panel = panel.override_by_name(name, _dashed(colour, number))
    return _paint(_shaded(panel, shades), colours or {})


def bars(
    title: str,
    text: str,
    *queries: Query,
    empty: str,
    width: int = 12,
    height: int = 8,
    colours: Mapping[str, str] | None = None,
    shades: str | None = None,
) -> Any:
    """Whole numbers of events, stacked: one bar per step, which covers the time up to it. The legend has the sum of the range.

    Queries are ``counted``. ``shades`` is the colour for series that have no meaning of their own.
    """
    panel = timeseries.Panel().height(height).min(0).axis_soft_max(1).decimals(0).tooltip(_tooltip())
    panel = panel.draw_style(words.GraphDrawStyle.BARS).bar_alignment(words.BarAlignment.BEFORE).bar_width_factor(0.9)
    panel = panel.line_width(0).fill_opacity(80).stacking(_stacking()).max_data_points(MOST_BARS)
    panel = panel.legend(_legend("sum", beside=True))
    panel = _dress(panel, title, text, "short", queries, empty, width, ())
    return _paint(_shaded(panel, shades), colours or {})


def figure(
    title: str,
    text: str,
    unit: str,
    *queries: Query,
    empty: str,
    width: int = 6,
    height: int = 5,
    colours: Mapping[str, str] | None = None,
    means: Meanings | None = None,
    steps: Steps = (),
    name_only: bool = False,
    decimals: int | None = None,
    size: int | None = None,
) -> Any:
    """One or a few big numbers, as large as fits or ``size`` pixels; with ``name_only`` the legend is what is shown."""
    panel = (
        stat.Panel().height(height).graph_mode(words.BigValueGraphMode.NONE).color_mode(words.BigValueColorMode.VALUE)
    )
    text_mode = words.BigValueTextMode.NAME if name_only else words.BigValueTextMode.AUTO
    panel = panel.text_mode(text_mode).reduce_options(_last())
    if decimals is not None:
        panel = panel.decimals(decimals)
    if size is not None:
        panel = panel.text(common.VizTextDisplayOptions().value_size(size).title_size(16))
    if means:
        panel = panel.mappings([_mapping(means)])
    return _paint(_dress(panel, title, text, unit, queries, empty, width, steps), colours or {})


def shares(
    title: str,
    text: str,
    unit: str,
    *queries: Query,
    empty: str,
    steps: Steps,
    width: int = 12,
    height: int = 8,
    most: float | None = 1,
    decimals: int | None = None,
) -> Any:
    """Horizontal bars from 0 to ``most`` (None: the longest of them), coloured by thresholds."""
    panel = bargauge.Panel().height(height).min(0).orientation(words.VizOrientation.HORIZONTAL)
    if most is not None:
        panel = panel.max(most)
    if decimals is not None:
        panel = panel.decimals(decimals)
    panel = panel.display_mode(words.BarGaugeDisplayMode.BASIC).reduce_options(_last())
    return _dress(panel, title, text, unit, queries, empty, width, steps)


def timeline(
    title: str, text: str, *queries: Query, empty: str, means: Meanings, width: int = 24, height: int = 7
) -> Any:
    """States over time, one row per series."""
    panel = statetimeline.Panel().height(height).mappings([_mapping(means)]).merge_values(merge_values=True)
    panel = panel.show_value(words.VisibilityMode.AUTO).row_height(0.8).legend(_plain_legend()).tooltip(_tooltip())
    return _dress(panel, title, text, "none", queries, empty, width, ())


def listing(
    title: str,
    text: str,
    unit: str,
    query: Query,
    *,
    empty: str,
    columns: Mapping[str, str],
    width: int = 12,
    height: int = 5,
    means: Meanings | None = None,
    widths: Mapping[str, int] | None = None,
    sort: str | None = None,
) -> Any:
    """A table of the labels (and ``Value``) in ``columns``, by what they are called; ``widths`` in pixels."""
    panel = table.Panel().height(height).with_transformation(_columns(columns))
    panel = _dress(panel, title, text, unit, (query,), empty, width, ())
    for name, pixels in (widths or {}).items():
        panel = panel.override_by_name(name, [DynamicConfigValue("custom.width", pixels)])
    if sort is not None:
        panel = panel.sort_by([common.TableSortByFieldState().display_name(sort).desc(desc=False)])
    if means:
        named = columns.get("Value", "Value")
        values = [
            DynamicConfigValue("mappings", [_mapping(means).to_json()]),
            DynamicConfigValue("custom.cellOptions", {"type": "color-text"}),
        ]
        panel = panel.override_by_name(named, values)
    return panel


def lead(panel: Any, title: str, uid: str) -> Any:
    """Let ``panel`` lead to the board ``uid``, with time and variables kept."""
    link = DashboardLink(title).type(DashboardLinkType.LINK).url(f"/d/{uid}?{KEPT}")
    return panel.links([link])


# -- what they are made of ------------------------------------------------------------------------------------------


def _dress(  # noqa: PLR0917 - what every kind hands on
    panel: Any, title: str, text: str, unit: str, queries: Sequence[Query], empty: str, width: int, steps: Steps
) -> Any:
    panel = panel.title(title).description(text).unit(unit).span(width).no_value(empty).datasource(SOURCE)
    panel = panel.thresholds(_thresholds(steps or ((None, NEUTRAL),)))
    over_time, as_table = isinstance(panel, timeseries.Panel), isinstance(panel, table.Panel)
    mode = FieldColorModeId.PALETTE_CLASSIC if over_time else FieldColorModeId.THRESHOLDS
    panel = panel.color_scheme(FieldColor().mode(mode))
    return panel.targets(
        [_target(query, ref, as_table=as_table) for query, ref in zip(queries, "ABCDEFGHIJ", strict=False)]
    )


def _target(query: Query, ref: str, *, as_table: bool) -> Any:
    target = prometheus.Dataquery().ref_id(ref).expr(query.expr).legend_format(query.legend).datasource(SOURCE)
    shape = PromQueryFormat.TABLE if as_table else PromQueryFormat.TIME_SERIES
    target = target.format(shape)
    return target.instant() if query.instant else target.range()


def _thresholds(steps: Steps) -> Any:
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps([Threshold(at, colour) for at, colour in steps])


def _last() -> Any:
    return common.ReduceDataOptions().calcs(["lastNotNull"]).values(values=False)


def _legend(*figures: str, beside: bool) -> Any:
    mode = words.LegendDisplayMode.TABLE if beside else words.LegendDisplayMode.LIST
    shown = common.VizLegendOptions().display_mode(mode).show_legend(show_legend=True).calcs(list(figures))
    return shown.placement(words.LegendPlacement.RIGHT if beside else words.LegendPlacement.BOTTOM)


def _stacking() -> Any:
    return common.StackingConfig().mode(words.StackingMode.NORMAL).group("A")


def _plain_legend() -> Any:
    shown = common.VizLegendOptions().display_mode(words.LegendDisplayMode.LIST).show_legend(show_legend=True)
    return shown.placement(words.LegendPlacement.BOTTOM)


def _tooltip() -> Any:
    return common.VizTooltipOptions().mode(words.TooltipDisplayMode.MULTI).sort(words.SortOrder.DESCENDING)


def _mapping(means: Meanings) -> ValueMap:
    results = enumerate(means.items())
    return ValueMap({value: ValueMappingResult(said, colour, index=at) for at, (value, (said, colour)) in results})


def _dashed(colour: str, number: int) -> list[DynamicConfigValue]:
    """Dashes differ from line to line: two bounds that are the same stay two."""
    return [
        DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour}),
        DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": DASHES[number % len(DASHES)]}),
        DynamicConfigValue("custom.lineWidth", 1),
        DynamicConfigValue("custom.drawStyle", "line"),
        DynamicConfigValue("custom.fillOpacity", 0),
        DynamicConfigValue("custom.stacking", {"mode": "none", "group": "A"}),
    ]


def _shaded(panel: Any, shades: str | None) -> Any:
    return panel.color_scheme(FieldColor().mode(FieldColorModeId.SHADES).fixed_color(shades)) if shades else panel


def _paint(panel: Any, colours: Mapping[str, str]) -> Any:
    for name, colour in colours.items():
        panel = panel.override_by_name(name, [DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})])
    return panel


def _columns(columns: Mapping[str, str]) -> DataTransformerConfig:
    order = {name: place for place, name in enumerate(columns)}
    return DataTransformerConfig(
        "organize",
        options={"includeByName": dict.fromkeys(columns, True), "indexByName": order, "renameByName": dict(columns)},
    )
