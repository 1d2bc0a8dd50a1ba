"""Does ``sidecar recommend`` find what is known? A real lab with drawn latencies, a real sidecar, its journal, and the advice from it.

switch and madre answer after lognormal times whose parameters are drawn now and printed, so that the right attempt timeout, reserve and
quantiles are known without looking at the journal; the switch hangs now and then for a known time, which says what the open time should
be. Then the policy that is proposed is held against the default in the replay.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import sys
import tempfile
from pathlib import Path
from random import Random, SystemRandom
from statistics import NormalDist

import uvloop

from benchmarks.fidelity_live import Asked, play
from benchmarks.fidelity_scenes import Scene, spells
from benchmarks.parts import table
from sidecar.lab.load import poisson
from sidecar.policy.load import parse
from sidecar.policy.units import seconds
from sidecar.replay.recommend import advise
from sidecar.replay.study import study

BAR = 0.10
TRANSPORT = 0.004  # seconds that sockets, client and loops of this process take beside what the lab draws, about


def scene_of(luck: Random, rate: float, calls: int) -> tuple[Scene, dict[str, float]]:
    """A scene, and what is true in it."""
    median, sigma = luck.uniform(0.2, 0.5), luck.uniform(0.3, 0.5)
    hers, spread = luck.uniform(0.3, 0.5), luck.uniform(0.2, 0.35)
    hang = luck.uniform(4.0, 8.0)
    usual = f"switch=lognormal:{median:.3f}:{sigma:.3f}"
    scene = Scene(
        key="r",
        name="known latencies",
        rate=rate,
        calls=calls,
        usual=(usual, "madre=detached", f"madre=lognormal:{hers:.3f}:{spread:.3f}"),
        turns=spells("switch=hang", (usual,), hang, (12.0, 25.0)),
        a="""
dormant: {mode: ignore}
breaker: {open: {base: 1s, max: 1s, multiplier: 1}, half_open: {close_after: 1}}
targets:
  - {name: switch, limiter: {max_concurrent: 48, queue: 16}}
  - {name: madre, limiter: {max_concurrent: 48, queue: 16}}
""",
        b="",
    )
    z = NormalDist().inv_cdf
    true = {
        "switch timeouts.attempt": median * math.exp(sigma * z(0.995)) + TRANSPORT,
        "madre reserve": hers * math.exp(spread * z(0.95)) + TRANSPORT + 0.057,  # her own work comes on top
        "switch breaker.open.base": math.sqrt(2 * hang / rate),
    }
    return scene, true


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=3_000)
    parser.add_argument("--rate", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=SystemRandom().randint(0, 2**32 - 1))
    arguments = parser.parse_args()
    luck = Random(arguments.seed)
    scene, true = scene_of(luck, arguments.rate, arguments.calls)
    print(f"seed {arguments.seed}: {' '.join(scene.usual)}")
    with tempfile.TemporaryDirectory() as folder:
        offsets = poisson(luck.getrandbits(32), scene.rate, scene.calls)
        asked = Asked(scene, "a", offsets, luck.getrandbits(32), luck.getrandbits(32), Path(folder))
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            said = runner.run(play(asked))
        found = study([Path(folder)])
        advice = advise(found, parse("dormant: {mode: ignore}", "default"))
    print(json.dumps(said))
    proposed = {f"{one.proposal.target} {one.proposal.path}": one.proposal for one in advice.tried}
    why = {f"{one.target} {one.path}": one.why for one in advice.missing}
    rows, off = [], []
    for name, value in true.items():
        one = proposed.get(name)
        if one is None:
            rows.append([name, f"{value:.3f}", "nothing", "", why.get(name, "tried, and left out")])
            off.append(math.inf)
            continue
        off.append(seconds(one.value) / value - 1)
        rows.append([name, f"{value:.3f}", one.value, f"{off[-1]:+.1%}", one.evidence])
    table([f"{found.calls} calls", "true", "found", "off by", "evidence"], rows)
    print(f"\n{advice.verdict}\n")
    print(
        f"Target: within {BAR:.0%}, and better than the default with an interval that excludes zero. Measured: {max(map(abs, off)):.1%}."
    )
    sys.exit(max(map(abs, off)) > BAR)


if __name__ == "__main__":
    main()
