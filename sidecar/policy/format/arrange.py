"""The order of keys: that of the model, which is the one of ``policies/default.yaml``.

Where the order has a meaning (languages of ``fallback.local_text``) or no order is known (paths of a rule's ``body``), it stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from sidecar.policy.format.blocks import Block, Document, Entry, Flow
from sidecar.policy.model import Policy, Section

_IGNORE = re.compile(r"#\s*lint:\s*ignore\s")

SectionType = type[Section]


def arrange(document: Document) -> None:
    """Put every section of ``document`` in order."""
    if document.root is not None:
        _arrange(document.root, Policy)


def keys(section: SectionType) -> tuple[str, ...]:
    """The keys of ``section`` as a file states them."""
    return (*(("extends",) if section is Policy else ()), *section.model_fields)


def below(section: SectionType | None, key: str) -> SectionType | None:
    """The section that ``key`` of ``section`` holds, itself or in a list; None for a value and for keys of one's own."""
    field = section.model_fields.get(key) if section else None
    return next(_sections(field.annotation), None) if field else None


def _sections(annotation: Any) -> Iterator[SectionType]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for argument in get_args(annotation):
        yield from _sections(argument)


def _arrange(entry: Entry, section: SectionType | None) -> None:
    value = entry.value
    if not isinstance(value, Block | Flow):
        return
    order = keys(section) if value.mapping and section is not None else ()
    for inner in value.entries:
        if inner.key in order:
            inner.written = str(inner.key)
        elif inner.key is None:
            _hand_down(inner)
        _arrange(inner, section if inner.key is None else below(section, inner.key))
    if order and value.entries:
        _sort(value.entries, order)


def _hand_down(item: Entry) -> None:
    """A comment for the lint means the one line below it, and with it the key there, wherever that goes."""
    if isinstance(item.value, Block) and item.above and _IGNORE.match(item.above[-1]):
        item.value.entries[0].above.insert(0, item.above.pop())


def _sort(entries: list[Entry], order: Sequence[str]) -> None:
    """Stable, unknown keys last. A blank line that set the first two apart still does."""
    first = entries[0]
    entries.sort(key=lambda entry: order.index(entry.key) if entry.key in order else len(order))
    if entries[0] is not first:
        first.above[:0] = _blanks(entries[0])


def _blanks(entry: Entry) -> list[str]:
    """Take the blank lines above ``entry``."""
    cut = next((number for number, line in enumerate(entry.above) if line), len(entry.above))
    blanks, entry.above = entry.above[:cut], entry.above[cut:]
    return blanks
