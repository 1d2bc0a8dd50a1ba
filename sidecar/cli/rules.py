"""Make recording and alerting rules for Prometheus from a policy.

    sidecar rules build --policy policies/default.yaml --output rules.yaml

The objectives (slo:) become the SLO rules under Sloth's names, with multi-window burn-rate alerts; the rest of the policy decides
which further alerts there are. Without --policy the default policy is meant. --time-scale 60 divides every window and every
"for" by sixty, so that an incident of hours can be played in minutes; it is for tests and never for production.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_options(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    build = commands.add_parser(
        "build", help="print the rule file, or write it", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = build.add_argument
    add("--policy", type=Path, metavar="FILE|DIR", help="policy file, or a directory with a policy.yaml")
    add("--output", type=Path, metavar="FILE", help="where to write; default: standard output")
    add("--time-scale", type=float, default=1.0, metavar="N", help="divide all windows by N, 1 to 1000; default: 1")
    add(
        "--runbooks",
        default="docs/runbooks",
        metavar="BASE",
        help="what runbook addresses begin with; default: docs/runbooks",
    )
    add("--job", default="vx11-sidecar", metavar="NAME", help="the job that scrapes sidecars; default: vx11-sidecar")


def run(arguments: argparse.Namespace) -> None:
    """Build. Raises ValueError for a wrong option or policy, OSError if nothing can be written."""
    from sidecar.policy.load import load  # noqa: PLC0415 - not for --help
    from sidecar.policy.model import Policy  # noqa: PLC0415
    from sidecar.rules import Clock, Labelling, build, text  # noqa: PLC0415

    if not 1 <= arguments.time_scale <= 1000:
        raise ValueError(f"--time-scale {arguments.time_scale:g}: must be from 1 to 1000")
    if not arguments.job.isprintable() or set(arguments.job) & set('"\\'):
        raise ValueError(f"--job {arguments.job!r}: must be a name without quotes and backslashes")
    policy = load(arguments.policy).policy if arguments.policy else Policy()
    made = text(build(policy, Clock(arguments.time_scale), Labelling(arguments.runbooks, arguments.job)))
    if arguments.output is None:
        sys.stdout.write(made)
    else:
        arguments.output.write_text(made, encoding="utf-8")
