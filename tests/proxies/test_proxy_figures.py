"""What the comparison of proxies makes of what it has measured."""

from __future__ import annotations

import pytest

from benchmarks.proxies import growth, measure, report
from benchmarks.proxies.figures import Figures, Spread
from benchmarks.proxies.load import Round, said

WRK = """Running 2s test @ http://127.0.0.1:8000/
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.21ms    0.30ms   9.01ms   91.20%
    Req/Sec    24.11k     1.20k   26.00k    70.00%
  48221 requests in 2.00s, 61.20MB read
"""


def some(**by_proxy: list[float]) -> Figures:
    figures = Figures()
    for proxy, samples in by_proxy.items():
        for number, value in enumerate(samples):
            figures.add(number, proxy, "unique", value)
    return figures


def test_what_wrk_says_of_a_good_round() -> None:
    assert said(WRK) == Round(48_221, 2.0, 0)
    assert said(WRK).rate == pytest.approx(24_110.5)
    assert said(WRK).share == 1.0


def test_what_wrk_says_of_a_bad_round() -> None:
    text = WRK + "  Socket errors: connect 1, read 2, write 3, timeout 4\n  Non-2xx or 3xx responses: 48211\n"
    assert said(text) == Round(48_221, 2.0, 48_221)
    assert said(text).share == 0.0


@pytest.mark.parametrize(("took", "seconds"), [("999.50ms", 0.9995), ("1.50m", 90.0), ("17.00us", 17e-6)])
def test_wrk_has_several_units(took: str, seconds: float) -> None:
    assert said(f"  7 requests in {took}, 1KB read").seconds == pytest.approx(seconds)


def test_a_round_without_output_answered_nothing() -> None:
    assert said("unable to connect to 127.0.0.1:1 Connection refused") == Round(0, 1.0, 0)
    assert said("").share == 0.0


def test_ratios_are_within_a_round() -> None:
    figures = some(sidecar=[10.0, 40.0, 12.0], nginx=[10.0, 20.0, 10.0])
    assert figures.ratio("sidecar", "unique", "nginx") == Spread(1.2, 1.0, 2.0)


def test_a_round_that_only_one_has_counts_for_none() -> None:
    figures = some(sidecar=[10.0, 40.0], nginx=[5.0])
    assert figures.ratio("sidecar", "unique", "nginx") == Spread(2.0, 2.0, 2.0)
    assert figures.ratio("sidecar", "unique", "nobody") is None
    assert figures.beyond("sidecar", "unique", "nginx") == Spread(5.0, 5.0, 5.0)


def test_nothing_is_a_multiple_of_nothing() -> None:
    assert some(sidecar=[1.0], nginx=[0.0]).ratio("sidecar", "unique", "nginx") is None


def test_the_table_has_a_column_for_what_was_measured_and_no_other() -> None:
    head, rows = report.table(some(sidecar=[20.0, 20.0], nginx=[10.0, 16.0]), ["sidecar", "nginx", "envoy"])
    assert head == ["", "unique", "unique rps"]
    assert rows == [
        ["sidecar", "1.62 (1.25-2.00)", "50000"],
        ["nginx", "1.00 (1.00-1.00)", "76923"],
        ["envoy", "", ""],
    ]


def test_the_share_of_200_is_that_of_the_worst_round() -> None:
    figures = Figures()
    for number, share in enumerate((1.0, 0.995, 1.0)):
        figures.add(number, "sidecar", "chat share", share)
    assert report.table(figures, ["sidecar"]) == (["", "chat 200"], [["sidecar", "99.50%"]])


def test_what_was_not_answered_well_is_said() -> None:
    figures = Figures()
    figures.add(0, "caddy", "post share", 0.5)
    figures.add(0, "nginx", "post share", 1.0)
    assert report.shortfalls(figures, ["nginx", "caddy"]) == ["caddy: post: 50.00% answered by 200."]


def test_added_time_is_beyond_the_direct_one() -> None:
    figures = Figures()
    for number, (direct, through) in enumerate(((20.0, 70.0), (30.0, 75.0), (20.0, 80.0))):
        figures.add(number, report.DIRECT, "one", direct)
        figures.add(number, "envoy", "one", through)
    assert report.table(figures, ["envoy"]) == (["", "+µs"], [["envoy", "50"]])


def test_growth_has_a_row_for_each_number_of_connections() -> None:
    figures = Figures()
    figures.add(0, "nginx", growth.figure("10"), 12.0)
    figures.add(0, "nginx", growth.figure("10") + " share", 1.0)
    assert growth.table(figures) == (["connections", "nginx µs", "200"], [["10", "12.0", "100.0%"]])
    assert growth.table(Figures())[1] == []


def test_bars_that_hold_that_are_missed_and_that_nobody_measured() -> None:
    figures = some(sidecar=[18.0], nginx=[10.0])
    figures.add(0, "sidecar", "start", 501.0)
    bars = {bar.what: bar.held for bar in report.bars(figures)}
    assert bars["relay, a unique header: at most 1.8 times nginx"] is True
    assert bars["first request answered within 500 ms"] is False
    assert bars["chat: at least 80 times cheaper than LiteLLM"] is None
    assert len(bars) == len(report.bars(figures))


def test_a_bar_says_what_was_measured() -> None:
    assert str(report.most("memory", 70.0, 64.0, " MiB")) == "MISSED        memory: 70.0 to 64.0 MiB"
    assert str(report.least("rate", 70.0, 64.0)) == "holds         rate: 70.0 to 64.0"
    assert str(report.least("rate", None, 64.0)) == "not measured  rate"


def test_cheaper_is_told_the_other_way_round() -> None:
    figures = Figures()
    figures.add(0, "sidecar", "chat", 50.0)
    figures.add(0, "fastapi", "chat", 1_100.0)
    bar = next(bar for bar in report.bars(figures) if "FastAPI" in bar.what)
    assert bar.held
    assert bar.measured == ": 22.0 to 20.0"


def test_instructions_are_those_of_user_and_kernel() -> None:
    text = "# started on a day\n\n1200,,instructions:u,100,100.00,,\n300,,instructions:k,100,100.00,,\n"
    assert measure.instructions(text) == 1_500.0
    assert measure.instructions("<not supported>,,instructions,0,100.00,,\n") is None
    assert measure.instructions("") is None


def test_chats_by_the_sidecars_own_count() -> None:
    text = (
        "# TYPE vx11_sidecar_chat_requests_total counter\n"
        'vx11_sidecar_chat_requests_total{code="200",outcome="primary"} 7.0\n'
        'vx11_sidecar_chat_requests_total{code="200",outcome="local"} 2.0\n'
        'vx11_sidecar_chat_requests_total{code="499",outcome="client_gone"} 3.0\n'
        'vx11_sidecar_chat_requests_created{code="200",outcome="local"} 1e9\n'
    )
    assert measure.counted(text) == (9.0, 7.0)
