"""Bring policy files into canonical form: keys in the order of the model, one style, every comment where it belongs.

Files are replaced whole (a link stays, what it leads to is replaced) and keep their mode; the paths of those that changed are
printed. Nothing else of a policy changes: a file whose meaning or comments would is left alone. FILE - is standard input, and
the answer goes to standard output; what it extends is looked for in the working directory.

Exit codes: 0 done, 1 with --check if a file would change, 2 a file cannot be read, written or understood (the others are done
all the same), or is written in a newer version of the schema than --upgrade knows.
"""

from __future__ import annotations

import argparse
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from difflib import unified_diff
from pathlib import Path

DONE, WOULD_CHANGE, FAILED = 0, 1, 2
STDIN = "-"


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("files", nargs="+", metavar="FILE", help="policy file, a directory with a policy.yaml, or - for standard input")
    add("--check", action="store_true", help="change nothing; say what would change as a unified diff")
    add("--upgrade", action="store_true", help="make it a file of the present version of the schema, and state that")


def run(arguments: argparse.Namespace) -> int:
    """Format; the exit code. Raises ValueError where - does not stand alone."""
    if STDIN in arguments.files and len(arguments.files) > 1:
        raise ValueError("- stands for standard input and cannot be named with files: name one or the other")
    return max(_one(name, check=arguments.check, upgrade=arguments.upgrade) for name in arguments.files)


def _one(name: str, *, check: bool, upgrade: bool) -> int:
    """Format one file; complaints go to standard error."""
    from sidecar.policy.format import UnfaithfulError  # noqa: PLC0415 - not for --help
    from sidecar.policy.load import PolicyError  # noqa: PLC0415

    try:
        file, data = _read(name)
        result = _formatted(file, data, upgrade=upgrade)
        return _checked(file, data, result) if check else _written(file, data, result)
    except PolicyError as error:
        complaint = str(error)
    except UnfaithfulError as error:
        complaint = f"{name}: left as it is, since {error}: a fault of sidecar fmt, please report it with the file"
    except OSError as error:
        complaint = f"{name}: cannot be written ({error.strerror}): it is left as it is"
    sys.stderr.write("".join(f"sidecar: {line}\n" for line in complaint.splitlines()))
    return FAILED


def _read(name: str) -> tuple[Path | None, bytes]:
    """The file (None: standard input) and what is in it. Raises PolicyError."""
    from sidecar.policy.load import PolicyError, Problem, load  # noqa: PLC0415

    if name == STDIN:
        return None, sys.stdin.buffer.read()
    file = Path(name)
    try:
        if file.is_dir():
            file /= "policy.yaml"
        if stat.S_ISREG(file.stat().st_mode):
            return file, file.read_bytes()
    except (OSError, ValueError):
        pass
    load(file)  # says what is wrong with it
    raise PolicyError([Problem(name, 1, 1, "", "changes while it is read: try again")])


def _formatted(file: Path | None, data: bytes, *, upgrade: bool) -> bytes:
    from sidecar.policy.format import PRESENT, UnfaithfulError, formatted, upgraded, version_of  # noqa: PLC0415
    from sidecar.policy.load import parse  # noqa: PLC0415

    name, folder = ("<stdin>", Path()) if file is None else (str(file), file.parent)
    text = data.decode(errors="surrogateescape")  # the loader says where it is not UTF-8
    if not upgrade or version_of(text, name) == PRESENT:
        before = parse(text, name, folder).revision
        result = upgraded(text, name) if upgrade else formatted(text, name)
        if parse(result, name, folder).revision != before:
            raise UnfaithfulError("its revision would not be the same")
    else:
        result = upgraded(text, name)
        parse(result, f"{name} as upgraded", folder)
    return result.encode()


def _written(file: Path | None, data: bytes, result: bytes) -> int:
    if file is None:
        sys.stdout.buffer.write(result)
        sys.stdout.buffer.flush()
    elif result != data:
        replace(file, result)
        sys.stdout.write(f"{file}\n")
    return DONE


def _checked(file: Path | None, data: bytes, result: bytes) -> int:
    if result == data:
        return DONE
    name = "<stdin>" if file is None else str(file)
    sys.stdout.writelines(unified_diff(list(_lines(data)), list(_lines(result)), name, name))
    return WOULD_CHANGE


def _lines(data: bytes) -> Iterator[str]:
    *whole, rest = data.decode().split("\n")
    yield from (f"{line}\n" for line in whole)
    if rest:
        yield f"{rest}\n\\ No newline at end of file\n"


def replace(file: Path, data: bytes) -> None:
    """Put ``data`` in the place of ``file`` at one moment; links to it and its mode stay. Raises OSError."""
    target = file.resolve()
    known = target.stat()
    if not os.access(target, os.W_OK):
        raise PermissionError(13, "it is not writable", str(target))
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with open(descriptor, "wb") as out:  # noqa: PTH123 - a descriptor
            out.write(data)
            out.flush()
            with suppress(PermissionError):
                os.fchown(descriptor, known.st_uid, known.st_gid)
            os.fchmod(descriptor, stat.S_IMODE(known.st_mode))
            os.fsync(descriptor)
        os.replace(name, target)  # noqa: PTH105 - the name is a string
    except BaseException:
        with suppress(OSError):
            os.unlink(name)  # noqa: PTH108
        raise
