"""Two hundred clients that take their time, each kind of them: whoever is in a hurry is served all the same."""

from __future__ import annotations

import pytest

from benchmarks.crowd import Scene, measure

POLICY = "relay: {timeouts: {head: 2s, idle: 2s}}\n"  # short, so that their end is seen
COUNT = 200
MOST_EACH = 1024.0  # KiB of memory


def crowd(kind: str) -> Scene:
    [scene] = measure({kind: COUNT}, 3.5, policy=POLICY, processes=1)
    return scene


@pytest.mark.parametrize(
    ("kind", "ends"),
    [
        ("slowloris", {"408"}),  # and again, when they come back
        ("idle", {"closed"}),
        pytest.param("readers", set(), marks=pytest.mark.slow),  # they read: nobody may cut them
        ("uploaders", {"chat: 408"}),  # a relayed body may take its time
    ],
)
def test_the_others_are_served_and_a_crowd_is_cut_where_it_has_a_deadline(figures, kind, ends):
    scene = crowd(kind)
    figures.append(f"{COUNT} {kind}: chats p99 {scene.chat.high * 1000:.0f} ms, memory {scene.growth:+.1f} MiB")
    assert scene.chat.share == scene.relayed.share == 1.0
    assert {end for end in scene.ends if not end.endswith("still open")} == ends
    if ends:
        assert sum(scene.ends[end] for end in ends) >= COUNT / 2
        assert scene.held[0] > 1.5
        assert scene.held[1] < 8.0
    assert scene.per_client < MOST_EACH
    assert scene.descriptors_left <= 20
