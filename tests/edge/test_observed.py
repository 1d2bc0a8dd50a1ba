"""The figures of mode shadow: what was decided, what was not, and nothing that grows."""

from __future__ import annotations

import orjson
import pytest

from sidecar.core.fact import ChatObserved
from sidecar.edge.admin.observed import Observed


def chat(would="pass", gateway="degraded", seconds=0.1, *, late=False, route="chat"):
    return ChatObserved(1.0, route, would, gateway, 200, seconds, late)


def told(*facts):
    observed = Observed()
    for fact in facts:
        observed(fact)
    return orjson.loads(orjson.dumps(observed.view()))


def test_there_is_nothing_to_tell_before_the_first():
    assert Observed().view() is None
    assert told(chat(route="alias"))["chats"] == 0


def test_everything_is_counted_by_its_words():
    seen = told(chat(), chat(), chat("forbidden", "rejected"), chat("pass", "client_gone", 5.5, late=True))
    assert seen["chats"] == 4
    assert seen["would"] == {"pass": 3, "forbidden": 1}
    assert seen["gateway"] == {"degraded": 2, "rejected": 1, "client_gone": 1}
    assert seen["late"] == 1


@pytest.mark.parametrize(
    ("would", "gateway", "late", "difference"),
    [
        ("rate_limited", "answered", False, "only_we_would_refuse"),
        ("invalid", "degraded", True, "only_we_would_refuse"),
        ("auth_required", "rejected", False, None),
        ("forbidden", "error", False, None),
        ("too_large", "client_gone", False, None),
        ("pass", "rejected", False, "only_the_gateway_refused"),
        ("pass", "rejected", True, "only_the_gateway_refused"),
        ("pass", "degraded", False, "for_the_ladder"),
        ("pass", "error", False, "for_the_ladder"),
        ("pass", "answered", True, "for_the_ladder"),
        ("pass", "client_gone", True, "for_the_ladder"),
        ("pass", "client_gone", False, None),
        ("pass", "answered", False, None),
        ("pass", "unreadable", False, None),
        ("undecided", "degraded", True, None),
    ],
)
def test_a_difference_is_told_only_where_it_is_decided(would, gateway, late, difference):
    counts = told(chat(would, gateway, late=late))["differences"]
    assert counts == {
        name: int(name == difference) for name in ("only_we_would_refuse", "only_the_gateway_refused", "for_the_ladder")
    }


def test_latencies_are_those_of_whole_answers_and_told_when_there_are_enough():
    assert told(*[chat(seconds=1.0)] * 19)["p95_seconds"] is None
    seen = told(*[chat(seconds=0.1)] * 15, *[chat(seconds=2.0)] * 5, *[chat("pass", "client_gone", 9.0)] * 30)
    assert (seen["p50_seconds"], seen["p95_seconds"]) == (0.1, 2.0)


def test_what_only_looks_like_chat_is_apart():
    seen = told(chat("pass", route="alias"), chat("auth_required", route="commands"), chat("target", route="reject"))
    assert (seen["chats"], seen["lookalikes"]) == (0, {"pass": 1, "auth_required": 1, "target": 1})
