"""Trace context as the W3C recommendation has it: ``traceparent`` read strictly, ``tracestate`` as it came.

    traceparent: 00-<32 digits of the trace>-<16 digits of the parent>-<2 digits of flags>

Lower-case hexadecimal only; ids of nothing but zeros and version ff are invalid. A higher version may go on after its flags, with
a dash, and is read like this one. What is invalid is as if it were not there, and its ``tracestate`` with it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

TRACEPARENT, TRACESTATE = "traceparent", "tracestate"
LONGEST = 512  # characters of either that are passed on; the recommendation asks for that many

_TRACEPARENT = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-[\x21-\x7e]*)?"
)
_PRINTABLE = re.compile(r"[\x20-\x7e]*")
_SAMPLED = 1


class Context(NamedTuple):
    """The trace that a request is part of. ``fields`` is what whoever is asked next is sent."""

    trace_id: str
    parent_id: str
    sampled: bool
    fields: Mapping[str, str]


def read(parents: Sequence[str], states: Sequence[str] = ()) -> Context | None:
    """The context in the values of the two fields; None where there is none that is valid. Two ``traceparent`` are none."""
    if len(parents) != 1 or len(parents[0]) > LONGEST:
        return None
    parent = parents[0].strip(" \t")
    match = _TRACEPARENT.fullmatch(parent)
    if match is None or (match[1] == "00" and match[5] is not None):
        return None
    fields = {TRACEPARENT: parent}
    state = ",".join(states)
    if state and len(state) <= LONGEST and _PRINTABLE.fullmatch(state):
        fields[TRACESTATE] = state
    return Context(match[2], match[3], bool(int(match[4], 16) & _SAMPLED), fields)


def written(trace_id: str, parent_id: str, state: str = "", *, sampled: bool) -> Context:
    """A context of our own making."""
    fields = {TRACEPARENT: f"00-{trace_id}-{parent_id}-{int(sampled):02x}"}
    if state:
        fields[TRACESTATE] = state
    return Context(trace_id, parent_id, sampled, fields)
