"""The command line: one module per command, each with ``add_options`` and ``run``.

Exit codes: 0 it ended as asked, 1 it found what it looks for (``check``, ``diff``, ``doctor``, ``fmt --check``, ``replay``,
``status``, ``test``), 2 it could not do as told; then a message on standard error says what to change, never a traceback. Parsed
with argparse. Only the command that is asked for is imported, and it imports what it needs when it runs: the serving path should
not pay for the others.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from types import ModuleType

from sidecar import __version__

COMMANDS = (
    "serve",
    "status",
    "explain",
    "doctor",
    "check",
    "diff",
    "fmt",
    "test",
    "replay",
    "recommend",
    "rules",
    "schema",
    "metrics",
    "lab",
)
UNUSABLE = 2
INTERRUPTED = 130  # as a shell reports it


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code. Wrong options end in SystemExit(2), as argparse has it."""
    words = sys.argv[1:] if argv is None else argv
    asked = words[:1] if words and words[0] in COMMANDS else COMMANDS  # for --help, which names them all
    arguments = _parser(asked).parse_args(words)
    try:
        return arguments.run(arguments) or 0
    except (ValueError, OSError) as error:
        # Every complaint about policies, environment, flags and lab faults is a ValueError that is worded for people.
        _complain(error)
        return UNUSABLE
    except KeyboardInterrupt:
        return INTERRUPTED


def _complain(error: Exception) -> None:
    text = str(error)
    if isinstance(error, OSError):
        text = f"{error.filename or 'cannot start'}: {error.strerror or error}"
    for line in text.splitlines():
        sys.stderr.write(f"sidecar: {line}\n")


def command_module(name: str) -> ModuleType:
    return import_module(f"sidecar.cli.{name}")


def _parser(names: Iterable[str] = COMMANDS) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sidecar", description="Makes chat in VX11 work, in front of the gateway.")
    parser.add_argument("--version", action="version", version=f"sidecar {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name in names:
        module = command_module(name)
        text = (module.__doc__ or "").split("\n", 1)[0]
        one = commands.add_parser(
            name, help=text, description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        module.add_options(one)
        one.set_defaults(run=module.run)
    return parser
