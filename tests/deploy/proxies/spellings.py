"""Spellings of the chat route and of what is denied, and what becomes of each, told in words that can be compared between proxies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from sidecar.lab.town import DEFAULT_TOKEN
from sidecar.policy.model import Policy
from sidecar.wire.request import route_of
from sidecar.wire.target import Routes, Target, read
from tests.deploy.proxies.picture import Answer, Picture
from tests.deploy.proxies.tap import Head

CORPUS = Path(__file__).parents[2] / "corpus" / "path_aliases.json"
KNOWN = [case["target"] for case in json.loads(CORPUS.read_text())["cases"]]
FURTHER = (  # what proxies are known for: decoding twice or not at all, dots, backslashes, parameters, control bytes, the other chat routes
    "/operator/api/ch%2561t", "/operator/api/v1/ch%61t", "/operator/api/v1//chat", "/operator/api/v1/%2e%2e/chat", "/operator/api/%2e/chat",
    "/operator/api/x/%2e%2e/chat", "/operator/api/x%2f..%2fchat", "/operator/api/..;/api/chat", "/operator\\api\\chat", "/x/../operator/api/chat",
    "/%2e%2e/operator/api/chat", "/operator/api/chat%0a", "/operator/api/chat%00", "/operator/api/chat%3fx", "/operator/api/chat%23", "/operator/api/%63hat/",
    "/operator/api/chat/commands", "/operator/api/ch%61t/commands", "/operator/api/chat%2fcommands", "/operator/api/v1/chat/commands",
    "/operator/api/chat/commands/", "/OPERATOR/API/V1/CHAT", "/operator/api/status/../chat", "/health/../operator/api/chat", "http://h/operator/api/ch%61t",
    "http://vx11.test/operator/api/chat", "http://vx11.test/operator/api/ch%61t", "http://vx11.test//debug/valid-tokens",
    "/operator/ui/..%2f..%2foperator/api/chat", "/operator/session/%2e%2e/api/chat", "/vx11/../operator/api/chat", "//operator/api/chat",
    "/%6fperator/api/chat?x=/health", "/health?/operator/api/chat", "/operator/api/chat?", "/DEBUG/valid-tokens", "/x/../debug/valid-tokens",
    "/%64ebug/valid-tokens", "/debug/%76alid-tokens", "/./debug/valid-tokens", "/debug/valid-tokens/", "/debug;x/valid-tokens", "http://h/debug/valid-tokens",
)  # fmt: skip
METHODS = ("POST", "GET", "PUT", "post")
TOKENS: dict[str, tuple[str, ...]] = {
    "none": (),
    "wrong": ("X-VX11-Token: wrong",),
    "right": (f"X-VX11-Token: {DEFAULT_TOKEN}",),
}
_DEFAULT = Policy()
ROUTES = Routes(_DEFAULT.intercept.paths, _DEFAULT.relay.deny)
JUDGED = ("chat", "alias", "command", "commands", "deny", "reject")


class Spelling(NamedTuple):
    method: str
    target: str
    token: str


class Became(NamedTuple):
    """``how``: refused (nothing reached the gateway, and the status is 4xx), intercepted, or what the gateway said."""

    how: str
    status: int


SPELLINGS = [
    Spelling(method, target, token)
    for target in dict.fromkeys((*KNOWN, *FURTHER))
    for method in (METHODS if target in ("/operator/api/chat", "/operator/api/%63hat", "/debug/valid-tokens", "//debug/valid-tokens") else METHODS[:1])
    for token in TOKENS
]  # fmt: skip


def route(method: str, target: str) -> str:
    """What it is to the gateway, by the rules of the data port; but that a fragment behind the query hides no path."""
    aim = _aim(method, target)
    return "reject" if isinstance(aim, str) else route_of(method.encode(), aim.path, ROUTES)


def is_a_target(method: str, target: str) -> bool:
    """Whether the data port takes it for one, whatever its path is."""
    return not isinstance(_aim(method, target), str)


def _aim(method: str, target: str) -> Target | str:
    path, mark, _ = target.partition("?")
    return read(method.encode(), (path + mark).encode("latin-1"))


async def sent(at: Picture, spelling: Spelling) -> tuple[Became, list[Head]]:
    """What became of it, and what the gateway heard."""
    at.forget()
    said = await at.chat(*TOKENS[spelling.token], method=spelling.method, target=spelling.target)
    heard = at.gateway.heads
    return _became(said, heard), heard


def _became(said: Answer, heard: list[Head]) -> Became:
    if heard:
        return Became("relayed", said.status)
    if said.status == 200 and "provider" in said.json:
        return Became("intercepted", 200)
    return Became("refused" if 300 <= said.status < 600 or not said.status else "passed", said.status)


def around(heard: list[Head]) -> list[str]:
    """What the gateway heard of chat, or of what is denied, without the sidecar."""
    return [
        f"{head.method} {head.target}"
        for head in heard
        if not head.through_the_sidecar and route(head.method, head.target) in JUDGED
    ]
