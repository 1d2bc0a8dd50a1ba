"""The status page: four files as they lie in ``page/``, which hold no data, and the fields that keep a browser from running any other.

All that is shown comes by script from the JSON interface, which asks for its own token; so the files need no more than a Host of
the policy. The only thing put into them here is the list of reasons, from ``advice``.
"""

from __future__ import annotations

import hashlib
import html
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from aiohttp import web

from sidecar.edge.admin.advice import ADVICE

FILES = {
    "/": ("index.html", "text/html"),
    "/status.css": ("status.css", "text/css"),
    "/status.js": ("status.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
FIELDS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",  # kept, and asked for again each time: an upgraded sidecar is an upgraded page
}
RUNBOOK = "<!-- runbook -->"

_FOLDER = Path(__file__).with_name("page")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def files() -> Iterator[tuple[str, Handler]]:
    """Each path of the page with what answers it; read once, here."""
    for path, (name, kind) in FILES.items():
        content = (_FOLDER / name).read_text(encoding="utf-8").replace(RUNBOOK, runbook())
        yield path, _serving(content.encode(), kind)


def runbook() -> str:
    """The reasons as entries of a ``<dl>``, each with an id to link to."""
    return "\n".join(
        f'<dt id="reason-{reason}"><code>{reason}</code></dt>'
        f"<dd>{html.escape(said.means)} <strong>{html.escape(said.do)}</strong></dd>"
        for reason, said in ADVICE.items()
    )


def _serving(content: bytes, kind: str) -> Handler:
    tag = hashlib.sha256(content).hexdigest()[:16]

    async def serve(request: web.Request) -> web.StreamResponse:
        headers = {**FIELDS, "ETag": f'"{tag}"'}
        if any(known.value in (tag, "*") for known in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        return web.Response(body=content, content_type=kind, charset="utf-8", headers=headers)

    return serve
