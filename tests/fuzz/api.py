"""The admin port under generated requests: what its own document promises, and what it forbids.

The sidecar is a whole one, on a loop of its own in a thread, so that requests come from outside.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import office
import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis import GenerationMode, checks
from schemathesis.specs.openapi import checks as conformance

HEADERS = {"X-VX11-Admin-Token": office.ADMIN}
CHECKS: list[Any] = [
    checks.not_a_server_error,
    conformance.status_code_conformance,
    conformance.content_type_conformance,
    conformance.response_schema_conformance,
    conformance.response_headers_conformance,
]
LIKELY = st.just({}) | st.fixed_dictionaries({"target": st.sampled_from(("switch", "madre", "nobody"))}).map(
    lambda said: {"author": "on call", "reason": "a drill", "ttl": "1m", **said}
)
ODD: st.SearchStrategy[dict[str, str]] = st.sampled_from((
    {}, {}, {}, {"Content-Encoding": "gzip"}, {"Content-Encoding": "br"}, {"Content-Encoding": "deflate"}, {"Accept": "caf\u00e9"},
    {"Accept-Encoding": "gzip;q=x"}, {"Cookie": "a=\u00fe; ="}, {"Range": "bytes=5-1"}, {"If-None-Match": '"'}, {"Accept-Charset": "x"},
))  # fmt: skip
PROMPT = 5.0  # seconds within which the admin port answers anything


class Drawn(NamedTuple):
    """A request, whether it is one by the document, and fields that change nothing about that."""

    case: Any
    mode: GenerationMode
    odd: dict[str, str]


class AdminPort(NamedTuple):
    """Where it listens, and its document as schemathesis has it."""

    url: str
    schema: Any
    session: requests.Session

    @property
    def operations(self) -> list[Any]:
        return [found.ok() for found in self.schema.get_all_operations()]

    def examples(self, _: Sequence[bytes] = ()) -> st.SearchStrategy[Any]:
        """Requests by the document and against it."""
        found = [
            (operation, mode) for operation in self.operations for mode in GenerationMode if mode in _modes(operation)
        ]
        return st.sampled_from(found).flatmap(
            lambda one: st.builds(_drawn, one[0].as_strategy(generation_mode=one[1]), st.just(one[1]), LIKELY, ODD)
        )

    def check(self, example: Drawn) -> str:
        case, mode, odd = example
        extra = [conformance.negative_data_rejection] if mode is GenerationMode.NEGATIVE else []
        answer = case.call(base_url=self.url, session=self.session, headers=HEADERS | odd, timeout=PROMPT)
        text = answer.text or ""
        assert not [canary for canary in office.CANARIES if canary in text], "a secret is shown"
        case.validate_response(answer, checks=[*CHECKS, *extra])
        return f"{case.method} {case.path} {mode.value} {answer.status_code}"


def _drawn(case: Any, mode: GenerationMode, known: dict[str, str], odd: dict[str, str]) -> Drawn:
    """With what no schema can say: names of targets, and texts that people can read."""
    if mode is GenerationMode.POSITIVE and isinstance(case.body, dict):
        case.body |= {name: value for name, value in known.items() if name in case.body}
    return Drawn(case, mode, odd)


def _modes(operation: Any) -> tuple[GenerationMode, ...]:
    """Nothing can be said against an operation that takes nothing."""
    takes = list(operation.iter_parameters()) or operation.body
    return tuple(GenerationMode) if takes else (GenerationMode.POSITIVE,)


@contextlib.contextmanager
def admin_port() -> Iterator[AdminPort]:
    """A sidecar with nobody behind it; its admin port may be told anything."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        path = Path(folder) / "policy.yaml"
        path.write_text(office.BASE)
        address = stack.enter_context(_running(lambda: office.standing(path)))
        session = stack.enter_context(requests.Session())
        session.trust_env = False
        got = session.get(f"{address}/openapi.json", timeout=PROMPT)
        got.raise_for_status()
        yield AdminPort(address, schemathesis.openapi.from_dict(got.json()), session)


@contextlib.contextmanager
def _running(standing: Callable[[], Any]) -> Iterator[str]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    inside = contextlib.AsyncExitStack()

    async def enter() -> str:
        opened = await inside.enter_async_context(standing())
        return f"http://{opened.sidecar.serving.admin}"

    try:
        yield asyncio.run_coroutine_threadsafe(enter(), loop).result()
    finally:
        asyncio.run_coroutine_threadsafe(inside.aclose(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
