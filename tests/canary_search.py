"""The end of every run: whatever it has written is searched for the tests' secrets, and the run fails where one is found.

Searched are all files below the directory for temporary files (what spawned processes wrote to either output, logs, journals,
pages that were kept) and everything that pytest captured. With several workers each searches its own, and the one that
started them reports. What is found is told by name, never by its text.
"""

from __future__ import annotations

import functools
import json
import mmap
import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import canary
import pytest

# Where the tests themselves put secrets: patterns of paths below the directory for temporary files, and the names of what is there.
ALLOWED: tuple[tuple[str, frozenset[str]], ...] = (
    ("*/lab*stdout*", frozenset({"LAB"})),  # the lab tells how to talk to it
    ("*/test_tokens_are_read_from*/link", frozenset({"LAB"})),
    ("*/test_tokens_are_rotated*/target", frozenset({"LAB"})),
)
REPORT = "canaries"  # the worker's word for it
WRITTEN = 8  # exit status, whatever else the run came to: no second hearing of a test makes up for it


class Found(NamedTuple):
    """``name`` of a secret, ``offset`` in bytes from the beginning of ``place``."""

    place: str
    offset: int
    name: str


def spellings(secret: str) -> set[bytes]:
    """A secret as text, as JSON with and without other letters than ASCII, and as a part of a URL."""
    texts = {
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        quote(secret),
        secret.replace(" ", "+"),
    }
    return {text.encode() for text in texts}


@functools.cache
def _expressions() -> Mapping[str, re.Pattern[bytes]]:
    return {
        name: re.compile(b"|".join(map(re.escape, sorted(spellings(secret), reverse=True))))
        for name, secret in canary.SECRETS.items()
    }


def search(place: str, content: bytes | mmap.mmap) -> Iterator[Found]:
    """The first of each secret in ``content``."""
    for name, expression in _expressions().items():
        match = expression.search(content)
        if match is not None:
            yield Found(place, match.start(), name)


def search_below(folder: Path, allowed: Iterable[tuple[str, frozenset[str]]] = ALLOWED) -> Iterator[Found]:
    """What is found in any file below ``folder``, less what is allowed there."""
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        place = "/" + path.relative_to(folder).as_posix()
        permitted = {name for pattern, names in allowed if fnmatch(place, pattern) for name in names}
        yield from (one for one in _search_file(path, place) if one.name not in permitted)


def _search_file(path: Path, place: str) -> list[Found]:
    try:
        with path.open("rb") as file:
            if not path.stat().st_size:
                return []
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return list(search(place, content))
    except OSError:  # gone, or not for us to read: then we did not write it either
        return []


class Search:
    """The plugin. One per process: the workers', and that of whoever started them."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._found: list[Found] = []
        self._apart = hasattr(config, "workerinput")
        self._leads = not self._apart and bool(getattr(config.option, "tx", None))
        if not self._leads:
            canary.folder = functools.cache(lambda: self._temporary.mktemp("kept"))

    @property
    def _temporary(self) -> Any:
        return self._config._tmp_path_factory  # type: ignore[attr-defined] # not there before all plugins are configured

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not self._leads:
            for name, text in report.sections:
                self._found += search(f"{report.nodeid}, {name.lower()}", text.encode("utf-8", "surrogateescape"))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if not self._leads and self._temporary._basetemp is not None:
            self._found += search_below(self._temporary.getbasetemp())
        if self._apart:
            self._config.workeroutput[REPORT] = [tuple(one) for one in self._found]  # type: ignore[attr-defined]
        elif self._found:
            session.exitstatus = WRITTEN

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self._found += [Found(*one) for one in getattr(node, "workeroutput", {}).get(REPORT, ())]

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self._found:
            terminalreporter.section("secrets that were written", red=True)
            for one in sorted(set(self._found)):
                terminalreporter.line(f"{one.place}: canary {one.name} at byte {one.offset}", red=True)
