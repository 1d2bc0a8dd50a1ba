"""Print the JSON Schema of a policy file, for editors: they complete fields, explain them and underline what is wrong.

The shipped policies name the copy beside them in their first line; one of your own says
"# yaml-language-server: $schema=PATH" with the path to what this prints, relative to itself.
"""

from __future__ import annotations

import argparse
import sys


def add_options(parser: argparse.ArgumentParser) -> None:
    """Nothing to choose."""
    del parser


def run(arguments: argparse.Namespace) -> None:
    del arguments
    sys.stdout.write(text())


def text() -> str:
    """The schema (draft 2020-12) as it is printed and committed."""
    import json  # noqa: PLC0415 - not for --help

    from sidecar.policy.schema import schema  # noqa: PLC0415

    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
