"""Values as the compiler wants them: classes of its own in the place of those that msgspec makes.

A ``Value`` is declared like a dataclass, and msgspec makes a class of that when its module is run. To compiled code such a class is like
any other of Python's: it looks each field up by name, and puts each number into an object first. So before a module is compiled, each of
its values gets the ``__init__`` that msgspec would have made, in the place of its docstring, and ``sidecar.core.native.Native`` for a
base; what patterns match by place is said below the module. No line moves: what a traceback names is where the source has it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

BASES = ("Value", "Struct")
ROOTS = ("Native", "Single")
EMPTY = ("{}", "[]", "set()")
IMPORTS = {"sidecar.core.value": "Value", "msgspec": "Struct"}
ACYCLIC = "@mypyc_attr(acyclic=True)"
START = "from __future__ import annotations"


class NotAValueError(Exception):
    """Says where something stands that no value can have."""


class _Field(NamedTuple):
    name: str
    type: str
    default: str | None

    def parameter(self) -> str:
        if self.default is None:
            return f"{self.name}: {self.type}"
        return f"{self.name}: {self.type} | None = None" if self._own else f"{self.name}: {self.type} = {self.default}"

    def set(self) -> str:
        return (
            f"self.{self.name} = {self.default} if {self.name} is None else {self.name}"
            if self._own
            else f"self.{self.name} = {self.name}"
        )

    @property
    def _own(self) -> bool:
        """Whether each value gets a new one, as it does of what could be changed."""
        return self.default in EMPTY


def rewritten(text: str) -> str:
    """A module as it is compiled. Raises NotAValueError."""
    tree = ast.parse(text)
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    values, roots = [node for node in classes if _base(node)], [node for node in classes if node.name in ROOTS]
    if (not values and not roots) or any(len(node.bases) > 1 for node in values):  # a generic value stays msgspec's
        return text
    lines = text.splitlines()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module in IMPORTS:
            _import(lines, node)
    declared = [(node.name, _declare(lines, node)) for node in values]
    for node in roots:
        lines[node.lineno - 2] = ACYCLIC
    at = lines.index(START)
    if lines[at + 1]:
        raise NotAValueError(f"line {at + 2}: something in the place of an import")
    lines[at] += "; from typing import TYPE_CHECKING"
    lines[at + 1] = "if TYPE_CHECKING: from mypy_extensions import mypyc_attr"
    lines += [f'setattr({name}, "__match_args__", {fields!r})' for name, fields in declared]
    return "\n".join(lines) + "\n"


def _base(node: ast.ClassDef) -> str | None:
    return next((base.id for base in node.bases if isinstance(base, ast.Name) and base.id in BASES), None)


def _import(lines: list[str], node: ast.ImportFrom) -> None:
    kept = [name.name for name in node.names if name.name not in BASES]
    said = ["from sidecar.core.native import Native, Single"]
    if kept:
        said.append(f"from {node.module} import {', '.join(kept)}")
    _put(lines, node, "; ".join(said))


def _declare(lines: list[str], node: ast.ClassDef) -> tuple[str, ...]:
    """The class line, its docstring, and its fields without what they are by default: that stands in ``__init__``. Returns their names."""
    document, before = node.body[0], node.lineno - 2
    if node.decorator_list or lines[before] or not (isinstance(document, ast.Expr) and ast.get_docstring(node)):
        raise NotAValueError(
            f"line {node.lineno}: {node.name} needs a docstring, an empty line above it and no decorator"
        )
    said = {key.arg: ast.literal_eval(key.value) for key in node.keywords}
    if said.get("gc", _base(node) == "Struct") is False or (_base(node) == "Value" and "gc" not in said):
        lines[before] = ACYCLIC
    lines[node.lineno - 1] = f"class {node.name}({'Native' if said.get('eq', True) else 'Single'}):"
    fields = list(_fields(lines, node))
    parameters, done = [each.parameter() for each in fields], [each.set() for each in fields]
    if any(isinstance(each, ast.FunctionDef) and each.name == "__post_init__" for each in node.body):
        done.append("self.__post_init__()")
    _put(lines, document, f"    def __init__(self, {', '.join(parameters)}) -> None: {'; '.join(done)}")
    return tuple(each.name for each in fields)


def _fields(lines: list[str], node: ast.ClassDef) -> Iterator[_Field]:
    for each in node.body:
        if not isinstance(each, ast.AnnAssign) or not isinstance(each.target, ast.Name):
            continue
        default = None if each.value is None else ast.unparse(each.value)
        if each.value is not None and each.annotation.end_lineno == each.value.end_lineno:
            at = each.value.end_lineno - 1
            lines[at] = lines[at].encode()[: each.annotation.end_col_offset].decode()
        elif each.value is not None:
            raise NotAValueError(f"line {each.lineno}: a default on a line of its own")
        yield _Field(each.target.id, ast.unparse(each.annotation), default)


def _put(lines: list[str], node: ast.stmt, said: str) -> None:
    """In the place of ``node``, all of it."""
    assert node.end_lineno is not None  # noqa: S101 - a parsed one has it
    lines[node.lineno - 1 : node.end_lineno] = [said] + [""] * (node.end_lineno - node.lineno)
