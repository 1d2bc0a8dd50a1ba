"""What a policy says of faults that are injected on purpose.

A rule only describes. Whether anything is broken by it is decided where the sidecar was started (``--allow-chaos``) or by an operator
with the admin token, and never after the rule's own end.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, PlainValidator, WithJsonSchema, model_validator

from sidecar.policy.moment import Until
from sidecar.policy.section import HeaderName, Section, Written, disagree, unset
from sidecar.policy.units import DurationOrZero, Share

MOST_CHAOS = 20  # rules: each is looked at for every attempt
ABORTS = ("connect", "dns", "connect-timeout", "reset", "timeout")
CREDENTIALS = frozenset({"authorization", "proxy-authorization", "cookie", "x-vx11-token", "x-vx11-admin-token"})
"""Fields whose values are secrets: a policy is shown and written into journals, so it never holds one."""


def _abort(value: object) -> object:
    if value in ABORTS or (type(value) is int and 400 <= value <= 599):
        return value
    raise ValueError(f"must be {', '.join(ABORTS)} or an HTTP status from 400 to 599")


Abort = Annotated[
    Literal["connect", "dns", "connect-timeout", "reset", "timeout"] | int,
    PlainValidator(_abort),
    WithJsonSchema({"anyOf": [{"enum": list(ABORTS)}, {"type": "integer", "minimum": 400, "maximum": 599}]}),
]
Body = Literal["invalid-json", "empty", "not-object", "no-text", "status-error", "huge"]
RuleName = Annotated[str, Written(r"[a-z0-9][a-z0-9-]{0,39}", "a short name in lower case, as in slow-switch")]
Word = Annotated[
    str, Written(r"[A-Za-z0-9._-]{4,64}", "a word of 4 to 64 letters, digits, dots, dashes and underscores")
]


class ChaosRule(Section):
    """One way to break attempts. Rules are asked in order, the first one that meets an attempt breaks it."""

    # fmt: off
    name: RuleName = Field(description="what the log, the dashboards and sidecar explain call it")
    target: Literal["switch", "madre", "any"] = Field(description="attempts on this target; any: on every one")
    percentage: Share = Field(description="share of the attempts that the rule fits, each drawn by itself")
    header: dict[HeaderName, Word] = Field(
        default_factory=dict, description="only chats that carry each of these fields with this value; none stated: every chat"
    )
    delay: DurationOrZero = Field(0.0, description="wait first, within the attempt's timeout")
    abort: Abort | None = Field(None, exclude_if=unset, description="do not ask the target: fail with this HTTP status or kind of error")
    body: Body | None = Field(None, exclude_if=unset, description="ask it, and put this in place of the body of its answer")
    cut: bool = Field(default=False, description="ask it, and take its answer as cut off within the body")
    expires_at: Until = Field(description="from this moment on the rule does nothing")
    # fmt: on

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if not (self.delay or self.abort is not None or self.body is not None or self.cut):
            raise disagree("a rule must state delay, abort, body or cut", "delay", "cut", "abort", "body")
        if self.abort is not None and (self.body is not None or self.cut):
            raise disagree(
                "an aborted attempt has no answer: state abort alone, or body or cut", "abort", "body", "cut"
            )
        if self.body is not None and self.cut:
            raise disagree("an answer is either replaced or cut off: state body or cut", "cut", "body")
        secret = sorted(CREDENTIALS & self.header.keys())
        if secret:
            raise disagree(f"{secret[0]} holds a secret, and a policy never does: choose a field of your own", "header")
        return self


def check(rules: tuple[ChaosRule, ...], auth_header: str) -> None:
    """What rules must not be together, or with the field that carries the token. Raises as a validator does."""
    names = [rule.name for rule in rules]
    if len(set(names)) != len(names):
        raise disagree(f"each rule has a name of its own, found {', '.join(names)}", "chaos")
    if any(auth_header in rule.header for rule in rules):
        raise disagree(f"{auth_header} carries the token, and a policy never does: choose a field of your own", "chaos")
