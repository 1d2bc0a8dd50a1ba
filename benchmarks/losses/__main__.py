"""Kill tests, as a table: what is lost, what is said of it, and how it recovers.

    python -m benchmarks.losses [--seed N] [--brief] [NAME…]

Each case starts ``sidecar serve`` as a process of its own, takes something away from it while chats go on, and gives it back. A NAME
chooses the cases that begin with it. Exits with 1 if a claim does not hold.
"""

from __future__ import annotations

import argparse
import sys
import time

from benchmarks.losses.case import markdown
from benchmarks.losses.catalogue import CASES
from benchmarks.losses.play import play
from sidecar.lab.luck import new_seed


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.losses", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("names", nargs="*", metavar="NAME", help="the first words of cases; none: all")
    parser.add_argument("--seed", type=int, default=new_seed())
    parser.add_argument("--brief", action="store_true", help="some of them, shorter: the form of the tests")
    parser.add_argument("--figures", action="store_true", help="all figures of each case, too")
    told = parser.parse_args(arguments)
    unknown = [name for name in told.names if not any(case.name.startswith(name) for case in CASES)]
    if unknown:
        parser.error(f"no case {unknown[0]!r}; there are {', '.join(case.name for case in CASES)}")
    wanted = tuple(told.names)
    chosen = [case for case in CASES if (case.name.startswith(wanted) if wanted else case.brief or not told.brief)]
    began, rows, broken = time.monotonic(), [], 0
    for case in chosen:
        found = play(case, told.seed, brief=told.brief)
        rows.append(case.row(found))
        broken += bool(case.broken(found))
        if told.figures:
            print(f"{case.name}: " + ", ".join(f"{name} {value:.4g}" for name, value in found.items()), file=sys.stderr)
    print("\n".join(markdown(rows)))
    print(f"\n{len(rows)} cases, {broken} broken, seed {told.seed}; {time.monotonic() - began:.0f} s")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
