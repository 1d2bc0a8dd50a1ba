"""Targets: the class of every known spelling, and agreement with what the gateway does with a path."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.wire import target
from sidecar.wire.target import PLAIN, Routes, Target, normal

CASES = json.loads((Path(__file__).parent.parent / "corpus" / "path_aliases.json").read_text())["cases"]
CHAT = ("/operator/api/chat", "/operator/api/v1/chat")
ROUTES = Routes(CHAT, ("/debug/*", "/exact"))


def route(raw: bytes) -> str:
    aim = target.read(b"POST", raw)
    return ROUTES.route(aim.path) if isinstance(aim, Target) else "reject"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["target"])
def test_known_spellings(case: dict[str, str]):
    expected = {"vx11-alias": {"chat"}, "vx11-indirect": {"commands"}, "alias-or-reject": {"reject"}}.get(
        case["class"], {case["class"]}
    )
    assert route(case["target"].encode()) in expected


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["target"])
def test_where_commands_are_told_apart_nothing_else_is_another_route(case: dict[str, str]):
    aim = target.read(b"POST", case["target"].encode())
    if isinstance(aim, Target):
        before, after = ROUTES.route(aim.path), Routes(CHAT, ("/debug/*", "/exact"), told_apart=True).route(aim.path)
        assert after == before or (before, after) == ("commands", "command")


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"/operator/api/chat/commands", "command"),
        (b"/operator/api/v1/chat/commands", "command"),
        (b"/operator/api/ch%61t/commands", "command"),
        (b"/operator/api/v1/chat%2fcommands", "command"),
        (b"/operator/api/chat/commands/", "commands"),  # as the gateway routes, these are others: a token, and through
        (b"/operator/api/chat//commands", "commands"),
        (b"/OPERATOR/api/chat/commands", "commands"),
        (b"/operator/api/v1/chat/Commands", "commands"),
        (b"/operator/api/ch%2561t/commands", "commands"),
        (b"/operator/api/chat/commands%0a", "reject"),
        (b"/operator/api/chat", "chat"),
        (b"/operator/api/chat/command", "other"),
    ],
)
def test_a_command_is_what_the_gateway_routes_there(raw: bytes, kind: str):
    assert Routes(CHAT, told_apart=True).route(raw) == kind
    assert Routes((), told_apart=True).route(raw) in ("other", "reject")


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"/operator/api/chat%0a", "reject"),  # the gateway's route ends in "$", which matches before a line feed
        (b"/operator/api/chat%00", "reject"),
        (b"/operator/api/chat%3fx", "alias"),
        (b"/operator/api/chat%2523", "alias"),
        (b"/operator/api/ch%2561t", "alias"),
        (b"/operator/api/v1//chat", "alias"),
        (b"/Operator/api/chat", "alias"),
        (b"/operator/api/chat/commands/", "commands"),
        (b"/operator/api/v1/chat/commands", "commands"),
        (b"/operator/api/ch%61t/commands?x", "commands"),
        (b"%2foperator/api/chat", "reject"),
        (b"operator/api/chat", "reject"),
        (b"/operator/api/chat\xc3\xa9", "other"),
        (b"/DEBUG/x", "deny"),
        (b"/debug%252fx", "deny"),
        (b"/x/../debug/y?z", "deny"),
        (b"/debug/", "deny"),
        (b"/debug/%2e", "deny"),
        (b"/debug//", "deny"),
        (b"/debug", "other"),
        (b"/debugger", "other"),
        (b"/exact", "deny"),
        (b"/exact;x", "deny"),
        (b"/exact/y", "other"),
        (b"/", "other"),
        (b"/health", "other"),
        (b"/operator/api/v1/chat/window/status", "other"),
    ],
)
def test_further_spellings(raw: bytes, kind: str):
    assert route(raw) == kind


def test_without_interception_nothing_is_chat():
    off = Routes((), ("/debug/*",))
    assert (
        off.route(b"/operator/api/chat")
        == off.route(b"/operator/api/chat/commands")
        == off.route(b"/operator/api//chat")
        == "other"
    )
    assert off.route(b"/debug/x") == "deny"


def test_what_is_left_out_of_the_policy_is_an_alias_still():
    assert Routes(CHAT[:1]).route(b"/operator/api/v1/chat") == "alias"


PIECES = st.lists(
    st.sampled_from([
        b"/", b"operator", b"api", b"chat", b"/operator/api/chat", b"%2f", b"%2F", b"ch%61t", b"%63hat", b"..", b".", b"%2e", b";x", b"?", b"\\", b"%5c", b"CHAT",
        b"v1", b"commands", b"debug", b"%25", b"%0a", b"%00", b" ", b"%20", b"%zz", b"%", b"\xc3", b"x",
    ]),
    max_size=8,
)  # fmt: skip


def as_the_gateway(path: bytes) -> bool:
    """Naive: percent-decode once as the server does, then match as the router does."""
    text = unquote(path.decode("latin-1")) if b"%" in path else path.decode("latin-1")
    return any(re.match("^" + re.escape(chat) + "$", text) for chat in CHAT)


@given(PIECES)
def test_nothing_reaches_the_chat_handler_unseen(pieces: list[bytes]):
    path = b"/" + b"".join(pieces).partition(b"?")[0]
    kind = ROUTES.route(path)
    if as_the_gateway(path):
        assert kind == "chat" or (kind == "reject" and path.lower().endswith(b"%0a"))
    else:
        assert kind != "chat"


@given(PIECES)
def test_normal_form_is_final_and_plain_paths_are_in_it(pieces: list[bytes]):
    path = b"/" + b"".join(pieces)
    if PLAIN.fullmatch(path):
        assert normal(path) == path
    if b"%" not in path:
        assert normal(normal(path)) == normal(path)


@given(PIECES)
def test_one_more_normalisation_makes_an_alias(pieces: list[bytes]):
    path = b"/" + b"".join(pieces)
    if normal(path) in {chat.encode() for chat in CHAT}:
        assert ROUTES.route(path.partition(b"?")[0]) != "other" or b"?" in path


@given(PIECES)
def test_a_target_goes_on_as_it_came(pieces: list[bytes]):
    raw = b"/" + b"".join(pieces)
    assert target.read(b"GET", raw) == Target(raw, raw.partition(b"?")[0], None)
    assert target.read(b"GET", b"http://h:1" + raw) == Target(raw, raw.partition(b"?")[0], b"h:1")
