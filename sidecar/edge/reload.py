"""A policy takes effect: read whole, or not at all.

Files are looked at every ``LOOK`` seconds by what ``stat`` says of their paths, links followed. That sees a saved file, an atomic
rename, a ConfigMap whose ``..data`` was swapped and a file that came back, on every file system, and costs some microseconds. A change is
taken when two looks agree, so that no file is read while it is being written. SIGHUP and the admin port reload at once.

A bad file changes nothing: the policy in force stays, and the complaint is said in the log, the metrics, ``/readyz?verbose`` and ``/state``
until a good one is read; it is read again every ``RETRY`` seconds, because what is wrong may be a file that is not among the known ones.

A candidate that runs beside the policy in force is read in the same way, by a reloader of its own: neither disturbs the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar

from sidecar.core.fact import ReloadEnded
from sidecar.edge.outlets.log import Log
from sidecar.edge.snapshot import Snapshot
from sidecar.edge.token import Tokens

LOOK = 0.5  # seconds between two looks at the files
RETRY = 5.0  # seconds after which a bad file is read again although it looks the same
MOST_PROBLEMS = 50  # complaints that are said of one reading: a wrong file may hold thousands
Trigger = Literal["file", "signal", "admin"]
Signature = tuple[tuple[int, ...] | None, ...]
_WORDS = {"policy": ("reloaded", "policy_rejected"), "candidate": ("candidate_reloaded", "candidate_rejected")}


class Reading(Protocol):
    """What was read, from which files."""

    @property
    def revision(self) -> str: ...
    @property
    def files(self) -> tuple[Path, ...]: ...


class _Revised(Protocol):
    @property
    def revision(self) -> str: ...


class Holder(Protocol):
    """Where what is in force is kept."""

    @property
    def current(self) -> _Revised: ...


R = TypeVar("R", bound=Reading)


class Source(NamedTuple):
    """A snapshot and the files it was made from: whoever changes one of them means to change the snapshot.

    ``mutators`` are the tokens of those who may change anything by the admin port.
    """

    snapshot: Snapshot
    files: tuple[Path, ...]
    mutators: Tokens = Tokens(())

    @property
    def revision(self) -> str:
        return self.snapshot.revision


class Reloader(Generic[R]):
    """Knows where what is in force came from, and brings in the next one."""

    def __init__(
        self,
        read: Callable[[], R],
        apply: Callable[[R], None],
        in_force: Holder,
        files: tuple[Path, ...],
        *,
        emit: Callable[[ReloadEnded], None],
        now: Callable[[], float],
        log: Log,
        of: Literal["policy", "candidate"] = "policy",
    ) -> None:
        """``read`` raises ValueError or OSError for what cannot be used; ``apply`` puts it in force, whole."""
        self._read = read
        self._apply = apply
        self._in_force = in_force
        self._files = files
        self._emit = emit
        self._now = now
        self._log = log
        self._taken_word, self._rejected_word = _WORDS[of]
        self._taken = signature(files)
        self.problems: tuple[str, ...] = ()
        """What is wrong with the files as they are; empty while they are what is in force."""

    def reload(self, trigger: Trigger) -> bool:
        """Read and apply. False, with ``problems``, if the files cannot be used."""
        before = self._in_force.current.revision
        try:
            source = self._settled()
            self._apply(source)
        except (ValueError, OSError) as error:
            self._failed(trigger, tuple(str(error).splitlines()) or (type(error).__name__,))
            return False
        except Exception as error:  # noqa: BLE001 - whatever it is, the watch goes on and somebody hears of it
            self._failed(trigger, (f"a fault of the sidecar, {type(error).__name__}: please report it",))
            return False
        self.problems = ()
        revision = source.revision
        result = "unchanged" if revision == before else "changed"
        self._log.info(self._taken_word, trigger=trigger, result=result, revision=revision)
        self._emit(ReloadEnded(self._now(), trigger, result))
        return True

    async def watch(self) -> None:
        """Look at the files for ever."""
        seen, looked = self._taken, 0.0
        while True:
            await asyncio.sleep(LOOK)
            looked += LOOK
            found = signature(self._files)
            settled = found == seen
            due = self.problems and looked >= RETRY
            if settled and (found != self._taken or due):
                looked = 0.0
                self.reload("file")
            seen = found

    def _settled(self) -> R:
        """Read; once more where it was made from other files than those looked at before.

        Looks come before reading: a file that changes while it is read looks other than it was taken, and is read again.
        """
        for _ in range(3):
            self._taken = signature(self._files)
            source = self._read()
            if source.files == self._files:
                break
            self._files = source.files
        return source

    def _failed(self, trigger: Trigger, problems: tuple[str, ...]) -> None:
        if len(problems) > MOST_PROBLEMS:
            problems = (*problems[:MOST_PROBLEMS], f"and {len(problems) - MOST_PROBLEMS} more")
        if trigger != "file" or problems != self.problems:  # nobody is told of the same file every few seconds
            self._log.error(self._rejected_word, problems=problems, in_force=self._in_force.current.revision)
            self._emit(ReloadEnded(self._now(), trigger, "failed"))
        self.problems = problems


def signature(files: Iterable[Path]) -> Signature:
    """What tells one state of the files from another; None for one that is not there."""
    return tuple(_look(path) for path in files)


def _look(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    # The last cannot be set by anybody: tools put the time of modification back, and a new file may get an old number.
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
