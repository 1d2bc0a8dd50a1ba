"""What ``serve`` would be told by the same flags, environment and files, and what is wrong with it.

``serve`` stops at the first thing that is wrong; here the rest is read all the same, so that the other checks have something to go by.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from sidecar.core.value import replace
from sidecar.edge.environment import Environment, UnusableEnvironmentError, read_environment
from sidecar.edge.settings import Address, Settings, UnusableSettingsError, resolve
from sidecar.policy.load import Loaded, PolicyError, load, parse

OPERATOR = "VX11_OPERATOR_URL"
_NO_SECRETS = ("VX11_SIDECAR_GATEWAY_URL", "VX11_SWITCH_URL", "VX11_MADRE_URL", "VX11_AUTH_MODE")
_ANY_PORT, _NOWHERE = "127.0.0.1:0", "192.0.2.1:9"  # neither is ever our own listener


class Wanted(NamedTuple):
    """What is asked of the doctor. ``flags`` are those of ``serve``; ``timeout`` is seconds for all of it."""

    flags: Mapping[str, str | None]
    policy: Path | None = None
    running: Address | None = None
    operator: str | None = None
    prometheus: str | None = None
    post_task: bool = False
    only: tuple[str, ...] = ()
    timeout: float = 30.0


class Setup(NamedTuple):
    """``settings`` is None where the flags, environment and policy make none; then ``settings_problem`` says why."""

    environ: Mapping[str, str]
    said: Environment
    secret_problem: str | None
    loaded: Loaded
    policy_error: PolicyError | None
    settings: Settings | None
    settings_problem: str | None
    operator: Address | None


def read_setup(wanted: Wanted, environ: Mapping[str, str]) -> Setup:
    """Raises ValueError for an operator backend at no address."""
    said, secret_problem = _environment(environ)
    loaded, policy_error = _policy(wanted.policy)
    try:
        settings, problem = _settings(wanted.flags, said, environ, loaded), None
    except UnusableSettingsError as error:
        settings, problem = None, str(error)
    stated = wanted.operator or environ.get(OPERATOR)
    operator = address(stated) if stated else None
    return Setup(environ, said, secret_problem, loaded, policy_error, settings, problem, operator)


def address(text: str) -> Address:
    """HOST:PORT, also as a URL. Raises ValueError."""
    parts = urlsplit(text if "//" in text else f"//{text}")
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme not in ("", "http") or not parts.hostname or not port or parts.username or parts.path.strip("/"):
        shown = text.rpartition("@")[2]  # what stands before it may be a secret
        raise ValueError(f"{shown!r} is no address: write HOST:PORT or http://HOST:PORT")
    return Address(parts.hostname, port)


def _environment(environ: Mapping[str, str]) -> tuple[Environment, str | None]:
    try:
        return read_environment(environ), None
    except UnusableEnvironmentError as error:
        return read_environment({name: environ[name] for name in _NO_SECRETS if name in environ}), str(error)


def _policy(path: Path | None) -> tuple[Loaded, PolicyError | None]:
    try:
        return (load(path), None) if path else (parse("", "built-in"), None)
    except PolicyError as error:
        return parse("", "built-in"), error


def _settings(
    flags: Mapping[str, str | None], said: Environment, environ: Mapping[str, str], loaded: Loaded
) -> Settings:
    """As ``serve`` has them, without two of its refusals that have checks of their own: no token, and a gateway that is ourselves."""
    anybody = said if said.accepted else said._replace(accepted=frozenset({"nobody"}))
    behind = resolve({**flags, "listen": _ANY_PORT}, anybody, environ, loaded)
    before = resolve({**flags, "gateway": _NOWHERE}, anybody, environ, loaded)
    return replace(behind, listen=before.listen)
