"""The machine and the directories: descriptors, memory, journal, clocks."""

from __future__ import annotations

import asyncio
import os
from email.utils import parsedate_to_datetime
from pathlib import Path
from statistics import median

from sidecar.doctor.examination import Examination
from sidecar.doctor.host import memory_limit
from sidecar.doctor.result import Result, fail, ok, skipped, warn
from sidecar.edge.data.connection import MOST_WAITING
from sidecar.edge.descriptors import client_connections, least_limit
from sidecar.policy.units import size_text

NEARLY = 0.9  # of the connections asked for
IDLE_MEMORY = 64 << 20  # bytes, beyond which the sidecar does not go at rest
RELAYED = 256 << 10  # bytes that a relayed request keeps where its client reads nothing: 220 KiB were measured
CLOCK_NOTED, CLOCK_WRONG = 5.0, 300.0  # seconds; Date has whole seconds only
STEPPED = 1.0  # seconds between the wall clock and the monotonic one within one run


async def descriptors(exam: Examination) -> Result:
    """Every relayed connection takes two."""
    limit, whose = exam.host.descriptors(), "this process"
    if await exam.running():
        limit, whose = await _running_limit(exam) or limit, "the running sidecar"
    wanted = exam.policy.relay.limits.connections
    most = client_connections(limit)
    seen = f"{limit} file descriptors of {whose}: room for {most} of {wanted} client connections (relay.limits.connections)"
    cause = "each connection may need a second descriptor towards the gateway; connections beyond the room get a 503"
    remedy = (
        f"raise the limit to {least_limit(wanted)} (ulimit -Hn; LimitNOFILE= in systemd; ulimits: nofile in compose), "
        "or lower relay.limits.connections"
    )
    if most < exam.policy.overload.chats:
        return fail(
            seen, f"{cause}; this is less than the {exam.policy.overload.chats} chats of overload.chats", remedy
        )
    return ok(seen) if most >= wanted * NEARLY else warn(seen, cause, remedy)


async def _running_limit(exam: Examination) -> int | None:
    for line in (await exam.told("metrics")).text.splitlines():
        name, _, value = line.partition(" ")
        if name == "process_max_fds":
            try:
                return int(float(value))
            except (ValueError, OverflowError):
                return None
    return None


async def memory(exam: Examination) -> Result:
    limit = memory_limit(exam.host)
    policy = exam.policy
    chats, relays = policy.overload.chats * policy.guards.max_body, policy.overload.relays * RELAYED
    needed = IDLE_MEMORY + chats + relays + MOST_WAITING
    if limit is None:
        return ok("no memory limit of a control group here")
    seen = f"the control group allows {limit >> 20} MiB; needed at most {needed >> 20} MiB"
    cause = (
        f"at rest it takes up to {IDLE_MEMORY >> 20} MiB, {policy.overload.chats} chats of {size_text(policy.guards.max_body)} "
        f"{chats >> 20} MiB more, {policy.overload.relays} relayed requests {relays >> 20} MiB; beyond the limit the system kills it"
    )
    remedy = f"allow {needed >> 20} MiB (mem_limit, resources.limits.memory, MemoryMax=), or lower overload.chats and overload.relays"
    if limit < IDLE_MEMORY:
        return fail(seen, cause, remedy)
    return ok(seen) if limit >= needed else warn(seen, cause, remedy)


async def journal(exam: Examination) -> Result:
    directory = exam.settings.journal
    if directory is None:
        return skipped("no journal is asked for (--journal, journal.dir)")
    there = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    if not there.is_dir():
        return fail(
            f"{there} is no directory",
            "a file is where the journal should be",
            "name a directory (--journal, journal.dir)",
        )
    space = os.statvfs(there)
    if space.f_flag & os.ST_RDONLY or not exam.host.writable(there):
        return fail(
            f"{there} cannot be written by user {os.geteuid()}",
            "it is read-only, or belongs to somebody else: with a journal that cannot be written the sidecar does not start",
            "mount it writable and give it to the user of the sidecar (chown, or fsGroup in Kubernetes), or name another",
        )
    return _room(exam, directory, there, space.f_bavail * space.f_frsize)


def _room(exam: Examination, directory: Path, there: Path, free: int) -> Result:
    settings = exam.policy.journal
    most = settings.max_file * (settings.keep + 1)
    seen = f"{directory} can be written, {free >> 20} MiB free; the journal takes {most >> 20} MiB at most"
    if there != directory:
        seen = f"{directory} will be made, {free >> 20} MiB free; the journal takes {most >> 20} MiB at most"
    if free < most:
        return warn(
            seen,
            f"{settings.keep} closed files and an open one of {size_text(settings.max_file)} do not fit; when the disk is full, lines "
            "are lost, never a chat",
            "make room, or lower journal.keep and journal.max_file",
        )
    return ok(seen)


async def clock(exam: Examination) -> Result:
    """Ours against the Date of whoever answers, and the wall clock against the monotonic one."""
    wall, steady = exam.host.clock(), exam.host.monotonic()
    known = [name for name in ("gateway", "madre", "switch", "operator") if exam.service(name)]
    await asyncio.gather(*(exam.health(name) for name in known))
    drift = (exam.host.clock() - wall) - (exam.host.monotonic() - steady)
    if abs(drift) > STEPPED:
        return warn(
            f"our clock jumped by {drift:+.0f} s while we looked",
            "somebody set the clock, or the machine was asleep; deadlines and breakers count on the monotonic clock and are right all "
            "the same, times in logs are not",
            "let one time service set the clock, slowly (chrony, systemd-timesyncd)",
        )
    offs = {name: off for name, heard in exam.heard if (off := _off(heard.fields.get("Date"), heard.at)) is not None}
    if not offs:
        return skipped("no service answers with a Date to compare with")
    worst = max(offs, key=lambda name: abs(offs[name]))
    said = ", ".join(f"{name} {round(off):+d} s" for name, off in sorted(offs.items()))
    if abs(offs[worst]) <= CLOCK_NOTED:
        return ok(f"clocks agree within {CLOCK_NOTED:.0f} s ({said})")
    ours = len(offs) > 1 and min(abs(off) for off in offs.values()) > CLOCK_NOTED
    ours = ours and max(offs.values()) - min(offs.values()) <= CLOCK_NOTED
    whose = (
        f"ours, for all the others agree ({median(offs.values()):+.0f} s)" if ours else f"that of {worst}, most likely"
    )
    return (fail if abs(offs[worst]) > CLOCK_WRONG else warn)(
        f"clocks differ: {said}, against ours",
        f"one clock is wrong: {whose}; logs and metrics cannot be put side by side, and what ends at a time of day ends early or late",
        "let the same time service set the clocks of all machines (chrony, systemd-timesyncd); containers have that of their host",
    )


def _off(date: str | None, at: float) -> float | None:
    """Seconds by which a Date is ahead of us; it was cut to whole seconds."""
    try:
        return None if date is None else parsedate_to_datetime(date).timestamp() + 0.5 - at
    except (ValueError, OverflowError):
        return None
