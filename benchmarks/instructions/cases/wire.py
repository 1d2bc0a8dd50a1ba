"""Heads, bodies and targets: bytes in, judgements out."""

from __future__ import annotations

import itertools
from contextlib import ExitStack
from functools import partial

from benchmarks.instructions.case import Case, Turn
from benchmarks.instructions.messages import (
    ANSWER_HEAD,
    CHUNKED,
    ESCAPED,
    HEAD,
    unique_answers,
    unique_heads,
    unique_queries,
)
from sidecar.wire import head, request, response, target
from sidecar.wire.body import Chunked
from sidecar.wire.head import Rules
from sidecar.wire.heads import MOST, Heads
from sidecar.wire.inventory import usage
from sidecar.wire.request import Request, Usage
from sidecar.wire.target import Routes

MANY = 4 * MOST  # heads, of which each is forgotten before it comes again


def rules() -> Rules:
    routes = Routes(("/operator/api/chat", "/operator/api/v1/chat"), ("/debug/*",))
    return head.rules(routes, pseudonym=b"vx11-sidecar-0123abcd", authority=b"gateway:8000")


def fresh(_: ExitStack) -> Turn:
    return partial(request.read, HEAD, rules())


def remembered(_: ExitStack) -> Turn:
    return partial(Heads(rules()).request, HEAD)


def unique(heads: list[bytes]) -> Turn:
    judge = Heads(rules()).request
    following = itertools.cycle(heads).__next__
    return lambda: judge(following())


def unique_line(_: ExitStack) -> Turn:
    return unique(unique_heads(MANY))


def unique_query(_: ExitStack) -> Turn:
    return unique(unique_queries(MANY))


def answer_fresh(_: ExitStack) -> Turn:
    return partial(response.read, ANSWER_HEAD, b"GET", rules())


def answer_remembered(_: ExitStack) -> Turn:
    return partial(Heads(rules()).response, ANSWER_HEAD, b"GET")


def answer_unique(_: ExitStack) -> Turn:
    judge = Heads(rules()).response
    following = itertools.cycle(unique_answers(MANY)).__next__
    return lambda: judge(following(), b"GET")


def chunks(_: ExitStack) -> Turn:
    return lambda: Chunked().feed(CHUNKED)


def used(_: ExitStack) -> Turn:
    asked = request.read(HEAD, rules())
    assert isinstance(asked, Request)

    def turn() -> Usage:
        asked.used = None
        return usage(asked)

    return turn


def escaped(_: ExitStack) -> Turn:
    routes = rules().routes

    def turn() -> str:
        aim = target.read(b"GET", ESCAPED)
        assert not isinstance(aim, str)
        return routes.route(aim.path)

    return turn


CASES = (
    Case("wire.fresh", "a request head is judged for the first time", fresh),
    Case("wire.remembered", "a request head that is remembered", remembered),
    Case("wire.unique", "a request head that differs in one line from all before", unique_line),
    Case("wire.unique-query", "a request head that differs in the query from all before", unique_query),
    Case("wire.answer-fresh", "an answer's head is judged for the first time", answer_fresh),
    Case("wire.answer-remembered", "an answer's head that is remembered", answer_remembered),
    Case("wire.answer-unique", "an answer's head with a second, a length and a name of its own", answer_unique),
    Case("wire.chunks", "a body of 64 KiB in chunks of 1 KiB, read at once", chunks, turns=50),
    Case("wire.usage", "what a request counts as, asked for the first time", used),
    Case("wire.target", "an escaped target is read, and its route found", escaped),
)
