"""What is written must say what was read: the same values, in the same order where order has a meaning, the same comments."""

from __future__ import annotations

from collections import Counter

from sidecar.policy.format.arrange import SectionType, arrange, below
from sidecar.policy.format.blocks import Document
from sidecar.policy.format.layout import comments
from sidecar.policy.format.write import write
from sidecar.policy.model import Policy
from sidecar.policy.problem import PolicyError, Problem
from sidecar.policy.source import Node, read


class UnfaithfulError(Exception):
    """What came out does not say what went in: a fault of ours, and nothing the file can be blamed for."""


def stated(text: str, name: str) -> Node:
    """What ``text`` states. Raises PolicyError."""
    root, problems = read(text, name)
    if problems or root is None:
        raise PolicyError(problems)
    if not isinstance(root.value, dict):
        raise PolicyError(
            [Problem(*root.place, "", f"a policy must be a mapping of keys to values; found {root.text}")]
        )
    return root


def written(document: Document) -> str:
    """The canonical text of ``document``."""
    arrange(document)
    return write(document)


def checked(result: str, text: str, before: Node) -> str:
    """``result`` if it states what ``before`` does and has the comments of ``text``. Raises UnfaithfulError."""
    after, problems = read(result, "")
    if problems or after is None or not _same(before, after, Policy):
        raise UnfaithfulError("the values would not be the same")
    if Counter(comments(text)) != Counter(comments(result)):
        raise UnfaithfulError("a comment would be lost")
    return result


def _same(one: Node, other: Node, section: SectionType | None) -> bool:
    """Whether two trees state the same. The order of keys counts where they are no keys of the model."""
    a, b = one.value, other.value
    if isinstance(a, dict) and isinstance(b, dict):
        if (a.keys() if section else list(a)) != (b.keys() if section else list(b)):
            return False
        return all(_same(a[key], b[key], below(section, key)) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(_same(x, y, section) for x, y in zip(a, b, strict=True))
    return type(a) is type(b) and a == b
