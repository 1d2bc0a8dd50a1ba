"""A policy file becomes a policy, or a list of everything that is wrong with it.

``load`` reads a file (or the ``policy.yaml`` of a directory) and the files it extends; ``parse`` reads text. Both say
where each value was stated. Files are laid over each other key by key, the child's keys first; ``targets`` is the ladder
of the file that lists it, and each entry takes over what the parent says about the target of that name.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path as File
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from sidecar.policy import wording
from sidecar.policy.model import Policy
from sidecar.policy.problem import Place, PolicyError, Problem, dotted
from sidecar.policy.source import LARGEST, Node, Path, read

__all__ = ["Loaded", "PolicyError", "Problem", "load", "parse", "revision_of"]

_LONGEST_CHAIN = 8
_WITHIN_TARGET = re.compile(r"^targets\[[0-9]+\]\.")
_TOO_LARGE = f"larger than {LARGEST >> 20} MiB: a policy is a few kilobytes, is this the right file?"


@dataclass(frozen=True, slots=True)
class Loaded:
    """``origins`` tells for every stated value, by dotted path, its file:line:column; ``files`` are all that were read."""

    policy: Policy
    revision: str
    source: str
    origins: Mapping[str, str]
    files: tuple[File, ...] = ()

    def origin(self, path: str) -> str | None:
        """Where the value at ``path`` was stated, in the target or else at the top; None: nowhere, it is built in."""
        return self.origins.get(path) or self.origins.get(_WITHIN_TARGET.sub("", path))


def load(path: File) -> Loaded:
    """Read the policy file ``path``, or the ``policy.yaml`` in it. Raises PolicyError."""
    chain = _Chain()
    chain.follow(path)
    return chain.loaded(str(path))


def parse(text: str, name: str, folder: File | None = None) -> Loaded:
    """Read the policy ``text``, called ``name`` in messages. It extends files of ``folder``, or none. Raises PolicyError."""
    chain = _Chain()
    extends = chain.take(text.encode(errors="surrogatepass"), name)
    if extends is not None and folder is not None:
        chain.follow(folder / extends.value, extends)
    elif extends is not None:
        chain.stop(extends.place, "text that is no file cannot extend one: state the values here", "extends")
    return chain.loaded(name)


def revision_of(policy: Policy) -> str:
    """Name what ``policy`` says: equal policies have equal revisions, wherever their values were stated."""
    return sha256(policy.model_dump_json().encode()).hexdigest()[:12]


class _UnusableError(Exception):
    """A file that could be read and must not be."""


class _Chain:
    """A file and the files it extends, child first, with everything that is wrong with any of them."""

    def __init__(self) -> None:
        self.roots: list[Node] = []
        self.files: list[File] = []
        self.problems: list[Problem] = []
        self.stopped = False

    def stop(self, place: Place, message: str, path: str = "") -> None:
        """Note a problem after which there is no policy to judge."""
        self.problems.append(Problem(*place, path, message))
        self.stopped = True

    def follow(self, path: File, stated: Node | None = None) -> None:
        """Read ``path``, named by ``stated`` if another file extends it, and what it extends in turn."""
        place, where = (stated.place, "extends") if stated else (Place(str(path), 1, 1), "")
        try:
            file = path / "policy.yaml" if path.is_dir() else path
            data = self._bytes(file)
        except _UnusableError as error:
            return self.stop(place, str(error), where)
        except (OSError, ValueError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or "no name of a file"
            return self.stop(place, f"cannot be read ({reason}): name a readable file", where)
        self.files.append(file)
        extends = self.take(data, str(file))
        return self.follow(file.parent / extends.value, extends) if extends else None

    def _bytes(self, file: File) -> bytes:
        if file.resolve() in [known.resolve() for known in self.files]:
            raise _UnusableError("comes back to a file that was already read: break the circle")
        if len(self.files) == _LONGEST_CHAIN:
            raise _UnusableError(f"makes a chain of more than {_LONGEST_CHAIN} files: state the values here")
        if not stat.S_ISREG(file.stat().st_mode):  # reading a pipe would never end
            raise _UnusableError("not a regular file: name a file, or a directory with a policy.yaml")
        with file.open("rb") as opened:
            return opened.read(LARGEST + 1)

    def take(self, data: bytes, name: str) -> Node | None:
        """Read one file of the chain; what it extends, if anything, is the answer."""
        text = self._text(data, name)
        if text is None:
            return None
        root, found = read(text, name)
        self.problems += found
        if root is None:
            self.stopped = True
        elif not isinstance(root.value, dict):
            self.stop(root.place, f"a policy must be a mapping of keys to values; found {root.text}")
        else:
            self.roots.append(root)
            return self._extends(root.value.pop("extends", None))
        return None

    def _text(self, data: bytes, name: str) -> str | None:
        if len(data) > LARGEST:
            self.stop(Place(name, 1, 1), _TOO_LARGE)
            return None
        data = data.removeprefix(b"\xef\xbb\xbf")
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            before = data[: error.start]
            column = len(before[before.rfind(b"\n") + 1 :].decode()) + 1
            self.stop(Place(name, before.count(b"\n") + 1, column), "not UTF-8 from here on: save the file as UTF-8")
            return None

    def _extends(self, stated: Node | None) -> Node | None:
        if stated is None or isinstance(stated.value, str):
            return stated
        if stated.value is not None:  # else it was said already
            self.stop(stated.place, f"must be a file name, as in default.yaml; found {stated.text}", "extends")
        return None

    def loaded(self, source: str) -> Loaded:
        """Lay the files over each other; the policy, unless anything is wrong."""
        if self.stopped:
            raise PolicyError(self.problems)
        root = self.roots[-1]
        for above in self.roots[-2::-1]:
            root = _laid(root, above, ())
        try:
            policy = Policy.model_validate(_value(root))
        except ValidationError as error:
            self.problems += wording.problems(error, root, self.problems)
        if self.problems:
            raise PolicyError(self.problems) from None
        origins = {dotted(path): str(node.place) for path, node in _leaves(root, ())}
        return Loaded(policy, revision_of(policy), source, MappingProxyType(origins), tuple(self.files))


def _laid(below: Node, above: Node, path: Path) -> Node:
    """``above`` over ``below``. The child's keys come first: the order of ``fallback.local_text`` has a meaning."""
    under, over = below.value, above.value
    if isinstance(under, dict) and isinstance(over, dict):
        both = {key: _laid(under[key], node, (*path, key)) if key in under else node for key, node in over.items()}
        rest = {key: node for key, node in under.items() if key not in over}
        return replace(above, value=both | rest)
    if path == ("targets",) and isinstance(under, list) and isinstance(over, list):
        return replace(above, value=[_laid(_namesake(node, under), node, ()) for node in over])
    return above


def _namesake(target: Node, among: list[Node]) -> Node:
    name = _name(target)
    return next((node for node in among if name is not None and _name(node) == name), target)


def _name(target: Node) -> str | None:
    name = target.value.get("name") if isinstance(target.value, dict) else None
    return name.value if isinstance(name, Node) and isinstance(name.value, str) else None


def _value(node: Node) -> Any:
    if isinstance(node.value, dict):
        return {key: _value(below) for key, below in node.value.items()}
    return [_value(below) for below in node.value] if isinstance(node.value, list) else node.value


def _leaves(node: Node, path: Path) -> Iterator[tuple[Path, Node]]:
    """Every value that is no mapping; a list is a value, and so are its entries."""
    if isinstance(node.value, dict):
        for key, below in node.value.items():
            yield from _leaves(below, (*path, key))
        return
    yield path, node
    for index, below in enumerate(node.value if isinstance(node.value, list) else ()):
        yield from _leaves(below, (*path, index))
