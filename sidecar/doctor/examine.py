"""Run the checks, all at once but for those that must come last, within the time given."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from sidecar.doctor.asking import Client
from sidecar.doctor.checks import Check, chosen
from sidecar.doctor.examination import Examination
from sidecar.doctor.host import Host
from sidecar.doctor.result import Result, Told, fail, skipped
from sidecar.doctor.setup import Wanted, read_setup

HERE = Host()


async def examine(wanted: Wanted, environ: Mapping[str, str], host: Host = HERE) -> list[Told]:
    """Every check that is wanted with its result. Raises ValueError for one that does not exist, or an address that is none."""
    checks = chosen(wanted.only)
    setup = read_setup(wanted, environ)
    ends = time.monotonic() + wanted.timeout
    async with Client() as client:
        exam = Examination(wanted, setup, host, client)
        try:
            first = {name: check for name, check in checks.items() if not check.last}
            told = await _run(exam, first, ends)
            told |= await _run(exam, {name: check for name, check in checks.items() if check.last}, ends)
        finally:
            await exam.close()
    return [told[name] for name in checks]


async def _run(exam: Examination, checks: Mapping[str, Check], ends: float) -> dict[str, Told]:
    loop = asyncio.get_running_loop()
    tasks = {name: loop.create_task(_told(exam, name, check)) for name, check in checks.items()}
    if not tasks:
        return {}
    await asyncio.wait(tasks.values(), timeout=max(ends - time.monotonic(), 0.0))
    late = [task for task in tasks.values() if not task.done()]
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    return {
        name: Told(name, _too_late(exam), exam.wanted.timeout) if task.cancelled() else task.result()
        for name, task in tasks.items()
    }


async def _told(exam: Examination, name: str, check: Check) -> Told:
    began = time.perf_counter()
    result: Result
    if check.needs_settings and exam.setup.settings is None:
        result = skipped("there are no settings to go by (see settings)")
    else:
        try:
            result = await check.run(exam)
        except Exception as error:  # noqa: BLE001 - a fault of one check must not hide what the others found
            result = fail(
                f"this check broke: {type(error).__name__}",
                "a fault of the doctor itself",
                "please report it; the other checks stand",
            )
    return Told(name, result, time.perf_counter() - began)


def _too_late(exam: Examination) -> Result:
    return fail(
        f"no result within {exam.wanted.timeout:g} s",
        "somebody it asks, or waits for, is very slow",
        "see what the other checks say of that; or give it more time (--timeout)",
    )
