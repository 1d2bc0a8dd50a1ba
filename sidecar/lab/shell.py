"""What the real switch would do with a text in its executing lane: told, never done.

The real switch hands the first message of every chat to ``sh -c``. If the shell succeeds its output is the reply; if
the text is no command the local lane answers. Here the text is only looked at, and nothing on this machine is run:
a handful of well-known command names stand for "the shell would have succeeded".
"""

from __future__ import annotations

import re
import shlex
from typing import NamedTuple

# fmt: off
COMMANDS = frozenset({
    "awk", "bash", "cat", "chmod", "chown", "cp", "curl", "date", "df", "dd", "echo", "env", "find", "grep",
    "head", "hostname", "id", "kill", "ls", "mkdir", "mv", "nc", "pkill", "printenv", "printf", "ps", "pwd",
    "python", "python3", "reboot", "rm", "sed", "sh", "sleep", "sudo", "tail", "tar", "touch", "true",
    "uname", "wget", "whoami",
})
# fmt: on
LONGEST = 30.0  # the real switch's limit for one command


class Told(NamedTuple):
    """The output the shell would have had, and how long it would have kept the switch busy."""

    output: str
    seconds: float


def tell(text: str) -> Told | None:
    """None when the shell would not have found a command."""
    for part in re.split(r"[;&|\n]+|\$\(|`", text):
        words = _words(part)
        name = words[0].rsplit("/", 1)[-1] if words else ""
        if name in COMMANDS:
            return _told(name, words)
    return None


def _told(name: str, words: list[str]) -> Told:
    arguments = words[1:]
    if name == "echo":
        return Told(" ".join(arguments), 0.0)
    if name == "sleep":
        return Told("", _duration(arguments))
    return Told(f"[lab] would have been executed: {' '.join(words)}", 0.0)


def _words(part: str) -> list[str]:
    try:
        return shlex.split(part)
    except ValueError:
        return part.split()


def _duration(arguments: list[str]) -> float:
    try:
        return min(max(float(arguments[0]), 0.0), LONGEST)
    except (ValueError, IndexError):
        return 0.0
