"""Module constants as the compiler wants them: said to be final, so that nobody looks them up by name.

What stands at the top of a module and is assigned once is a constant, but to the compiler only what is annotated as ``Final``: everything
else anybody may put something else in the place of, and so it asks the module's dictionary each time. Names that begin with a capital and
go on in small letters are types and not touched, and tuples are not either. No line moves.
"""

from __future__ import annotations

import ast
import re
from collections import Counter

START = "from __future__ import annotations"

_CONSTANT = re.compile(r"_?(?:[A-Z][A-Z0-9_]+|[a-z][a-z0-9_]*)")
_TYPES = ("TypeVar", "ParamSpec", "NewType")


def finalised(text: str) -> str:
    """A module as it is compiled."""
    tree = ast.parse(text)
    lines = text.splitlines()
    changeable = _assigned_again(tree)
    found = [node for node in tree.body if (name := _constant(node)) is not None and name not in changeable]
    start = next((at for at, line in enumerate(lines) if line.startswith(START)), None)
    if not found or start is None:
        return text
    for node in found:
        at = node.lineno - 1
        line = lines[at]
        if isinstance(node, ast.AnnAssign):
            annotation = node.annotation
            if annotation.end_lineno != node.lineno:
                continue
            first, end = annotation.col_offset, annotation.end_col_offset
            lines[at] = f"{line[:first]}Final[{line[first:end]}]{line[end:]}"
        else:
            name = line.split(" ", 1)[0]
            lines[at] = f"{name}: Final{line[len(name) :]}"
    lines[start] += "; from typing import Final"
    return "\n".join(lines) + "\n"


def _constant(node: ast.stmt) -> str | None:
    """The name that is assigned to, if this is a constant's assignment."""
    if isinstance(node, ast.AnnAssign) and node.value is not None and isinstance(node.target, ast.Name):
        name, final = node.target.id, "Final" in ast.unparse(node.annotation)
    elif isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        name, final = node.targets[0].id, False
    else:
        return None
    if final or not _CONSTANT.fullmatch(name) or _of_types(node.value) or isinstance(node.value, ast.Tuple):
        return None  # a tuple: one of numbers mypyc 2.4 takes for one that was never set
    return name


def _of_types(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Call) and ast.unparse(value.func).rpartition(".")[2] in _TYPES


def _assigned_again(tree: ast.Module) -> set[str]:
    """Names that more is done to than to be assigned once, at the top."""
    counted = Counter(
        target.id
        for node in tree.body
        for part in ast.walk(node)
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        for target in [part]
        if isinstance(target, ast.Name) and isinstance(target.ctx, ast.Store | ast.Del)
    )
    spoken = {name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names}
    return spoken | {name for name, times in counted.items() if times > 1}
