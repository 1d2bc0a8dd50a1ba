"""Play the incident of tests/incident, and leave its Prometheus running for a while: to look at the dashboards with live data.

    python -m benchmarks.incident --seconds 600

prints what was broken when and which alerts that led to, where Prometheus listens, and from when to when there is something to see.
It ends by itself after the seconds, or with Ctrl-C. Needs prometheus and prometheus-alertmanager.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import shutil
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.parts import ROOT

sys.path.insert(0, str(ROOT / "tests"))  # as in a run of the tests: there lies what they share

from tests.incident import tables
from tests.incident.acts import ACTS
from tests.incident.run import play, rows, silent, surprises
from tests.incident.town import busy, town

BEFORE = 5  # seconds shown before the first act


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--seconds", type=float, default=600.0, help="how long Prometheus stays afterwards (%(default)g)"
    )
    arguments = parser.parse_args()
    if not 0 < arguments.seconds <= 86400:
        parser.error(f"--seconds {arguments.seconds:g}: must be above 0 and at most 86400")
    for program in ("prometheus", "prometheus-alertmanager"):
        if shutil.which(program) is None:
            parser.error(f"{program} is not installed")
    with tempfile.TemporaryDirectory() as where, contextlib.suppress(KeyboardInterrupt):
        return asyncio.run(_incident(Path(where), arguments.seconds))
    return 0


async def _incident(where: Path, seconds: float) -> int:
    """1 if an alert fired that should not have; raises if one that should did not."""
    async with town(where) as here:
        async with busy(here):
            await play(here)
        ended = time.time()
        unexpected = surprises(here, ACTS)
        for line in (
            *tables.acts(here.marks, ended),
            "",
            *tables.alerts(rows(here, ACTS), silent(here)),
            "",
            *unexpected,
        ):
            print(line)
        began = math.floor(min(here.marks.values())) - BEFORE
        print(f"Prometheus: {here.prometheus.url}\nfrom {began} to {math.ceil(ended)}, for {seconds:g} s from now")
        print(
            f"node render.mjs --prometheus {here.prometheus.url} --from {began} --to {math.ceil(ended)} --scrape-interval 1s …"
        )
        sys.stdout.flush()
        await asyncio.sleep(seconds)
    return 1 if unexpected else 0


if __name__ == "__main__":
    sys.exit(main())
