"""What each feature of a policy does in the lab, off and on side by side: where it helps, and where it would hurt and its guard holds.

    python -m benchmarks.policies                        # every scene, three seeds
    python -m benchmarks.policies retry_budget --seeds 5 # the scenes of a feature
    python -m benchmarks.policies retry_budget.helps --seed 7
    python -m benchmarks.policies --list

A real ``sidecar serve`` stands in front of a lab that misbehaves. Both sides meet the same arrivals, and a lab of the same seed; they take
turns. Figures are by the client's clock and by the sidecar's own metrics: the median of the seeds, in brackets the least and the most.
Everything is on loopback and free ports, and ends by itself.

Exit status 1: something that is claimed of a scene did not hold, or a run failed.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from random import Random

from benchmarks.policies import report
from benchmarks.policies.play import Played, play
from benchmarks.policies.scene import Scene
from benchmarks.policies.scenes import SCENES
from sidecar.lab.luck import LARGEST, new_seed

SEEDS = 3
MOST_SEEDS = 100


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments = _asked(parser, argv)
    if arguments.list:
        for scene in SCENES:
            print(f"{scene.key:<24}{scene.title}")
        return 0
    first = new_seed() if arguments.seed is None else arguments.seed
    print(f"seed {first}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.2f} before", file=sys.stderr)
    good = [_played(scene, seeds_of(first, scene, arguments.seeds)) for scene in arguments.scenes]
    return 0 if all(good) else 1


def seeds_of(seed: int, scene: Scene, count: int) -> list[int]:
    """One for each round; all follow from one number."""
    random = Random(f"{seed} {scene.key}")
    return [random.randint(0, LARGEST) for _ in range(count)]


def _played(scene: Scene, seeds: Sequence[int]) -> bool:
    """Whether everything that is claimed of it held; shows it."""
    try:
        played = play(scene, seeds, heard=lambda words: print(words, file=sys.stderr))
    except (RuntimeError, LookupError, TimeoutError, OSError) as error:
        print(f"{scene.key}: {type(error).__name__}: {error}", file=sys.stderr)
        return False
    _show(played)
    return not played.broken()


def _show(played: Played) -> None:
    for line in (*report.lines(played), ""):
        print(line, flush=True)


def _asked(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    add = parser.add_argument
    add("scenes", nargs="*", metavar="SCENE", help="a scene or a feature, as --list has them (default: all)")
    add("--seeds", type=int, default=SEEDS, metavar="N", help="rounds, each with a seed of its own (%(default)s)")
    add("--seed", type=int, metavar="SEED", help="all seeds follow from it (drawn and printed)")
    add("--list", action="store_true", help="name the scenes")
    arguments = parser.parse_args(argv)
    if not 0 < arguments.seeds <= MOST_SEEDS:
        parser.error(f"--seeds {arguments.seeds}: must be above 0 and at most {MOST_SEEDS}")
    if arguments.seed is not None and not 0 <= arguments.seed <= LARGEST:
        parser.error(f"--seed {arguments.seed}: must be from 0 to {LARGEST}")
    wanted = arguments.scenes
    unknown = [word for word in wanted if all(word not in (scene.key, scene.feature) for scene in SCENES)]
    if unknown:
        known = ", ".join(dict.fromkeys(scene.feature for scene in SCENES))
        parser.error(f"no scene {unknown[0]!r}; there are {known}, each with .helps and .guarded")
    arguments.scenes = [scene for scene in SCENES if not wanted or scene.key in wanted or scene.feature in wanted]
    return arguments


if __name__ == "__main__":
    sys.exit(main())
