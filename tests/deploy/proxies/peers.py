"""The five proxies with the very files of ``deploy/proxies``: nothing in them is changed but where servers are."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import NamedTuple

from benchmarks.proxies.process import free_port, last_words, program

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy" / "proxies"
INSTALLED = ROOT / ".venv" / "proxies" / "bin"  # by ``make deps``
READY = 20.0  # seconds
ADDRESS = re.compile(r"(127\.0\.0\.1:|port_value: |http://:)(\d+)\b")
PROXY, GATEWAY, SIDECAR, ADMIN = "8080", "8000", "8010", "9180"  # ports in the files
WRAPPED = """daemon off; worker_processes 1; pid {where}/pid; error_log stderr warn;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {where}/body; proxy_temp_path {where}/proxy; fastcgi_temp_path {where}/fastcgi;
    uwsgi_temp_path {where}/uwsgi; scgi_temp_path {where}/scgi;
    include {where}/vx11.conf;
}}
"""


class Peer(NamedTuple):
    """``command`` has ``{PROGRAM}`` and ``{WHERE}``; ``changes`` are texts of the files and what stands there instead."""

    name: str
    command: tuple[str, ...]
    changes: tuple[tuple[str, str], ...] = ()

    def failing_over(self) -> Peer:
        """With the lines in force that are commented out."""
        return self._replace(changes=(*self.changes, *FAIL_OVER[self.name]))


PEERS = (
    Peer("nginx", ("{PROGRAM}", "-e", "stderr", "-c", "{WHERE}/nginx.conf")),
    Peer("haproxy", ("{PROGRAM}", "-db", "-f", "{WHERE}/haproxy.cfg"), (("/etc/haproxy/", "{WHERE}/"),)),
    Peer("traefik", ("{PROGRAM}", "--configFile={WHERE}/traefik.yaml"), (("/etc/traefik/", "{WHERE}/"),)),
    Peer("caddy", ("{PROGRAM}", "run", "--adapter", "caddyfile", "--config", "{WHERE}/Caddyfile")),
    Peer(
        "envoy",
        ("{PROGRAM}", "--disable-hot-restart", "--concurrency", "1", "-l", "warning", "-c", "{WHERE}/envoy.yaml"),
    ),
)


FAIL_OVER: Mapping[str, tuple[tuple[str, str], ...]] = {
    "nginx": (("# server 127.0.0.1:8000 backup;", "server 127.0.0.1:8000 backup;"),),
    "haproxy": (
        ("# default-server check", "default-server check"),
        ("# server gateway 127.0.0.1:8000 backup", "server gateway 127.0.0.1:8000 backup"),
    ),
    "traefik": (
        ("service: sidecar  # or chat", "service: chat  # or sidecar"),
        ("    # chat:\n    #   failover", "    chat:\n      failover"),
        ("    # watched:\n    #   load", "    watched:\n      load"),
        ("    #     servers: [", "        servers: ["),
        ("    #     healthCheck", "        healthCheck"),
    ),
    "caddy": tuple((f"# {word} ", f"{word} ") for word in ("to", "lb_policy", "lb_retries", "fail_duration")),
    "envoy": (
        ("# health_checks", "health_checks"),
        ("# - priority: 1", "- priority: 1"),
        ("#   lb_endpoints", "  lb_endpoints"),
    ),
}  # fmt: skip


def found(peer: Peer) -> str | None:
    """Its program: Debian's, or the one that ``make deps`` installed."""
    installed = INSTALLED / peer.name
    if installed.exists():
        return str(installed)
    return program(peer.name) if peer.name in ("nginx", "haproxy") else None


def moved(text: str, ports: Mapping[str, int]) -> str:
    """With every address of loopback where it is now. Raises KeyError for one that nobody expected."""
    return ADDRESS.sub(lambda match: f"{match[1]}{ports[match[2]]}", text)


def placed(peer: Peer, where: Path, ports: Mapping[str, int]) -> None:
    """The files of ``deploy`` in ``where``. Raises ValueError if they do not name what is moved."""
    where.mkdir(parents=True, exist_ok=True)
    whole = ""
    for path in sorted((DEPLOY / peer.name).iterdir()):
        text = path.read_text()
        whole += text
        for old, new in peer.changes:
            text = text.replace(old, new.replace("{WHERE}", str(where)))
        (where / path.name).write_text(moved(text, ports))
    missing = sorted(ports.keys() - {match[2] for match in ADDRESS.finditer(whole)})
    missing += [old for old, _ in peer.changes if whole.count(old) != 1]
    if missing:
        raise ValueError(f"{peer.name}: its files do not name {', '.join(missing)}")
    if peer.name == "nginx":
        (where / "nginx.conf").write_text(WRAPPED.format(where=where))


@contextlib.asynccontextmanager
async def serving(peer: Peer, where: Path, *, gateway: int, sidecar: int, admin: int) -> AsyncIterator[int]:
    """From its start to its end; the port it listens on. Raises RuntimeError with its last words."""
    listen = free_port()
    placed(peer, where, {PROXY: listen, GATEWAY: gateway, SIDECAR: sidecar, ADMIN: admin})
    binary = found(peer)
    assert binary is not None
    command = [part.replace("{PROGRAM}", binary).replace("{WHERE}", str(where)) for part in peer.command]
    homes = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), str(where))
    log = where / "log"
    with log.open("ab") as said:
        process = await asyncio.create_subprocess_exec(
            *command, env={**os.environ, **homes}, stdin=asyncio.subprocess.DEVNULL, stdout=said, stderr=said
        )
    try:
        await _listening(process, listen, log)
        yield listen
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 5)
            except TimeoutError:
                process.kill()
                await process.wait()


async def _listening(process: asyncio.subprocess.Process, port: int, log: Path) -> None:
    async with asyncio.timeout(READY):
        while True:
            if process.returncode is not None:
                raise RuntimeError(f"ended with status {process.returncode}: {last_words(log)}")
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"GET /health HTTP/1.1\r\nHost: vx11.test\r\nConnection: close\r\n\r\n")
                line = await reader.readline()
                writer.close()
                if b" 200 " in line:  # some listen before they know their routes
                    return
            await asyncio.sleep(0.02)
