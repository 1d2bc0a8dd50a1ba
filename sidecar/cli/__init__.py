"""The command line: one module per command, each with ``add_options`` and ``run``.

Exit codes: 0 it ended as asked, 1 it found what it looks for (``check``, ``diff``, ``doctor``, ``fmt --check``, ``replay``,
``status``, ``test``), 2 it could not do as told; then a message on standard error says what to change, never a traceback. Parsed
with argparse, and each command imports what it needs when it runs: the serving path should not pay for the others.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType

from sidecar import __version__
from sidecar.cli import (
    check,
    diff,
    doctor,
    explain,
    fmt,
    lab,
    metrics,
    recommend,
    replay,
    rules,
    schema,
    serve,
    status,
    test,
)

COMMANDS: Mapping[str, ModuleType] = {
    "serve": serve,
    "status": status,
    "explain": explain,
    "doctor": doctor,
    "check": check,
    "diff": diff,
    "fmt": fmt,
    "test": test,
    "replay": replay,
    "recommend": recommend,
    "rules": rules,
    "schema": schema,
    "metrics": metrics,
    "lab": lab,
}
UNUSABLE = 2
INTERRUPTED = 130  # as a shell reports it


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code. Wrong options end in SystemExit(2), as argparse has it."""
    arguments = _parser().parse_args(argv)
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sidecar", description="Makes chat in VX11 work, in front of the gateway.")
    parser.add_argument("--version", action="version", version=f"sidecar {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        text = (module.__doc__ or "").split("\n", 1)[0]
        command = commands.add_parser(
            name, help=text, description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        module.add_options(command)
        command.set_defaults(run=module.run)
    return parser
