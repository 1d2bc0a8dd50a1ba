"""The examples of docs/doctor.md, made by running the doctor on loopback.

``PYTHONPATH=tests:tests/doctor python -m tests.doctor.documented`` writes them anew; a test compares what stands there with what comes out.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from doctored import QUIET, Deployment, Examined, deployment, free, operator_backend, prometheus, serving

from sidecar.doctor.report import Look, as_text
from sidecar.doctor.result import Result, Told

PAGE = Path(__file__).parents[2] / "docs" / "doctor.md"
_BLOCK = re.compile(r"(<!-- example: (\w+) -->\n```text\n)(.*?)(```\n)", re.DOTALL)
_VARIES = re.compile(
    r"doctor-[0-9a-f]{16}|revision [0-9a-f]{12}|[+-]?[0-9]+(?:\.[0-9]+)? (?:ms|s|MiB)\b|[0-9]+ file descriptors|room for [0-9]+"
)
DONE = {"status": "ok", "sqlite": {"quick_check": 0, "integrity_check": 0, "foreign_key_check": 0}}


async def good(where: Path) -> str:
    async with (
        serving(operator_backend()) as operator,
        serving(prometheus("1")) as monitor,
        deployment(where) as town,
    ):
        town.open_window()
        town.teach_post_task(DONE)
        found = await town.examine(
            flags={"journal": str(where / "journal")}, operator=operator, prometheus=f"http://{monitor}", post_task=True
        )
        names = {
            operator: "127.0.0.1:8011",
            monitor: "127.0.0.1:9090",
            str(where / "journal"): "/var/lib/sidecar/journal",
        }
        options = (
            "--policy /etc/sidecar/policies --journal /var/lib/sidecar/journal \\\n"
            "                 --operator 127.0.0.1:8011 --prometheus http://127.0.0.1:9090 --post-task"
        )
        return _shown(options, town, found, names)


async def token(where: Path) -> str:
    """The switch has another token."""
    async with deployment(where, "switch=unauthorised") as town:
        return _shown("--policy /etc/sidecar/policies --only token chat", town, await town.examine("token", "chat"))


async def switch(where: Path) -> str:
    """The switch refuses connections, and should be on."""
    async with deployment(where, "switch=refuse") as town:
        town.open_window()
        found = await town.examine("switch", "madre", "chat")
        return _shown("--policy /etc/sidecar/policies --only switch madre chat", town, found)


async def moved(where: Path) -> str:
    """The gateway has not been moved, and the policy is mounted as a file."""
    async with deployment(where, running=False) as town:
        held = town.lab.gateway_url.removeprefix("http://")
        (town.policy / "policy.yaml").write_text("deadline: {client: 8s}\n")
        mounts = where / "mounts"
        mounts.write_text(f"36 22 8:1 /home/ana/policy.yaml {town.policy / 'policy.yaml'} ro - ext4 /dev/sda1 rw\n")
        admin = free()
        found = await town.examine(
            "port",
            "gateway",
            "deadline",
            "policy.updates",
            flags={"listen": held, "admin": admin},
            host=QUIET._replace(mounts=mounts),
        )
        options = "--gateway 127.0.0.1:8000 --policy /etc/sidecar/policies --only port gateway deadline policy.updates"
        return _shown(options, town, found, {held: "127.0.0.1:8000", admin: "127.0.0.1:9180"})


EXAMPLES: Mapping[str, Callable[[Path], Awaitable[str]]] = {
    "good": good,
    "token": token,
    "switch": switch,
    "moved": moved,
}


def _shown(options: str, town: Deployment, found: Examined, names: Mapping[str, str] | None = None) -> str:
    """As a terminal would show it where everything has its usual address."""
    lab, flags = town.lab, town.flags
    usual = {
        **(names or {}),
        str(flags["listen"]): "127.0.0.1:8000",
        str(flags["admin"]): "127.0.0.1:9180",
        lab.gateway_url.removeprefix("http://"): "127.0.0.1:8010",
        lab.switch_url.removeprefix("http://"): "127.0.0.1:8002",
        lab.madre_url.removeprefix("http://"): "127.0.0.1:8001",
        str(town.policy): "/etc/sidecar/policies",
    } | dict(names or {})

    def plain(text: str) -> str:
        for real, shown in usual.items():
            text = text.replace(real, shown)
        return text

    told = [Told(t.check, Result(t.result.state, *map(plain, t.result[1:])), t.seconds) for t in found.told]
    seconds = max(each.seconds for each in told)
    return f"$ sidecar doctor {options}\n{as_text(told, seconds, Look(width=120))}$ echo $?\n{found.code}\n"


def stands() -> dict[str, str]:
    """The examples as they are on the page."""
    return {name: text for _, name, text, _ in _BLOCK.findall(PAGE.read_text(encoding="utf-8"))}


def words(text: str) -> list[str]:
    """What must be the same in every run: all but times, sizes and ids."""
    return _VARIES.sub("…", " ".join(text.split())).split()


@asynccontextmanager
async def _folder() -> AsyncIterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


async def _write() -> None:
    made = {}
    for name, example in EXAMPLES.items():
        async with _folder() as where:
            made[name] = await example(where)
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(_BLOCK.sub(lambda block: block[1] + made[block[2]] + block[4], page), encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(_write())
