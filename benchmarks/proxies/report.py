"""The table, and whether the project's bars hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from benchmarks.proxies.figures import Figures, Spread
from benchmarks.proxies.load import SHAPES
from benchmarks.proxies.peers import NGINX, SIDECAR

DIRECT = "direct"
COMPARED = (*SHAPES, "sse", "websocket")  # processor time relative to nginx


def table(figures: Figures, proxies: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Head and rows; a column that nobody has a figure for is left out."""
    columns = [(title, [cell(figures, proxy) for proxy in proxies]) for title, cell in _columns()]
    shown = [(title, cells) for title, cells in columns if any(cells)]
    head = ["", *(title for title, _ in shown)]
    return head, [[proxy, *(cells[n] for _, cells in shown)] for n, proxy in enumerate(proxies)]


def _columns() -> list[tuple[str, Callable[[Figures, str], str]]]:
    columns = [(figure, _times(figure)) for figure in COMPARED]
    columns += [(f"{shape} kinstr", _plain(f"{shape} kinstr", 1)) for shape in SHAPES]
    columns += [("chat 200", _share("chat share")), ("by switch", _share("by switch"))]
    columns += [(f"{shape} rps", _rate(shape)) for shape in ("relay", "unique", "chat")]
    columns += [("+µs", _beyond("one")), ("+µs 200/s", _beyond("low"))]
    columns += [("MiB idle", _plain("idle", 0)), ("busy", _plain("busy", 0)), ("start ms", _plain("start", 0))]
    columns += [("MiB/s down", _plain("down", 0)), ("up", _plain("up", 0))]
    return columns


def _times(figure: str) -> Callable[[Figures, str], str]:
    return lambda figures, proxy: times(figures.ratio(proxy, figure, NGINX))


def times(spread: Spread | None) -> str:
    """Median, and in brackets least and most; three digits are all that repeats."""
    if spread is None:
        return ""
    return f"{digits(spread.median)} ({digits(spread.least)}-{digits(spread.most)})"


def digits(value: float) -> str:
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def _plain(figure: str, after: int) -> Callable[[Figures, str], str]:
    def cell(figures: Figures, proxy: str) -> str:
        value = figures.median(proxy, figure)
        return "" if value is None else f"{value:.{after}f}"

    return cell


def _share(figure: str) -> Callable[[Figures, str], str]:
    """The worst round."""

    def cell(figures: Figures, proxy: str) -> str:
        value = figures.least(proxy, figure)
        return "" if value is None else f"{value:.2%}"

    return cell


def _rate(shape: str) -> Callable[[Figures, str], str]:
    def cell(figures: Figures, proxy: str) -> str:
        value = figures.median(proxy, shape)
        return f"{1e6 / value:.0f}" if value else ""

    return cell


def _beyond(figure: str) -> Callable[[Figures, str], str]:
    def cell(figures: Figures, proxy: str) -> str:
        spread = figures.beyond(proxy, figure, DIRECT)
        return "" if spread is None else f"{spread.median:.0f}"

    return cell


def reference(figures: Figures) -> str:
    """What nginx used, since everything else is told by it."""
    costs = [(figure, figures.median(NGINX, figure)) for figure in COMPARED]
    told = [f"{figure} {value:.1f}" for figure, value in costs if value is not None]
    return f"{NGINX}, microseconds of processor time: {' · '.join(told)}." if told else ""


def shortfalls(figures: Figures, proxies: Sequence[str]) -> list[str]:
    """A relayed request that was not answered by 200 was cheap, and flatters: a line for each."""
    worst = [(proxy, shape, figures.least(proxy, f"{shape} share")) for proxy in proxies for shape in SHAPES]
    return [
        f"{proxy}: {shape}: {share:.2%} answered by 200." for proxy, shape, share in worst if share not in (None, 1.0)
    ]


# -- bars ---------------------------------------------------------------------------------------------------------------


class Bar(NamedTuple):
    """``held`` is None where something that it needs was not measured."""

    what: str
    held: bool | None
    measured: str

    def __str__(self) -> str:
        return f"{'not measured' if self.held is None else 'holds' if self.held else 'MISSED':12}  {self.what}{self.measured}"


def bars(figures: Figures) -> list[Bar]:
    """What the project asks of the sidecar beside the others, by medians."""

    def ratio(shape: str) -> float | None:
        spread = figures.ratio(SIDECAR, shape, NGINX)
        return spread and spread.median

    def cheaper(peer: str) -> float | None:
        spread = figures.ratio(peer, "chat", SIDECAR)
        return spread and spread.median

    def added(proxy: str) -> float | None:
        spread = figures.beyond(proxy, "one", DIRECT)
        return spread and spread.median

    def own(figure: str) -> float | None:
        return figures.median(SIDECAR, figure)

    return [
        most("relay, a unique header: at most 1.8 times nginx", ratio("unique"), 1.8),
        most("relay, heads that repeat: at most 1.4 times nginx", ratio("relay"), 1.4),
        most("chat: at most 6 times nginx that relays it", ratio("chat"), 6.0),
        least("chat: at least 20 times cheaper than FastAPI with a shared httpx client", cheaper("fastapi"), 20.0),
        least("chat: at least 80 times cheaper than LiteLLM", cheaper("litellm"), 80.0),
        most("added p50 at one connection: at most Envoy's", added(SIDECAR), added("envoy"), " µs"),
        least("10 MiB down: at least HAProxy's rate", own("down"), figures.median("haproxy", "down"), " MiB/s"),
        least("10 MiB up: at least HAProxy's rate", own("up"), figures.median("haproxy", "up"), " MiB/s"),
        most("memory idle: at most 50 MiB", own("idle"), 50.0, " MiB"),
        most("memory with 32 busy connections: at most 64 MiB", figures.most(SIDECAR, "busy"), 64.0, " MiB"),
        most("first request answered within 500 ms", own("start"), 500.0, " ms"),
    ]


def most(what: str, value: float | None, bar: float | None, unit: str = "") -> Bar:
    return Bar(what, None if value is None or bar is None else value <= bar, _beside(value, bar, unit))


def least(what: str, value: float | None, bar: float | None, unit: str = "") -> Bar:
    return Bar(what, None if value is None or bar is None else value >= bar, _beside(value, bar, unit))


def _beside(value: float | None, bar: float | None, unit: str) -> str:
    return "" if value is None or bar is None else f": {digits(value)} to {digits(bar)}{unit}"
