"""What the environment says: VX11's own variables and ours, every secret also as a file (``NAME_FILE``).

Secrets never come from a policy. An unreadable secret file is an error, not an absent secret: fail closed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

LINK_TOKEN = (
    "VX11_TENTACULO_LINK_TOKEN",
    "VX11_GATEWAY_TOKEN",
    "API_TOKEN",
)  # what gateway and switch expect, first wins
ACCEPTED_TOKEN = ("VX11_TENTACULO_LINK_TOKEN", "VX11_OPERATOR_TOKEN", "VX11_GATEWAY_TOKEN", "API_TOKEN")
MORE_TOKENS = "VX11_SIDECAR_TOKENS"
ADMIN_TOKEN = "VX11_SIDECAR_ADMIN_TOKEN"  # noqa: S105 - the name of a variable
REDIS_URL = "VX11_SIDECAR_REDIS_URL"
AUTH_MODE = "VX11_AUTH_MODE"
LONGEST_SECRET = 64 * 1024  # bytes of a secret file: more is a wrong path


class UnusableEnvironmentError(ValueError):
    """The environment says something that cannot be followed; the text is for people and holds no secret."""


class Environment(NamedTuple):
    """``link_token`` goes to the targets, ``accepted`` come from clients; ``auth_mode`` is None where nothing is said.

    ``redis`` is the URL of what replicas share, and as secret as the password that may stand in it.
    """

    link_token: str | None
    accepted: frozenset[str]
    admin_token: str | None
    auth_mode: str | None
    gateway: str | None
    switch: str | None
    madre: str | None
    redis: str | None = None


def read_environment(environ: Mapping[str, str]) -> Environment:
    """Raises UnusableEnvironmentError for a secret file that cannot be read or a token that cannot be one."""
    accepted = {token for token in [_first(environ, ACCEPTED_TOKEN)] if token}
    accepted |= set(_tokens(MORE_TOKENS, _stated(environ, MORE_TOKENS)))
    mode = environ.get(AUTH_MODE)
    return Environment(
        link_token=_first(environ, LINK_TOKEN) or _first(environ, ACCEPTED_TOKEN),
        accepted=frozenset(accepted),
        admin_token=_secret(environ, ADMIN_TOKEN),
        # Exactly "off" opens, as in VX11; anything else is a wish for tokens.
        auth_mode=None if not mode else "off" if mode == "off" else "token",
        gateway=environ.get("VX11_SIDECAR_GATEWAY_URL") or None,
        switch=environ.get("VX11_SWITCH_URL") or None,
        madre=environ.get("VX11_MADRE_URL") or None,
        redis=_secret(environ, REDIS_URL),
    )


def secret_from(origin: str, environ: Mapping[str, str]) -> str:
    """The secret a policy points to with ``env NAME`` or ``file PATH``. Raises UnusableEnvironmentError where there is none."""
    kind, _, name = origin.partition(" ")
    secret = _secret(environ, name) if kind == "env" else _printable(origin, _read(Path(name)))
    if not secret:
        raise UnusableEnvironmentError(f"{origin}: there is nothing in it")
    return secret


def secret_files(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """The files that hold our secrets: whoever changes one means to rotate a token."""
    names = dict.fromkeys((*LINK_TOKEN, *ACCEPTED_TOKEN, MORE_TOKENS, ADMIN_TOKEN))
    return tuple(Path(path) for name in names if (path := environ.get(f"{name}_FILE")))


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((secret for name in names if (secret := _secret(environ, name))), None)


def _secret(environ: Mapping[str, str], name: str) -> str | None:
    """The one token that ``name`` or its file holds; None where there is none."""
    return _printable(name, _stated(environ, name)) or None


def _tokens(name: str, text: str) -> list[str]:
    """The tokens of a list, parted by commas or lines."""
    parts = (part.strip() for part in re.split(r"[,\n]", text))
    return [_printable(name, part) for part in parts if part]


def _stated(environ: Mapping[str, str], name: str) -> str:
    """The value of ``name``, else the content of the file that ``name_FILE`` names."""
    value = environ.get(name, "").strip()
    path = environ.get(f"{name}_FILE")
    return _read(Path(path)) if not value and path else value


def _printable(name: str, token: str) -> str:
    """``token``, if it can stand in a header field as it is."""
    if any(not " " <= character <= "~" for character in token):
        raise UnusableEnvironmentError(f"{name}: a token is one line of printable ASCII characters")
    return token


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LONGEST_SECRET + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        why = getattr(error, "strerror", None) or "no name of a file"
        raise UnusableEnvironmentError(f"{path}: cannot be read: {why}") from None
    if len(content) > LONGEST_SECRET:
        raise UnusableEnvironmentError(f"{path}: is larger than a file of secrets may be")
    return content.decode("ascii", "replace").strip()
