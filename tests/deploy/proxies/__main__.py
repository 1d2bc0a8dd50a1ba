"""The sidecar alone, inside an application and behind each proxy, all checks, in one table: ``python -m tests.deploy.proxies [--brief] [NAME…]``."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.deploy.proxies.checks import CHECKS
from tests.deploy.proxies.peers import PEERS, found
from tests.deploy.proxies.picture import ALONE, INSIDE
from tests.deploy.proxies.report import checked, table


async def _all(names: list[str], *, brief: bool) -> int:
    checks = [check for check in CHECKS if not (brief and check.slow)]
    rows: dict[str, dict[str, str]] = {}
    with tempfile.TemporaryDirectory() as where:
        for peer in (ALONE, INSIDE, *PEERS):
            name = peer if isinstance(peer, str) else peer.name
            if names and name not in names:
                continue
            if not isinstance(peer, str) and found(peer) is None:
                print(f"{name}: left out, it is not installed (make deps)", file=sys.stderr)
                continue
            rows[name] = await checked(peer, checks, Path(where) / name)
    print(table(rows, checks))
    wrong = {
        (name, check): said for name, row in rows.items() for check, said in row.items() if said not in ("ok", "-")
    }
    for (name, check), said in wrong.items():
        print(f"\n{name}, {check}: {said}")
    return 1 if wrong else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="sidecar, middleware, nginx, haproxy, traefik, caddy or envoy; none: all",
    )
    parser.add_argument("--brief", action="store_true", help="without the checks that wait for seconds")
    told = parser.parse_args()
    sys.exit(asyncio.run(_all(told.names, brief=told.brief)))
