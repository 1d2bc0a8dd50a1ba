"""``python -m tests.golden``: what the shipped policies make of the golden journals, written anew (``make golden``).

POLICY …     only these, by name (default patient solo_madre)
--record     record their journals anew first, from the lab, in some minutes: rarely needed, when a scene is added to the script or a
             journal of this version can no longer be read. Every line of the facts changes then, and wants to be read.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from .again import recorded
from .files import POLICIES, facts_of, journal_of, policy_of, told
from .record import record

LARGEST = 80 << 10  # bytes of a journal that one still looks into


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.golden", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("policies", nargs="*", metavar="POLICY", choices=[*POLICIES, []])
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args(arguments)
    for name in options.policies or POLICIES:
        if options.record:
            _record(name)
        text, file = told(name), facts_of(name)
        changed = not file.exists() or file.read_text(encoding="utf-8") != text
        if changed:
            file.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{file.name}: {'written' if changed else 'as it was'}\n")
    return 0


def _record(name: str) -> None:
    policy = policy_of(name)
    with tempfile.TemporaryDirectory() as directory:
        found = asyncio.run(record(policy, f"policies/{policy.name}", Path(directory)))
        _, fidelity = recorded(found)
        if fidelity.differing or fidelity.unfinished or found.stat().st_size > LARGEST:
            raise SystemExit(f"{name}: {found.stat().st_size} bytes, {fidelity}: not kept")
        journal_of(name).write_bytes(found.read_bytes())


if __name__ == "__main__":
    sys.exit(main())
