"""Does a prediction come true? Record under policy A, predict policy B from that journal, then run B live on the same arrivals.

Six fixed scenes, and four in which a prediction from a journal must be bad; ``benchmarks.fidelity_scenes`` says what they are. Each run is
a real sidecar with real sockets in front of a lab, at the pace of real time. Arrivals (Poisson), turns of the world and what the lab draws
come from seeds that are drawn now and printed; the lab of B has other ones than that of A. The bars: shares within 1 point, quantiles
within 10 %. Beside the prediction stands the naive one, that B would be as A was. All takes some 35 minutes.

    python -m benchmarks.fidelity --only a,f --seed 7
    python -m benchmarks.fidelity --journals DIR      # keeps the journals,
    python -m benchmarks.fidelity --again DIR         # and these predict from kept ones, without running anything

Exit status 1: a figure of a fixed scene was not within its bar, a live call was not decided again as it was, or a run failed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.fidelity_compare import Compared, Played, as_json, compare, passed, show
from benchmarks.fidelity_live import policy
from benchmarks.fidelity_predict import Predicted, RunError, predict
from benchmarks.fidelity_scenes import SCENES, Scene
from benchmarks.parts import ROOT
from sidecar.lab.load import MOST_CALLS
from sidecar.lab.luck import LARGEST, new_seed

LANES = 2  # live runs at the same time, at most: more, and they would measure each other


def seeds_of(seed: int, scene: Scene) -> dict[str, int]:
    """One seed each for the arrivals, the turns, and the labs of A and B."""
    random = Random(f"{seed} {scene.key}")
    return {name: random.randint(0, LARGEST) for name in ("arrivals", "turns", "lab_a", "lab_b")}


def live(scene: Scene, side: str, calls: int, seeds: Mapping[str, int], where: Path) -> dict[str, Any]:
    """One run in a process of its own; what it said."""
    asked = {"scene": scene.key, "side": side, "calls": calls, "journal": where / side}
    asked |= {"arrivals": seeds["arrivals"], "turns": seeds["turns"], "lab": seeds[f"lab_{side}"]}
    options = [part for name, value in asked.items() for part in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "benchmarks.fidelity_live", *options]
    limit = calls / scene.rate * 1.5 + 60
    try:
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=False, timeout=limit)
    except subprocess.TimeoutExpired:
        raise RunError(f"scene {scene.key}, policy {side}: the live run took longer than {limit:.0f} s") from None
    if done.returncode:
        raise RunError(f"scene {scene.key}, policy {side}: the live run ended with {done.returncode}")
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def play(scene: Scene, calls: int | None, seed: int, where: Path) -> Compared:
    """A live, B predicted, B live, compared; in this order. Notes go beside the journals, into a directory of the scene."""
    seeds, where = seeds_of(seed, scene), where / scene.key
    calls = calls or scene.calls
    notes = {"a": live(scene, "a", calls, seeds, where)}
    told, seconds = predicted(scene, where)
    notes["b"] = live(scene, "b", calls, seeds, where)
    kept = {"seeds": seeds, "notes": notes, "policies": [scene.a, scene.b]}
    (where / "notes.json").write_text(json.dumps(kept))
    return compare(Played(scene, seeds, notes, where), told, seconds)


def again(scene: Scene, where: Path) -> Compared:
    """From kept journals."""
    where = where / scene.key
    kept = json.loads((where / "notes.json").read_text())
    if kept["policies"] != [scene.a, scene.b]:
        raise RunError(f"{where}: was recorded with other policies than the scene has now")
    return compare(Played(scene, kept["seeds"], kept["notes"], where), *predicted(scene, where))


def predicted(scene: Scene, where: Path) -> tuple[Predicted, float]:
    """B from A's journal alone, and how many seconds that took."""
    began = time.perf_counter()
    return predict([where / "a"], policy(scene, "b")), time.perf_counter() - began


def each(
    scenes: Sequence[Scene], work: Callable[[Scene], Compared], lanes: int
) -> tuple[list[Compared], list[RunError]]:
    """Those that came to something in the order of ``scenes``, and why the others did not.

    The longest begin first, so that the lanes end together.
    """
    with ThreadPoolExecutor(lanes) as executor:
        futures = {
            scene.key: executor.submit(work, scene)
            for scene in sorted(scenes, key=lambda scene: -scene.calls / scene.rate)
        }
    ends = [(futures[scene.key], futures[scene.key].exception()) for scene in scenes]
    failed = [error for _, error in ends if isinstance(error, RunError)]
    return [future.result() for future, error in ends if not isinstance(error, RunError)], failed


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments = _asked(parser, argv)
    seed: int | None = None
    if arguments.again:
        found, failed = each(arguments.only, partial(again, where=arguments.again), 1)
    else:
        seed = new_seed() if arguments.seed is None else arguments.seed
        print(f"seed {seed}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.2f} before", file=sys.stderr)
        with tempfile.TemporaryDirectory() as temporary:
            where = arguments.journals or Path(temporary)
            work = partial(play, calls=arguments.calls, seed=seed, where=where)
            found, failed = each(arguments.only, work, arguments.lanes)
    if arguments.output == "json":
        print(as_json(seed, found))
    else:
        show(found)
    for error in failed:
        print(error, file=sys.stderr)
    return int(bool(failed) or not passed(found))


def _asked(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    add = parser.add_argument
    add("--calls", type=int, help="of each scene and policy (as the scene has it, at least 2,000)")
    add("--only", type=_scenes, default=list(SCENES), metavar="a,b,…", help="these scenes")
    add("--seed", type=int, help="all seeds follow from it (drawn and printed)")
    add("--lanes", type=int, choices=(1, 2), default=LANES, help="live runs at the same time (%(default)s)")
    add("--output", choices=("text", "json"), default="text")
    kept = parser.add_mutually_exclusive_group()
    kept.add_argument("--journals", type=Path, metavar="DIR", help="keep the journals here; must be empty or not there")
    kept.add_argument("--again", type=Path, metavar="DIR", help="predict and compare kept journals, run nothing")
    arguments = parser.parse_args(argv)
    if arguments.calls is not None and not 0 < arguments.calls <= MOST_CALLS:
        parser.error(f"--calls {arguments.calls}: must be above 0 and at most {MOST_CALLS}")
    if arguments.journals and arguments.journals.exists() and any(arguments.journals.iterdir()):
        parser.error(f"--journals {arguments.journals}: is not empty")
    for scene in arguments.only if arguments.again else ():
        if not (arguments.again / scene.key / "notes.json").is_file():
            parser.error(f"--again {arguments.again}: holds no whole scene {scene.key}; --only names those it holds")
    return arguments


def _scenes(text: str) -> list[Scene]:
    known = {scene.key: scene for scene in SCENES}
    asked = [key.strip() for key in text.split(",")]
    unknown = [key for key in asked if key not in known]
    if unknown:
        raise argparse.ArgumentTypeError(f"no scene {', '.join(map(repr, unknown))}; there are {', '.join(known)}")
    return [scene for scene in SCENES if scene.key in asked]


if __name__ == "__main__":
    sys.exit(main())
