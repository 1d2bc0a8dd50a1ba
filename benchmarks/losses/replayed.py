"""What ``sidecar replay`` says of a journal."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.parts import ROOT


async def replayed(journal: Path) -> dict[str, Any]:
    """The whole of it, in a process of its own; raises RuntimeError if there is nothing to replay."""
    command = (sys.executable, "-m", "sidecar", "replay", str(journal), "--output", "json")
    done = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, capture_output=True, check=False)
    if done.returncode not in (0, 1):
        raise RuntimeError(done.stderr.decode())
    found: dict[str, Any] = json.loads(done.stdout)
    return found
