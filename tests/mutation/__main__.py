"""``python -m tests.mutation [--keep]``: small faults put into the core one at a time, and whether its tests find them.

mutmut makes them (``tool.mutmut`` in pyproject.toml says of what, and which tests are asked), thousands in half an hour on two cores. Then a table by module, and
those that live: why each of them may, or that nobody has said so yet. Exits with 1 where fewer than nine in ten are killed. ``--keep`` shows what
the last run has left in ``mutants``.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from benchmarks.parts import ROOT
from benchmarks.parts import table as printed

from .explained import explanation
from .survivors import Mutant, changed, mutants, share, table

FOLDER = ROOT / "mutants"
LEAST = 0.9
HEAD = ("module", "mutants", "killed", "by a timeout", "survived", "untested", "share")


def run() -> None:
    """Anew: mutmut keeps what it knows of files that are as they were, also where the tests have changed."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    log = ROOT / "mutants.log"
    with log.open("wb") as said:  # it draws its progress hundreds of times a second
        subprocess.run([sys.executable, "-m", "mutmut", "run"], cwd=ROOT, stdout=said, stderr=said, check=False)
    log.unlink()


def tell(found: list[Mutant]) -> None:
    printed(HEAD, table(found))
    reasons: dict[str, list[str]] = defaultdict(list)
    for mutant in found:
        if mutant.lives:
            change = changed(mutant)
            why = explanation(mutant, change) or "nobody has said why"
            reasons[why].append(f"{mutant.module} {mutant.function}: {change.before}  →  {change.after}")
    for why, each in sorted(reasons.items(), key=lambda reason: -len(reason[1])):
        print(f"\n{why} ({len(each)})")
        for line in each:
            print(f"    {line}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--keep", action="store_true", help="what the last run found, shown again")
    if not parser.parse_args().keep:
        run()
    found = mutants(Path(FOLDER))
    tell(found)
    return 0 if share(found) >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
