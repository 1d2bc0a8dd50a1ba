"""The head of a request as the client may have sent it, made from what an ASGI server says of it.

A server has read the head already. It is put together again so that ``wire`` can judge it: route, tokens and doubtful fields are
decided by the same code as at the data port, and by nothing that only resembles it.

By which path an application routes is not the raw one: it is ``path`` without the prefix it is mounted under (``root_path``), which is how
Starlette and FastAPI have it. So the raw path counts where it says the same as ``path``, and else ``path`` does, encoded anew: another
middleware may have rewritten it, a server may give none.
"""

from __future__ import annotations

from urllib.parse import quote, unquote_to_bytes

from sidecar.edge.asgi.protocol import Scope
from sidecar.wire import inventory, target
from sidecar.wire.request import Usage, route_of
from sidecar.wire.target import Route, Routes, Target

LONGEST = 1024  # characters of a path that is remembered
MOST_REMEMBERED = 512


def asked_target(scope: Scope, root: str = "") -> bytes:
    """The target without its query. ``root`` is a prefix the application adds to what the server says of one."""
    path: str = scope["path"]
    raw: bytes = scope.get("raw_path") or b""
    prefix: str = root or scope.get("root_path", "")
    told = _same(raw, path)
    rest = path[len(prefix) :]
    if prefix and path.startswith(prefix) and rest[:1] in ("", "/"):
        start = prefix.encode()
        return (raw[len(start) :] if told and raw.startswith(start) else _encoded(rest)) or b"/"
    return raw if told else _encoded(path)


def route(scope: Scope, asked: bytes, routes: Routes) -> Route:
    """What the application is asked for. Of what is no target at all a POST is refused; anything else is the application's to judge."""
    method = scope["method"].encode("latin-1")
    if asked.startswith(b"/"):
        return route_of(method, asked, routes)
    aim = target.read(method, asked)  # the absolute form, which some servers leave as it came
    if isinstance(aim, Target):
        return route_of(method, aim.path, routes)
    return "reject" if method.upper() == b"POST" else "other"


def is_denied(asked: bytes, routes: Routes) -> bool:
    """Whether the policy has the path stay inside, whatever the method. What is no target at all is for nobody."""
    aim = Target(asked, asked, None) if asked.startswith(b"/") else target.read(b"GET", asked)
    return not isinstance(aim, Target) or routes.route(aim.path) == "deny"


def counted(scope: Scope, asked: bytes) -> Usage:
    """What a request that has no head of ours counts as."""
    program = next((value for name, value in scope["headers"] if name.lower() == b"user-agent"), None)
    return Usage(inventory.template(asked), inventory.client(program))


class Others:
    """Paths that are not ours, whatever the method: most requests are for one of a few.

    Bounded, so that nobody fills our memory with names; the known ones come back at their next use.
    """

    __slots__ = ("_known", "_root", "_routes")

    def __init__(self, routes: Routes, root: str) -> None:
        self._routes = routes
        self._root = root
        self._known: set[tuple[str, bytes | None, str | None]] = set()

    def __contains__(self, scope: Scope) -> bool:
        path: str = scope["path"]
        asked = (path, scope.get("raw_path"), scope.get("root_path"))
        if asked in self._known:
            return True
        target = asked_target(scope, self._root)
        if not target.startswith(b"/") or self._routes.route(target) != "other":
            return False
        if len(path) <= LONGEST:
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            self._known.add(asked)
        return True


def head(scope: Scope, asked: bytes) -> bytes | None:
    """The whole head; None where a field cannot have come in one line, so that what was put together would be another head."""
    query: bytes = scope.get("query_string", b"")
    minor = b"0" if scope.get("http_version") == "1.0" else b"1"  # HTTP/2 and later have the fields of 1.1
    method = scope["method"].encode("latin-1")
    lines = [b"%s %s%s HTTP/1.%s" % (method, asked, b"?" + query if query else b"", minor)]
    lines += [b"%s: %s" % (name, value) for name, value in scope["headers"]]
    whole = b"\r\n".join(lines) + b"\r\n\r\n"
    return whole if whole.count(b"\r\n") == len(lines) + 1 else None


def peer(scope: Scope) -> str:
    """The client's address as the server gives it: which proxies it believes is decided there."""
    client = scope.get("client")
    return str(client[0]).partition("%")[0].removeprefix("::ffff:") if client else "unknown"


def _same(raw: bytes, path: str) -> bool:
    decoded = unquote_to_bytes(raw) if b"%" in raw else raw
    return decoded.decode("utf-8", "replace") == path


def _encoded(path: str) -> bytes:
    return quote(path, errors="surrogatepass").encode("ascii")
