"""What the model found wrong, in the words of a policy file and at the place where the value stands.

The model sees values, the tree knows places. A section at the top is part of every target, so one mistake there is found
once per target: it is followed back to where it was stated and reported there, once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from sidecar.policy.model import PER_TARGET, Policy, Section
from sidecar.policy.problem import Place, Problem, dotted, shown
from sidecar.policy.source import Node, Path

_SECRET = ("token_from", "url")  # a token may have been written there by mistake: never repeated

_WORDS: dict[str, Callable[[dict[str, Any]], str]] = {
    "int_type": lambda _: "must be a whole number in plain digits, as in 10",
    "int_from_float": lambda _: "must be a whole number in plain digits, as in 10",
    "float_type": lambda _: "must be a number in plain digits, as in 0.3",
    "finite_number": lambda _: "must be a number that is not infinite",
    "bool_type": lambda _: "must be true or false",
    "string_type": lambda _: "must be text, in quotes if it looks like a number",
    "tuple_type": lambda _: "must be a list, as in [a, b]",
    "dict_type": lambda _: "must be a mapping, as in {key: value}",
    "model_type": lambda _: "must be a mapping of keys to values",
    "literal_error": lambda ctx: f"must be {ctx['expected']}".replace("'", ""),
    "greater_than_equal": lambda ctx: f"must be at least {ctx['ge']:.10g}",
    "less_than_equal": lambda ctx: f"must be at most {ctx['le']:.10g}",
    "too_short": lambda ctx: f"must have at least {ctx['min_length']} entry",
    "too_long": lambda ctx: f"must have at most {ctx['max_length']} entry",
    "value_error": lambda ctx: str(ctx["error"]),
}


def problems(error: ValidationError, root: Node, known: Iterable[Problem]) -> Iterator[Problem]:
    """What ``error`` says about the tree it came from, but nothing about places that are ``known`` to be wrong."""
    wrong = {problem.place for problem in known}
    for detail in error.errors(include_url=False):
        if detail["type"] not in ("too_short", "too_long") or _counted(detail):
            path, place, message = _problem(detail, root)
            if place not in wrong:
                yield Problem(*place, dotted(path), message)


def _counted(detail: ErrorDetails) -> bool:
    """Whether the list itself has a wrong length, and not only lost the entries that are wrong."""
    bounds, length = detail["ctx"], len(detail["input"])
    return not bounds.get("min_length", 0) <= length <= bounds.get("max_length", length)


def _problem(detail: ErrorDetails, root: Node) -> tuple[Path, Place, str]:
    loc, kind, ctx = detail["loc"], detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        path, node = _aim(root, [loc])
        return path, node.key or node.place, _unknown(loc)
    if kind == "missing":
        path, node = _aim(root, [loc[:-1]])
        return (*path, loc[-1]), node.place, f"is missing: {_field(loc).description}"
    if kind == "disagree":
        path, node = _aim(root, [(*loc, *field.split(".")) for field in ctx["fields"]])
        return path, node.place, ctx["words"]
    if loc[-1:] == ("[key]",):  # how the model says that the key itself is wrong
        path, node = _aim(root, [loc[:-1]])
        return path, node.key or node.place, _words(detail)
    path, node = _aim(root, [loc])
    found = "" if path[-1:] and path[-1] in _SECRET else f"; found {node.text}"
    return path, node.place, _words(detail) + found


def _words(detail: ErrorDetails) -> str:
    words = _WORDS.get(detail["type"])
    return words(detail.get("ctx", {})) if words else shown(detail["msg"])


def _aim(root: Node, locs: list[Path]) -> tuple[Path, Node]:
    """The first of ``locs`` that is stated, in the target or else at the top; or what comes nearest to one."""
    above = [loc[2:] for loc in locs if loc[:1] == ("targets",) and loc[2:3] and loc[2] in PER_TARGET]
    walks = [(loc, *_walk(root, loc)) for loc in (*locs, *above)]
    _, path, node = min(walks, key=lambda walk: len(walk[0]) - len(walk[1]))
    return path, node


def _walk(root: Node, loc: Path) -> tuple[Path, Node]:
    """Follow ``loc`` as far as it is stated."""
    node = root
    for depth, part in enumerate(loc):
        below = _below(node, part)
        if below is None:
            return loc[:depth], node
        node = below
    return loc, node


def _below(node: Node, part: str | int) -> Node | None:
    inside = node.value
    if isinstance(inside, dict):
        return inside.get(part)
    return inside[part] if isinstance(inside, list) and isinstance(part, int) and part < len(inside) else None


def _unknown(loc: Path) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - only wrong files need it

    keys = [*_section(loc).model_fields, *(("extends",) if len(loc) == 1 else ())]
    near = get_close_matches(str(loc[-1])[:40], keys, 1)
    return (
        f"is not a known key: did you mean {near[0]}?" if near else f"is not a known key: here stand {', '.join(keys)}"
    )


def _field(loc: Path) -> Any:
    return _section(loc).model_fields[str(loc[-1])]


def _section(loc: Path) -> type[Section]:
    """The section in which the last part of ``loc`` stands."""
    section: type[Section] = Policy
    for part in loc[:-1]:
        if isinstance(part, str):
            section = next(_sections(section.model_fields[part].annotation))
    return section


def _sections(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for argument in get_args(annotation):  # pragma: no branch - the first section is the only one asked for
        yield from _sections(argument)
