"""What uvicorn and Starlette make of a request target, on their own terms: the judge of path classification.

uvicorn's h11 protocol takes the target as it came, its httptools protocol takes the path out of an absolute one; both
decode percent signs once, as UTF-8. Starlette matches by an expression that ends in ``$``, which admits one line feed.
A middleware of the gateway may rewrite ``/operator/api/v1/`` before.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

CHAT = re.compile(r"^/operator/api/chat$")
REWRITTEN = ("/operator/api/v1/", "/operator/api/")


def paths(target: bytes) -> set[str]:
    """Every path that some protocol of uvicorn routes this target by."""
    text = target.decode("latin-1")
    as_sent = text.partition("?")[0]
    found = {as_sent}
    scheme, mark, rest = as_sent.partition("://")
    if mark and scheme.replace("+", "").replace("-", "").replace(".", "").isalnum():
        found.add("/" + rest.partition("/")[2])
    return {unquote(path.partition("#")[0]) for path in found}


def reaches_chat(target: bytes) -> bool:
    """Whether a POST for this target would get to the gateway's chat handler, or to where it is rewritten to."""
    before, after = REWRITTEN
    for path in paths(target):
        candidates = [path]
        if path.startswith(before):
            candidates.append(after + path.removeprefix(before))
        if any(CHAT.match(one) for one in candidates):
            return True
    return False
