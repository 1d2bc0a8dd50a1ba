"""How commands ask a running sidecar: one question to its admin port at a time, with the admin token where one is set."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any, NamedTuple

PATIENCE = 5.0  # seconds for each answer
LARGEST = 8 << 20  # bytes of one: ours are below 100 KiB


class CannotAskError(OSError):
    """There is nobody who answers as a sidecar would; the text is for people."""


class NotThereError(CannotAskError):
    """Somebody answered 404; ``detail`` is what was said with it."""

    def __init__(self, text: str, detail: object) -> None:
        super().__init__(text)
        self.detail = detail


class Place(NamedTuple):
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


ADMIN = Place("127.0.0.1", 9180)


def place(text: str) -> Place:
    """HOST:PORT, as an option. Raises ArgumentTypeError."""
    host, _, port = text.removeprefix("http://").rstrip("/").rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no address: write HOST:PORT")
    return Place(host, int(port))


def token(environ: Mapping[str, str]) -> str | None:
    """The admin token, None where none is set. Raises ValueError for one that cannot be read."""
    from sidecar.edge.environment import ADMIN_TOKEN, secret_from  # noqa: PLC0415 - not for --help

    if not environ.get(ADMIN_TOKEN) and not environ.get(f"{ADMIN_TOKEN}_FILE"):
        return None
    return secret_from(f"env {ADMIN_TOKEN}", environ)


def ask(where: Place, path: str, secret: str | None) -> dict[str, Any]:
    """One question, straight to the port: no proxy, no redirect, so that the token goes nowhere else. Raises CannotAskError."""
    import http.client  # noqa: PLC0415 - not for --help
    import json  # noqa: PLC0415

    connection = http.client.HTTPConnection(where.host, where.port, timeout=PATIENCE)
    try:
        connection.request("GET", f"/{path}", headers={} if secret is None else {"X-VX11-Admin-Token": secret})
        answer = connection.getresponse()
        body = json.loads(answer.read(LARGEST))
        if not isinstance(body, dict):
            raise ValueError  # noqa: TRY004, TRY301 - the same complaint as for what is no JSON
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise CannotAskError(f"{where} does not answer: {why}") from None
    except (ValueError, RecursionError):
        raise CannotAskError(f"{where} is no admin port of a sidecar: what it says of /{path} is no JSON") from None
    finally:
        connection.close()
    if answer.status == 404:
        raise NotThereError(_refused(where, path, 404, body), body.get("detail"))
    if answer.status != 200:
        raise CannotAskError(_refused(where, path, answer.status, body))
    return body


def _refused(where: Place, path: str, status: int, body: Mapping[str, Any]) -> str:
    from sidecar.cli.status_text import clean  # noqa: PLC0415

    if status == 401:
        return f"{where} wants the admin token: set VX11_SIDECAR_ADMIN_TOKEN or VX11_SIDECAR_ADMIN_TOKEN_FILE"
    return f"{where} answered {status} to /{path}: {clean(body.get('detail', ''))}"
