"""What became of the checks, as a table."""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.deploy.proxies.checks import Check
from tests.deploy.proxies.peers import Peer
from tests.deploy.proxies.picture import INSIDE, picture


async def checked(peer: Peer | str, checks: Sequence[Check], where: Path) -> dict[str, str]:
    """By the name of each check: ok, what is wrong, or - where there is nothing to check."""
    said: dict[str, str] = {}
    async with picture(peer, where) as at:
        for check in checks:
            if (check.behind and not at.behind_a_proxy) or (check.before and at.name == INSIDE):
                said[check.name] = "-"
                continue
            try:
                await check.run(at)
                said[check.name] = "ok"
            except Exception:  # noqa: BLE001 - one that fails keeps none of the others from being told
                said[check.name] = traceback.format_exc(limit=-2)
    return said


def table(rows: Mapping[str, Mapping[str, str]], checks: Sequence[Check]) -> str:
    names = [check.name for check in checks]
    lines = [["", *names]]
    lines += [
        [name, *(row[one] if row[one] in ("ok", "-") else "WRONG" for one in names)] for name, row in rows.items()
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
