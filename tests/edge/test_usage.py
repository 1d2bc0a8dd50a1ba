"""Who uses what: counts by route and by kind of client, with the times of day they were first and last seen."""

from __future__ import annotations

from office import BASE, standing

from sidecar.core.fact import ChatRejected, ChatServed, MessageRefused, RelayEnded
from sidecar.edge.outlets.usage import Usage
from sidecar.wire.inventory import ROUTES

NOON = 1_780_000_000.0


def relayed(template="/health", client="curl"):
    return RelayEnded(0.0, "http", "GET", 200, 0.1, 1, 1, None, template, client)


def test_routes_and_clients_are_counted_with_the_times_they_were_seen():
    times = iter([NOON, NOON + 1, NOON + 60, NOON + 120, NOON + 180])
    usage = Usage(lambda: next(times))
    usage(relayed())
    usage(relayed(client="prometheus"))
    usage(ChatServed(0.0, 1, "c", "primary", 200, 0.1, 0.0, "/operator/api/chat", "browser"))
    usage(ChatRejected(0.0, 401, "auth_required", 0.1, "/operator/api/chat", "curl"))
    usage(MessageRefused(0.0, 400, "field"))
    view = usage.view()
    assert view["since"] == "2026-05-28T20:26:40+00:00"
    assert view["routes"] == {
        "/health": {
            "requests": 2,
            "first_seen": "2026-05-28T20:26:41+00:00",
            "last_seen": "2026-05-28T20:27:40+00:00",
            "by": {"curl": 1, "prometheus": 1},
        },
        "/operator/api/chat": {
            "requests": 2,
            "first_seen": "2026-05-28T20:28:40+00:00",
            "last_seen": "2026-05-28T20:29:40+00:00",
            "by": {"browser": 1, "curl": 1},
        },
    }
    assert view["clients"]["curl"] == {
        "requests": 2,
        "first_seen": "2026-05-28T20:26:41+00:00",
        "last_seen": "2026-05-28T20:29:40+00:00",
        "by": {"/health": 1, "/operator/api/chat": 1},
    }
    assert set(view["unused"]) == set(ROUTES) - {"/health", "/operator/api/chat"}


def test_the_most_used_comes_first():
    usage = Usage(lambda: NOON)
    for template, times in (("/health", 2), ("/metrics", 5), ("other", 1)):
        for _ in range(times):
            usage(relayed(template))
    assert list(usage.view()["routes"]) == ["/metrics", "/health", "other"]


def test_before_the_first_request_everything_is_unused():
    view = Usage(lambda: NOON).view()
    assert (view["routes"], view["clients"], view["unused"]) == ({}, {}, list(ROUTES))


async def test_the_admin_port_shows_who_asked_for_what_and_no_path_as_it_was_sent(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text(BASE)
    async with standing(path) as office:
        base = f"http://{office.sidecar.serving.listen}"
        for target in ("/operator/session/s3cret-session?token=s3cret", "/operator/se%73sion/other", "/s3cret"):
            async with office.client.get(base + target, headers={"User-Agent": "curl/8"}) as got:
                assert got.status == 502
        async with office.client.post(
            base + "/operator/api/chat", json={}, headers={"User-Agent": "Mozilla/5.0"}
        ) as got:
            assert got.status == 401
        await office.chat(**{"User-Agent": "python-requests/2"})
        status, view = await office.ask("GET", "/usage", token=None)
        assert status == 200
        assert {route: row["requests"] for route, row in view["routes"].items()} == {
            "/operator/api/chat": 2, "/operator/session/{id}": 2, "other": 1,
        }  # fmt: skip
        assert {client: row["requests"] for client, row in view["clients"].items()} == {
            "curl": 3,
            "browser": 1,
            "python": 1,
        }
        assert "s3cret" not in str(view)
        assert await office.metric("usage_requests_total", route="/operator/session/{id}") == 2
        assert await office.metric("usage_requests_total", route="/operator/api/chat") == 2
        assert (await office.ask("GET", "/usage", host="evil.example", token=None))[0] == 403
