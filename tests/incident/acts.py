"""The incident, act by act: what is broken and mended, and which alerts must fire because of it and no other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from tests.incident.town import SETTINGS, WITHIN, Town
from tests.incident.watch import Key

PAGER, TICKETS = "pager", "tickets"
NOBODY = None
CROWD = 70  # chats at once; 40 are the most that the policy lets in. Madre works 60 ms on each, one after the other
LATE = 3.3  # seconds that madre takes longer: the objective is 3 s, the limit of an attempt 8 s


class Expected(NamedTuple):
    """``told`` is the receiver. ``withheld``: a page of the same objective may keep it quiet. ``cause``: a mark, else the act."""

    alert: Key
    told: str | None
    why: str
    cause: str = ""
    withheld: bool = False


class Act(NamedTuple):
    """``play`` breaks something; then the alerts are waited for, ``mend`` mends it, and the next act begins."""

    name: str
    play: Callable[[Town], Awaitable[None]]
    expected: tuple[Expected, ...] = ()
    mend: Callable[[Town], Awaitable[None]] | None = None


def alert(name: str, **of: str) -> Key:
    return Key(f"VX11Sidecar{name}", tuple(sorted(of.items())))


async def well(town: Town) -> None:
    await town.seen('sum(increase(vx11_sidecar_chat_requests_total{outcome="primary"}[10s])) > 20')
    await town.seen("vx11_sidecar_websocket_connections > 0")
    await town.watch.until(lambda firing: not firing, WITHIN, "all is well")


async def watched(town: Town) -> None:
    """The sidecar looks on while the gateway answers: more of one session than it would let in, and what only looks like chat."""
    await town.save(SETTINGS + "mode: shadow\nguards: {rate_limit: 2 per 60s}\n")
    for _ in range(5):
        await town.traffic.chat(session="watched")
    await town.traffic.command()
    for seen in ('chats_total{would="rate_limited"}', "lookalikes_total"):
        await town.seen(f"sum(increase(vx11_sidecar_observed_{seen}[5s])) > 0")


async def in_charge(town: Town) -> None:
    await town.save(SETTINGS)


async def refused(town: Town) -> None:
    await town.lab.fault("switch", "unauthorised")


async def let_in(town: Town) -> None:
    await town.lab.clear("switch")


async def hung(town: Town) -> None:
    """The breaker trips by itself; then somebody holds it open by hand, and will forget about it."""
    await town.lab.fault("switch", "hang")
    await town.seen('vx11_sidecar_breaker_state{target="switch",state=~"open|half_open"} == 1')
    await town.order("/overrides", target="switch", kind="forced_open", author="test", reason="it hangs", ttl="10m")
    town.mark("held")


async def slow(town: Town) -> None:
    await town.lab.fault("madre", f"slow:{LATE}")
    town.send(CROWD)


async def calm(town: Town) -> None:
    """Nobody waits for madre any more: who still did when it dies would trip its breaker before anybody can ask for a retry."""
    await _fast(town)
    usable = 'vx11_sidecar_breaker_state{target="madre",state="closed"} == 1'
    await town.seen(f'vx11_sidecar_limiter_inflight{{target="madre"}} < 2 and on (instance, target) ({usable})')


async def dead(town: Town) -> None:
    await town.lab.fault("madre", "refuse")


async def alive(town: Town) -> None:
    await _fast(town)
    await town.seen('vx11_sidecar_breaker_state{target="madre",state="closed"} == 1')


async def _fast(town: Town) -> None:
    await town.lab.clear("madre")
    await town.lab.fault("madre", "detached")


async def mistaken(town: Town) -> None:
    """The gateway goes, and in the haste somebody saves a policy with a mistake in it."""
    await town.lab.fault("gateway", "refuse")
    await town.save(SETTINGS.replace("client: 9s", "client: -9s"))


async def corrected(town: Town) -> None:
    await town.lab.clear("gateway")
    await town.save(SETTINGS)


async def forgotten(_town: Town) -> None:
    """The override is an hour old on the clock of the rules."""


async def released(town: Town) -> None:
    await town.lab.clear("switch")
    await town.order("/overrides/release", target="switch")
    await town.seen(
        'vx11_sidecar_breaker_state{target="switch",state="closed"} == 1 and on (instance) vx11_sidecar_degraded == 0'
    )


async def over(town: Town) -> None:
    await town.watch.until(lambda firing: firing <= LINGERING, WITHIN, "over, but for what looks back for long")


async def gone(town: Town) -> None:
    await town.kill_sidecar()


ACTS = (
    Act("all is well", well),
    Act("the gateway answers, and is watched", watched, mend=in_charge),
    Act(
        "the switch refuses our token",
        refused,
        (
            Expected(alert("TargetMisconfigured", target="switch", kind="401"), TICKETS, "it answers 401"),
            Expected(alert("UndegradedBurnSlow"), TICKETS, "madre answers more than 1 chat in 20"),
        ),
        let_in,
    ),
    Act(
        "the switch hangs, and is held open",
        hung,
        (Expected(alert("TargetDown", target="switch"), TICKETS, "its breaker is open for 10 min, then held so"),),
    ),
    Act(
        "madre is slow, and a crowd comes",
        slow,
        (
            Expected(alert("Shedding", why="chats"), TICKETS, "more chats under way than overload.chats"),
            Expected(alert("AvailabilityBurnFast"), PAGER, "a chat that is shed is a 503 to its user"),
            Expected(alert("AvailabilityBurnSlow"), TICKETS, "the same, over days", withheld=True),
            Expected(alert("LatencyBurnFast"), PAGER, "madre alone answers, and takes longer than 3 s"),
            Expected(alert("LatencyBurnSlow"), TICKETS, "the same, over days", withheld=True),
        ),
        calm,
    ),
    Act(
        "madre is dead as well",
        dead,
        (
            Expected(alert("TargetDown", target="madre"), TICKETS, "its breaker is open for 10 min"),
            Expected(
                alert("RetryBudgetExhausted", target="madre"), NOBODY, "one retry in stock, and every attempt fails"
            ),
            Expected(alert("NobodyAnswers"), PAGER, "no breaker lets anybody pass for 10 min"),
        ),
        alive,
    ),
    Act(
        "the gateway is dead, and a policy is refused",
        mistaken,
        (
            Expected(alert("GatewayUnreachable"), PAGER, "no relayed request gets through"),
            Expected(alert("ReloadFailed"), TICKETS, "a deadline below zero"),
        ),
        corrected,
    ),
    Act(
        "the override is forgotten",
        forgotten,
        (Expected(alert("OverrideForgotten", kind="forced_open"), TICKETS, "held for an hour", cause="held"),),
        released,
    ),
    Act("all is well again", over),
)
GONE = Act("the sidecar is gone", gone, (Expected(alert("Down"), PAGER, "nothing to scrape for 2 min"),))
"""The end, apart from the rest: whoever wants to look at dashboards does without."""

LINGERING = frozenset({alert("UndegradedBurnSlow"), alert("AvailabilityBurnSlow"), alert("LatencyBurnSlow")})
"""They look back for hours at least, which are minutes here and more than the run has."""

TOLERATED = frozenset({alert("EventLoopStalls"), alert("Shedding", why="lag")})
"""They may fire: they say that the machine is busy with something else, and that is true now and then."""
