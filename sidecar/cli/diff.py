"""Say what changes in behaviour between two policies, in words and in figures; not what changes in their text.

A and B are policy files, or directories with a policy.yaml; "built-in" is the policy that nobody has to state. Each value that differs
comes with what it was and is, where that is stated, and what it does to chats; then what the figures come to, and findings that
"sidecar check" has of one policy alone. Values that flags and the environment override are compared as the files state them.

Exit codes: 0 no value differs, 1 some do, 2 a file cannot be read or is not valid.

With --output json one object is printed: "before" and "after" ("file", "revision", "figures"), "changes" (a list of "group", "path",
"target", "before", "after", "stated_before", "stated_after", "words", "effect": reload, start or rules, "memory"), "rows" (a list of
"figure", "target", "label", "before", "after"), "notes", "new_findings" and "gone_findings" (both as in "sidecar check"). Keys are
only ever added.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sidecar.policy.difference import Difference, Entry, Row
    from sidecar.policy.lint import Finding
    from sidecar.policy.load import Loaded, Problem

SAME, DIFFERENT, UNUSABLE = 0, 1, 2
BUILT_IN = "built-in"
WIDTH = 120


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("before", metavar="A", help=f"policy file, or a directory with a policy.yaml, or {BUILT_IN}")
    add("after", metavar="B", help="the same")
    add("--all", action="store_true", help="show the figures that are the same as well")
    add("--output", choices=("text", "json"), default="text", help="default: text")


def run(arguments: argparse.Namespace) -> int:
    """Compare and print; the exit code. Raises PolicyError, which is worded file by file and line by line."""
    from sidecar.policy.difference import difference  # noqa: PLC0415 - not for --help

    a, b = _both(arguments.before, arguments.after)
    texts = {str(file): file.read_text(encoding="utf-8-sig") for loaded in (a, b) for file in loaded.files}
    found = difference(a, b, texts)
    shown = [row for row in found.rows if row.differs or arguments.all]
    sys.stdout.write(_json(a, b, found, shown) if arguments.output == "json" else _text(a, b, found, shown))
    return DIFFERENT if found.entries else SAME


def _both(*names: str) -> list[Loaded]:
    """Both policies, or everything that is wrong with either. Raises PolicyError."""
    from sidecar.policy.load import PolicyError, load, parse  # noqa: PLC0415

    loaded: list[Loaded] = []
    problems: list[Problem] = []
    for name in names:
        try:
            built_in = name == BUILT_IN and not Path(name).exists()
            loaded.append(parse("", BUILT_IN) if built_in else load(Path(name)))
        except PolicyError as error:
            problems += error.problems
    if problems:
        raise PolicyError(problems)
    return loaded


def _json(a: Loaded, b: Loaded, found: Difference, rows: Iterable[Row]) -> str:
    import json  # noqa: PLC0415

    from sidecar.policy.figures import figures  # noqa: PLC0415

    sides = [
        {"file": loaded.source, "revision": loaded.revision, "figures": _plain(figures(loaded.policy))}
        for loaded in (a, b)
    ]
    whole = {
        "before": sides[0],
        "after": sides[1],
        "changes": _plain(found.entries),
        "rows": [_plain(row) for row in rows],
        "notes": _plain(found.notes),
        "new_findings": _plain(found.new_findings),
        "gone_findings": _plain(found.gone_findings),
    }
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def _plain(value: Any) -> Any:
    """Named tuples as objects."""
    if hasattr(value, "_asdict"):
        return {key: _plain(below) for key, below in value._asdict().items()}
    return [_plain(below) for below in value] if isinstance(value, tuple) else value


# -- for people ---------------------------------------------------------------------------------------------------------


def _text(a: Loaded, b: Loaded, found: Difference, rows: list[Row]) -> str:
    from sidecar.policy.difference import GROUPS  # noqa: PLC0415

    lines = [f"--- {a.source}, revision {a.revision}", f"+++ {b.source}, revision {b.revision}"]
    for group in GROUPS:
        entries = [entry for entry in found.entries if entry.group == group.key]
        lines += _section(group.title, (line for entry in entries for line in _entry(entry)))
    lines += _section("Figures", _table(a, b, rows))
    lines += _section("New findings", map(_finding, found.new_findings))
    lines += _section("Findings that are gone", map(_finding, found.gone_findings))
    lines += _section("To know", _notes(found))
    if not found.entries:
        lines += ["", "No value differs: these policies behave alike."]
    return "\n".join([*lines, ""])


def _section(title: str, lines: Iterable[str]) -> list[str]:
    found = list(lines)
    return ["", title, *found] if found else []


def _entry(entry: Entry) -> Iterator[str]:
    yield f"  {entry}: {entry.before} → {entry.after}"
    remarks = [entry.words, f"stated: {entry.stated_before} → {entry.stated_after}"]
    for remark in (*remarks, *([f"on reload: {entry.memory}"] if entry.memory else [])):
        yield from wrap(
            remark,
            WIDTH,
            initial_indent=" " * 6,
            subsequent_indent=" " * 8,
            break_long_words=False,
            break_on_hyphens=False,
        )


def _table(a: Loaded, b: Loaded, rows: list[Row]) -> Iterator[str]:
    cells = [("", a.source, b.source), *((row.label, row.before, row.after) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(2)]
    for label, before, after in cells if rows else ():
        yield f"  {label:<{widths[0]}}  {before:<{widths[1]}}  {after}"


def _finding(finding: Finding) -> str:
    return f"  {finding}"


def _notes(found: Difference) -> Iterator[str]:
    yield from (f"  {note}" for note in found.notes)
    for effect, words in (
        ("start", "takes effect only when the sidecar starts again"),
        ("rules", "takes effect only when alert rules are built anew (sidecar rules build)"),
    ):
        late = [str(entry) for entry in found.entries if entry.effect == effect]
        if late:
            yield f"  {words}: {', '.join(late)}"
