"""Where everything is and who may come in: flags, then environment, then policy, then defaults.

Fails closed: without a token nobody could be told from anybody else, so the sidecar does not start unless somebody has said
``off`` and nobody has said ``token``.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

from sidecar.core.value import Value, asdict, replace
from sidecar.edge.environment import Environment, UnusableEnvironmentError, secret_files, secret_from
from sidecar.edge.snapshot import Candidate, Destination, Snapshot
from sidecar.edge.token import Open, Tokens
from sidecar.policy.load import Loaded, load
from sidecar.policy.model import Target

_LABEL = r"[A-Za-z0-9_-]{1,63}"
_ADDRESS = re.compile(rf"(?:http://)?(?:\[([0-9A-Fa-f:.]+)\]|({_LABEL}(?:\.{_LABEL})*\.?)):([0-9]{{1,5}})/?")

_Ip = ipaddress.IPv4Address | ipaddress.IPv6Address


class UnusableSettingsError(ValueError):
    """The sidecar cannot start like this; the text says why and what would do, and holds no secret."""


class Address(NamedTuple):
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


DEFAULTS: Mapping[str, Address] = {
    "listen": Address("127.0.0.1", 8000),
    "admin": Address("127.0.0.1", 9180),
    "gateway": Address("127.0.0.1", 8010),
    "switch": Address("127.0.0.1", 8002),
    "madre": Address("127.0.0.1", 8001),
}
_CHOSEN = ("listen", "admin")  # where port 0 means that the system chooses one


class Basis(Value):
    """What is decided before anything is built, wherever we stand."""

    snapshot: Snapshot
    mutators: Tokens
    """Who may change anything, and read what others must not reach; with no admin token nobody."""
    journal: Path | None
    auth_off: bool
    files: tuple[Path, ...]
    """What all this was read from."""
    candidate: Candidate | None = None
    """What runs beside the policy in force, if anything does."""
    allow_chaos: bool = False
    """Whether the policy's chaos rules act without an operator's order."""
    redis: str | None = None
    """Where replicas keep what they share; decided at start, and a secret."""


class Settings(Basis, kw_only=True):
    """Everything that is decided before the first socket is opened."""

    listen: Address
    admin: Address
    gateway: Address
    exposed: bool
    """Whether other machines reach the admin port: then reading takes the admin token, too."""


def resolve(flags: Mapping[str, str | None], said: Environment, environ: Mapping[str, str], loaded: Loaded) -> Settings:
    """Raises UnusableSettingsError. ``flags`` holds listen, admin, gateway, switch, madre, journal and shadow, None where not given."""
    fixed = {name: _address(name, flags.get(name)) for name in ("listen", "admin")}
    for name, address in fixed.items():
        if not _resolved(address.host):
            raise UnusableSettingsError(f"{name}: {address.host} does not resolve: name an address of this machine")
    gateway = _address("gateway", flags.get("gateway") or said.gateway)
    basis = take_basis(flags, said, environ, loaded)
    settings = Settings(
        listen=fixed["listen"],
        admin=fixed["admin"],
        gateway=gateway,
        exposed=not is_loopback(fixed["admin"].host),
        **asdict(basis),
    )
    refuse_loop(settings.listen, gateway)
    return settings


def take_basis(flags: Mapping[str, str | None], said: Environment, environ: Mapping[str, str], loaded: Loaded) -> Basis:
    """Raises UnusableSettingsError. ``flags`` holds switch, madre, journal and shadow, None or nothing where not given."""
    snapshot = take_snapshot(flags, said, environ, loaded)
    journal = flags.get("journal") or loaded.policy.journal.dir
    shadow = flags.get("shadow")
    return Basis(
        snapshot=snapshot,
        mutators=_mutators(said),
        journal=Path(journal) if journal else None,
        auth_off=isinstance(snapshot.tokens, Open),
        files=_files(loaded, environ),
        candidate=take_candidate(Path(shadow)) if shadow else None,
        redis=said.redis,
    )


Kind = TypeVar("Kind", bound=Basis)


def renew(
    before: Kind, flags: Mapping[str, str | None], said: Environment, environ: Mapping[str, str], loaded: Loaded
) -> Kind:
    """What a reload makes of settings: addresses, journal and who reaches the admin port stay. Raises UnusableSettingsError.

    A file alone never lets everybody in while we run: authentication is turned off at start, or by the environment.
    """
    snapshot = take_snapshot(flags, said, environ, loaded)
    if isinstance(snapshot.tokens, Open) and not before.auth_off and said.auth_mode != "off":
        raise UnusableSettingsError(
            f"{loaded.origin('auth.mode') or loaded.source}: auth.mode: off does not take effect while serving: "
            "restart, or leave it at token"
        )
    return replace(before, snapshot=snapshot, mutators=_mutators(said), files=_files(loaded, environ))


def take_snapshot(
    flags: Mapping[str, str | None], said: Environment, environ: Mapping[str, str], loaded: Loaded
) -> Snapshot:
    """The part that a reload may change. Looks nothing up, so it may be called while serving. Raises UnusableSettingsError."""
    source = loaded.source.encode("utf-8", "backslashreplace").decode()  # a file name need not be text
    from_environment = {"switch": said.switch, "madre": said.madre}
    destinations: dict[str, Destination] = {}
    for target in loaded.policy.ladder:
        stated = flags.get(target.name) or from_environment[target.name] or target.url
        destinations[target.name] = _destination(target, _address(target.name, stated), said, environ)
    tokens = Open() if _auth_off(said, loaded) else Tokens(said.accepted)
    if not isinstance(tokens, Open) and not len(tokens):
        raise UnusableSettingsError(
            "no token is configured, so nobody could chat: set VX11_TENTACULO_LINK_TOKEN (or VX11_SIDECAR_TOKENS, or either "
            "with _FILE), or say VX11_AUTH_MODE=off to let everybody in"
        )
    return Snapshot(loaded.policy, loaded.revision, source, tokens, destinations, loaded.origin)


def take_candidate(path: Path) -> Candidate:
    """The policy at ``path`` as one that runs beside another. Raises PolicyError or UnusableSettingsError."""
    loaded = load(path)
    mode = loaded.policy.mode
    if mode != "enforce":
        raise UnusableSettingsError(
            f"{loaded.origin('mode') or loaded.source}: mode: {mode} answers no chat, so there is nothing to compare: "
            "state enforce in a candidate"
        )
    source = loaded.source.encode("utf-8", "backslashreplace").decode()
    return Candidate(loaded.policy, loaded.revision, source, path, loaded.files)


def _mutators(said: Environment) -> Tokens:
    return Tokens([said.admin_token] if said.admin_token else [])


def _files(loaded: Loaded, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Everything that was read: the policy's files, and whatever file holds a token."""
    files = [*loaded.files, *secret_files(environ)]
    for target in loaded.policy.ladder:
        kind, _, name = (target.token_from or "").partition(" ")
        path = environ.get(f"{name}_FILE") if kind == "env" else name
        files += [Path(path)] if path else []
    return tuple(dict.fromkeys(files))


