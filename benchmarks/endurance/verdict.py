"""What must be so after a soak, and is not."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from benchmarks.endurance.figures import Sample, second_half, slope
from benchmarks.endurance.load import AGAIN, CHATS_AWAY, RELAYS_AWAY
from benchmarks.endurance.town import JOURNAL, Seen
from benchmarks.faults.target import Target
from benchmarks.parts import ROOT

GROWTH = 2.0  # MiB an hour, of the second half
HELD_UP = 0.25  # seconds: half of what overload.wait allows
SPARE = 2  # timers that happen to run when nobody is there, and connections of probe and poll, kept for a while
LONG = 30.0  # minutes: below that, memory is still filling what is bounded


def of_requests(total: Counter[str]) -> list[str]:
    found = [f"{count} {word}" for word, count in sorted(total.items()) if word.startswith(("failed", "relay:"))]
    return found + ([f"{total['late']} late"] if total["late"] else [])


def of_shed(samples: Sequence[Sample]) -> list[str]:
    """Requests were turned away only while the machine was held up, by which our own loop was late, too."""
    calm = [sample.told.counts for sample in samples if sample.told.lateness < HELD_UP]
    away = sum(counts[CHATS_AWAY] + counts[RELAYS_AWAY] for counts in calm)
    return [f"{away} turned away while nobody was late"] if away else []


def of_rest(before: Seen, after: Seen) -> list[str]:
    """What is more than before anybody came."""
    found = [
        f"{name} {getattr(after, name)}, before {getattr(before, name)}"
        for name, spare in (("descriptors", SPARE), ("tasks", 0), ("timers", SPARE))
        if getattr(after, name) > getattr(before, name) + spare
    ]
    if after.under_way or after.held:
        found.append(f"{after.under_way} under way, {after.held} slots, places and permits held")
    return found


def of_growth(samples: Sequence[Sample]) -> list[str]:
    found = []
    if samples[-1].minute >= LONG and (grows := slope(second_half(samples)) * 60) > GROWTH:
        found.append(f"memory grows by {grows:.1f} MiB an hour")
    most = max(sample.seen.journal for sample in samples)
    if most > JOURNAL + 1.0:
        found.append(f"a journal of {most:.1f} MiB")
    return found


def of_targets(targets: Sequence[Target]) -> list[str]:
    """Nobody was sent a chat twice, but for those that clients sent twice."""
    return [
        f"{target.role} got {many} chats twice"
        for target in targets
        if (many := sum(count > 1 for text, count in Counter(target.asked).items() if not text.startswith(AGAIN)))
    ]


def of_metrics(text: str, total: Counter[str]) -> list[str]:
    """Every answer to a chat is counted once: what clients got, and those that they did not wait for."""
    counted = sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "vx11_sidecar_chat_requests_total"
    )
    sent = sum(
        count for word, count in total.items() if word.startswith(("by ", "failed", "left", "under way", CHATS_AWAY))
    )
    return [] if counted == sent else [f"{counted:.0f} chats counted, {sent} sent"]


def of_journal(journal: Path) -> list[str]:
    """All that is kept of it decides again as it did."""
    command = [sys.executable, "-m", "sidecar", "replay", str(journal)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return [] if ran.returncode == 0 else [f"the journal does not replay: {(ran.stdout + ran.stderr)[-300:]}"]
