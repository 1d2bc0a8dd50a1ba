"""What people write for the replay floor: nodes read as what a field takes, every problem with its place and what would be right.

The YAML itself is read where policies are (``policy.source``), and units are theirs. Whatever is wrong is noted and something harmless
returned in its stead, so that one run shows all mistakes; who has read everything asks for ``problems`` before using any of it.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path as File
from typing import Any

from pydantic import TypeAdapter, ValidationError

from sidecar.policy.problem import Place, PolicyError, Problem, dotted
from sidecar.policy.source import LARGEST, Node, Path
from sidecar.policy.units import Duration, DurationOrZero, Share

_DURATION: TypeAdapter[float] = TypeAdapter(Duration)
_DURATION_OR_ZERO: TypeAdapter[float] = TypeAdapter(DurationOrZero)
_SHARE: TypeAdapter[float] = TypeAdapter(Share)
_NEAR = 40  # characters of a wrong word that are compared with the right ones


def text_of(file: File) -> str:
    """What is in ``file``. Raises PolicyError for what cannot be read, or is no text."""
    try:
        if not stat.S_ISREG(file.stat().st_mode):  # reading a pipe would never end
            raise _refused(file, "not a regular file: name a file")
        with file.open("rb") as opened:
            data = opened.read(LARGEST + 1)
    except PolicyError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no name of a file"
        raise _refused(file, f"cannot be read ({reason}): name a readable file") from None
    if len(data) > LARGEST:
        raise _refused(file, f"larger than {LARGEST >> 20} MiB: is this the right file?")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _refused(file, "not UTF-8: save the file as UTF-8", line) from None


def _refused(file: File, message: str, line: int = 1) -> PolicyError:
    return PolicyError([Problem(str(file), line, 1, "", message)])


class Form:
    def __init__(self, known: Iterable[Problem]) -> None:
        """``known`` is what is wrong with the file as YAML; of the same places nothing more is said."""
        self.problems = list(known)
        self._places = {problem.place for problem in self.problems}

    def wrong(self, place: Place, path: Path, message: str) -> None:
        if place not in self._places:
            self.problems.append(Problem(*place, dotted(path), message))

    def unfit(self, node: Node, path: Path, message: str) -> None:
        """``node`` is not what its field takes."""
        self.wrong(node.place, path, f"{message}; found {node.text}")

    def mapping(self, node: Node, path: Path, keys: Sequence[str], needed: Sequence[str] = ()) -> Mapping[str, Node]:
        """The entries of a mapping under ``keys``, of which ``needed`` must be there."""
        if not isinstance(node.value, dict):
            self.unfit(node, path, f"must be a mapping of {listed(keys, 'and')}")
            return {}
        for key, below in node.value.items():
            if key not in keys:
                self.wrong(below.key or below.place, (*path, key), f"is not a known key: {_near(key, keys)}")
        for key in needed:
            if key not in node.value:
                self.wrong(node.key or node.place, (*path, key), "is missing: write it")
        return {key: below for key, below in node.value.items() if key in keys}

    def entries(self, node: Node, path: Path, of: str) -> list[tuple[Path, Node]]:
        """The entries of a list with at least one, each with its path."""
        if not isinstance(node.value, list):
            self.unfit(node, path, f"must be a list of {of}")
            return []
        if not node.value:
            self.wrong(node.place, path, f"must be a list of {of}, with at least one")
        return [((*path, index), below) for index, below in enumerate(node.value)]

    def text(self, node: Node, path: Path, what: str) -> str:
        if isinstance(node.value, str) and node.value.strip():
            return node.value
        self.unfit(node, path, f"must be {what}, in quotes if it looks like a number")
        return ""

    def word(self, node: Node, path: Path, words: Sequence[str]) -> str:
        if node.value in words and isinstance(node.value, str):
            return node.value
        self.unfit(node, path, f"must be {listed(words, 'or')}")
        return words[0]

    def truth(self, node: Node, path: Path) -> bool:
        if not isinstance(node.value, bool):
            self.unfit(node, path, "must be true or false")
        return node.value is True

    def whole(self, node: Node, path: Path, least: int, most: int) -> int:
        if type(node.value) is int and least <= node.value <= most:
            return node.value
        self.unfit(node, path, f"must be a whole number from {least} to {most}")
        return least

    def duration(self, node: Node, path: Path, *, zero: bool = False) -> float:
        """Seconds; ``zero`` says whether 0 is one."""
        return self._unit(_DURATION_OR_ZERO if zero else _DURATION, node, path, 1.0)

    def share(self, node: Node, path: Path) -> float:
        return self._unit(_SHARE, node, path, 0.0)

    def _unit(self, kind: TypeAdapter[float], node: Node, path: Path, instead: float) -> float:
        try:
            return kind.validate_python(node.value)
        except ValidationError as error:
            self.unfit(node, path, _said(error.errors()[0]))
            return instead


def _said(detail: Any) -> str:
    return str(detail["ctx"]["error"])


def _near(key: str, keys: Sequence[str]) -> str:
    near = get_close_matches(key[:_NEAR], keys, 1)
    return f"did you mean {near[0]}?" if near else f"here stand {', '.join(keys)}"


def listed(words: Sequence[str], last: str) -> str:
    """``a, b or c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"