def refuse_loop(listen: Address, gateway: Address) -> None:
    """Raises UnusableSettingsError if requests for the gateway would come back to our own listener."""
    if listen.port != gateway.port or listen.port == 0:
        return
    ours, theirs = _resolved(listen.host), {_connected(address) for address in _resolved(gateway.host)}
    everywhere = {address.version for address in ours if address.is_unspecified}
    if ours & theirs or any(address.version in everywhere and _is_local(address) for address in theirs):
        raise UnusableSettingsError(
            f"--gateway {gateway} leads back to our own listener {listen}: name the address the gateway has now, "
            "behind us (VX11_SIDECAR_GATEWAY_URL)"
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a listener on ``host``."""
    return all(address.is_loopback for address in _resolved(host) or [ipaddress.ip_address("0.0.0.0")])  # noqa: S104


def _address(name: str, text: str | None) -> Address:
    if text is None:
        return DEFAULTS[name]
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match[3]) > 65535 or (match[1] is not None and not _is_ipv6(match[1])):
        # What stands before an @ or after a ? may be a secret.
        shown = re.split("[?#]", text)[0].rpartition("@")[2]
        raise UnusableSettingsError(
            f"{name}: {shown!r} is no address: write HOST:PORT or http://HOST:PORT, as in {DEFAULTS[name]}"
        )
    address = Address(match[1] or match[2], int(match[3]))
    if address.port == 0 and name not in _CHOSEN:
        raise UnusableSettingsError(f"{name}: port 0 cannot be connected to: write the port it listens on")
    return address


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _destination(target: Target, address: Address, said: Environment, environ: Mapping[str, str]) -> Destination:
    try:
        token = secret_from(target.token_from, environ) if target.token_from else said.link_token
    except UnusableEnvironmentError as error:
        raise UnusableSettingsError(f"targets[{target.name}].token_from: {error}") from None
    return Destination(f"http://{address}", target.path or "/", token, target.effects == "dedup")


def _auth_off(said: Environment, loaded: Loaded) -> bool:
    """Off only if somebody says off and nobody says token; a policy that is silent says nothing."""
    stated = loaded.policy.auth.mode if "auth.mode" in loaded.origins else None
    return "off" in {stated, said.auth_mode} and "token" not in {stated, said.auth_mode}


def _resolved(host: str) -> set[_Ip]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # UnicodeError: a name that is too long to be looked up
        return set()  # a name that does not resolve now may well be right: every upstream may be down at start
    return {ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found}


def _connected(address: _Ip) -> _Ip:
    """Where a connection to ``address`` ends: no address means this machine, and IPv4 may be written as IPv6."""
    if address.version == 6 and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_unspecified:
        return ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")
    return address


def _is_local(address: _Ip) -> bool:
    """Whether the address is one of this machine's: only those can be bound."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True
