"""Pods are replaced under load, behind a Service that learns of it late: what it takes so that nobody notices, and what it costs without."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from benchmarks.zero_loss import ENVIRON, TOKEN, Load
from tests.deploy.cluster import Forwarder, Pod, Service
from tests.deploy.kustomization import container, deployment, flag
from tests.deploy.units import seconds

DELAY, GRACE = 2.0, 2.0  # seconds; the manifests have more of both
SLEEP = DELAY + GRACE + 0.5


async def rollouts(
    count: int, places: list[str], where: Path, *, delay: float = DELAY, gateway_sleeps: float | None = SLEEP
) -> Load:
    """``count`` times a new pod starts, and when the Service knows it the one before it ends."""
    gateway = places[places.index("--gateway") + 1]
    leave = ("--drain-delay", f"{delay:g}s", "--grace", f"{GRACE:g}s")
    async with Service() as service, contextlib.AsyncExitStack() as stack:

        async def pod() -> tuple[Pod, asyncio.Task[None]]:
            own = await stack.enter_async_context(Forwarder())
            own.ends.append(int(gateway.rpartition(":")[2]))
            made = await Pod.start(own, places, leave, where)
            stack.push_async_callback(made.sidecar.end)
            following = asyncio.create_task(service.follow(made))
            async with asyncio.timeout(30):
                while made.port not in service.ends:  # noqa: ASYNC110 - the list is all there is to look at
                    await asyncio.sleep(0.02)
            return made, following

        running, following = await pod()
        load = Load(service.port, TOKEN)
        async with load.at_work():
            for _ in range(count):
                newer, followed = await pod()
                await running.end(gateway_sleeps=gateway_sleeps)
                await asyncio.wait_for(following, 10)
                running, following = newer, followed
            await asyncio.sleep(0.3)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    assert ENVIRON["VX11_TENTACULO_LINK_TOKEN"] == TOKEN
    return load


def shown(capsys: pytest.CaptureFixture[str], what: str, load: Load) -> None:
    failed = "".join(f"; {many} x {how}" for how, many in sorted(load.failed.items()))
    with capsys.disabled():
        print(f"\n  {what:<56}{'kept':>7}{'fresh':>7}{'failed':>7}")
        print(f"  {'':<56}{load.answered['kept']:>7}{load.answered['fresh']:>7}{load.failed.total():>7}{failed}")


@pytest.mark.parametrize("count", [1, pytest.param(20, marks=pytest.mark.slow)])
async def test_a_rollout_fails_no_request(places, tmp_path, capsys, count) -> None:
    load = await rollouts(count, places, tmp_path)
    shown(capsys, f"{count} x rollout, --drain-delay, the gateway outlives us", load)
    assert load.failed.total() == 0, load.failed
    assert min(load.answered["kept"], load.answered["fresh"]) > 50 * count


async def test_without_a_delay_who_is_still_sent_to_the_old_pod_is_refused(places, tmp_path, capsys) -> None:
    load = await rollouts(1, places, tmp_path, delay=0.0, gateway_sleeps=GRACE + 0.5)
    shown(capsys, "1 rollout without --drain-delay: the control", load)
    assert sum(many for how, many in load.failed.items() if how.startswith("fresh")) > 0


async def test_where_the_gateway_ends_first_its_clients_get_502(places, tmp_path, capsys) -> None:
    """What would happen without the preStop hooks: a native sidecar is told to end after everybody else has ended."""
    load = await rollouts(1, places, tmp_path, gateway_sleeps=None)
    shown(capsys, "1 rollout without the preStop hooks: the control", load)
    assert load.failed["kept: 502"] + load.failed["fresh: 502"] > 0


def test_the_manifests_have_these_times_in_this_order() -> None:
    pod = deployment()["spec"]["template"]["spec"]
    delay, grace = seconds(flag("--drain-delay")), seconds(flag("--grace"))
    sleep = container("gateway")["lifecycle"]["preStop"]["sleep"]["seconds"]
    probe = container("sidecar")["readinessProbe"]
    assert delay > probe["periodSeconds"] * probe["failureThreshold"]
    assert delay + grace < sleep
    assert sleep + grace + delay < pod["terminationGracePeriodSeconds"]
    assert container("sidecar")["lifecycle"]["preStop"]["exec"]["command"][-1] == "kill -TERM 1"
