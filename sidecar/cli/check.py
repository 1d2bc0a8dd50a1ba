"""Say everything that is wrong or doubtful in policy files, and what their numbers come to.

Each line is FILE:LINE:COLUMN: severity: field: what is wrong, what would be right [code]. What is wrong in a file ("invalid")
keeps it from being adopted; what is doubtful does not. To keep something doubtful, write "# lint: ignore CODE" and why at the end of
its line, or alone on the line above.

Exit codes: 0 nothing found, 1 something found, 2 a file cannot be read.

With --output json one object is printed: "files", a list with for each "file", "revision" (null if it is not valid), "problems"
and "findings" (both lists of "file", "line", "column", "severity", "path", "message", "code"), "figures" (null if it is not
valid; all times in seconds) and "chaos" (its rules as the file has them, each with "expired"); and "summary", the number of "files",
"errors" and "warnings". Keys are only ever added.
"""

from __future__ import annotations

import argparse
import stat
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from sidecar.policy.figures import Figures, Span, TargetFigures
    from sidecar.policy.lint import Finding, Observed
    from sidecar.policy.load import Loaded
    from sidecar.policy.model import ChaosRule
    from sidecar.policy.objectives import Budget
    from sidecar.policy.problem import Problem

CLEAN, FOUND, UNREADABLE = 0, 1, 2
MOUNTS = Path("/proc/self/mountinfo")


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("files", nargs="+", type=Path, metavar="FILE|DIR", help="policy file, or a directory with a policy.yaml")
    add("--output", choices=("text", "json"), default="text", help="default: text")
    add(
        "--rate",
        metavar="N per TIME",
        help="how many chats there are, as in '10 per 60s': can breakers see enough of them, and how large is the error budget?",
    )
    add(
        "--p95",
        action="append",
        default=[],
        metavar="TARGET=TIME",
        help="observed 95th percentile of a target's answers, as in madre=1.2s; repeatable",
    )


def run(arguments: argparse.Namespace) -> int:
    """Check and print; the exit code. Raises ValueError for a wrong option."""
    observed = _observed(arguments.rate, arguments.p95)
    reports = [_report(path, observed) for path in arguments.files]
    sys.stdout.write(_json(reports) if arguments.output == "json" else _text(reports))
    if any(report.unreadable for report in reports):
        return UNREADABLE
    return FOUND if any(report.problems or report.findings for report in reports) else CLEAN


class _Report(NamedTuple):
    """What there is to say about one file. ``problems`` keep it from being a policy."""

    file: str
    problems: tuple[Finding, ...] = ()
    findings: tuple[Finding, ...] = ()
    loaded: Loaded | None = None
    figures: Figures | None = None
    unreadable: bool = False


def _observed(rate: str | None, p95: Iterable[str]) -> Observed:
    """The options, read as a policy file would be."""
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415 - not for --help

    from sidecar.policy.lint import Observed  # noqa: PLC0415
    from sidecar.policy.units import CallRate, Duration  # noqa: PLC0415

    def read(kind: Any, option: str, text: str) -> Any:
        try:
            return TypeAdapter(kind).validate_python(text)
        except ValidationError as error:
            raise ValueError(f"{option} {text!r}: {error.errors()[0]['ctx']['error']}") from None

    pairs = dict(text.partition("=")[::2] for text in p95)
    for name in pairs:
        if name not in ("switch", "madre"):
            raise ValueError(f"--p95 {name!r}: must be switch=TIME or madre=TIME")
    times = {name: read(Duration, "--p95", text) for name, text in pairs.items()}
    return Observed(times, None if rate is None else read(CallRate, "--rate", rate), time.time())


def _report(path: Path, observed: Observed) -> _Report:
    from sidecar.policy.figures import figures  # noqa: PLC0415
    from sidecar.policy.lint import lint, silence  # noqa: PLC0415
    from sidecar.policy.load import PolicyError, load  # noqa: PLC0415

    try:
        loaded = load(path)
    except PolicyError as error:
        unreadable = not _readable(path)
        problems = tuple(_as_finding(problem, path if unreadable else None) for problem in error.problems)
        return _Report(str(path), problems, unreadable=unreadable)
    texts = {str(file): file.read_text(encoding="utf-8-sig") for file in loaded.files}
    found = silence((*lint(loaded, observed), *_never_reloads(loaded)), texts)
    return _Report(
        str(path), findings=found, loaded=loaded, figures=figures(loaded.policy, observed.p95, rate=observed.rate)
    )


def _readable(path: Path) -> bool:
    """Whether there is a file to be read at all, whatever is in it."""
    try:
        file = path / "policy.yaml" if path.is_dir() else path
        if not stat.S_ISREG(file.stat().st_mode):
            return False
        with file.open("rb"):
            return True
    except (OSError, ValueError):
        return False


def _as_finding(problem: Problem, unreadable: Path | None) -> Finding:
    from sidecar.policy.lint import Finding  # noqa: PLC0415

    message, code = problem.message, "invalid"
    if unreadable:
        code = "unreadable"
        if unreadable.is_dir():
            message = "a directory in which no policy.yaml can be read: name the file"
    return Finding(*problem.place, "error", problem.path, message, code)


# -- files that a mount pins --------------------------------------------------------------------------------------------


def _never_reloads(loaded: Loaded) -> Iterator[Finding]:
    from sidecar.doctor.host import Host, mounts  # noqa: PLC0415
    from sidecar.policy.lint import CODES, Finding  # noqa: PLC0415

    mounted = {mount.point for mount in mounts(Host(mounts=MOUNTS))}
    for file in loaded.files:
        if str(file.resolve()) in mounted:
            message = (
                "the file itself is a mount (a Kubernetes subPath, or a single file given to a container) and stays what it was "
                "when the container started, however often it is replaced outside: mount its directory"
            )
            yield Finding(str(file), 1, 1, CODES["never-reloads"], "", message, "never-reloads")


# -- printed ------------------------------------------------------------------------------------------------------------


def _summary(reports: Iterable[_Report]) -> dict[str, int]:
    severities = [finding.severity for report in reports for finding in (*report.problems, *report.findings)]
    return {"errors": severities.count("error"), "warnings": severities.count("warning")}


def _json(reports: list[_Report]) -> str:
    import json  # noqa: PLC0415

    files = [
        {
            "file": report.file,
            "revision": report.loaded and report.loaded.revision,
            "problems": [problem._asdict() for problem in report.problems],
            "findings": [finding._asdict() for finding in report.findings],
            "figures": report.figures and _plain(report.figures),
            "chaos": [] if report.loaded is None else [_rule(rule) for rule in report.loaded.policy.chaos],
        }
        for report in reports
    ]
    whole = {"files": files, "summary": {"files": len(files), **_summary(reports)}}
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def _rule(rule: ChaosRule) -> dict[str, Any]:
    return {**rule.model_dump(mode="json"), "expired": _expired(rule)}


def _plain(value: Any) -> Any:
    """Named tuples as objects."""
    if hasattr(value, "_asdict"):
        return {key: _plain(below) for key, below in value._asdict().items()}
    return [_plain(below) for below in value] if isinstance(value, tuple) else value


def _text(reports: list[_Report]) -> str:
    lines = [str(finding) for report in reports for finding in (*report.problems, *report.findings)]
    for report in reports:
        if report.loaded and report.figures:
            lines += ["", f"{report.file}, revision {report.loaded.revision}:", *_table(report.figures)]
            lines += [f"  Chaos: {text}." for text in _chaos(report.loaded)]
    count = _summary(reports)
    words = f"{len(reports)} file{'s' * (len(reports) != 1)}: {_many(count['errors'], 'error')}, {_many(count['warnings'], 'warning')}"
    return "\n".join([*lines, *([""] if lines else []), words, ""])


def _many(count: int, word: str) -> str:
    return f"{count or 'no'} {word}{'s' * (count != 1)}"


def _table(figures: Figures) -> Iterator[str]:
    from sidecar.policy.units import duration_text as t  # noqa: PLC0415

    rows: list[Mapping[str, str]] = [_row(target, first=not depth) for depth, target in enumerate(figures.targets)]
    widths = {column: max(len(column), *(len(row[column]) for row in rows)) for row in rows for column in row}
    for row in ([{column: column for column in widths}] if rows else []) + rows:
        yield "  " + "  ".join(row[column].ljust(width) for column, width in widths.items()).rstrip()
    layers = figures.layers
    yield f"  A chat is answered after {t(figures.answer_by)} at the latest, by local if by nobody else."
    yield (
        f"  It leads to {layers.product} attempts at most: UI {layers.ui} · sidecar {layers.sidecar} · switch {layers.switch}; "
        f"in the long run to {figures.sustained:.4g}."
    )
    yield from (f"  {_promise(budget)}" for budget in figures.budgets)


def _chaos(loaded: Loaded) -> Iterator[str]:
    """What may be broken on purpose, in words."""
    from sidecar.policy.difference.words.chaos import GATE, rule_text  # noqa: PLC0415

    for rule in loaded.policy.chaos:
        over = " (that is over)" if _expired(rule) else ""
        yield f"{GATE}, {rule_text(rule)}{over}"


def _expired(rule: ChaosRule) -> bool:
    return rule.expires_at.epoch <= time.time()


def _promise(budget: Budget) -> str:
    """An error budget in words."""
    from sidecar.policy.objectives import PERIOD_DAYS  # noqa: PLC0415
    from sidecar.policy.units import share_text  # noqa: PLC0415

    minutes = budget.outage / 60
    outage = f"{minutes:.3g} minutes" if minutes < 180 else f"{minutes / 60:.3g} hours"
    said = f"{share_text(budget.target)} {budget.objective} over {PERIOD_DAYS} days leaves {outage} with nothing but bad chats"
    if budget.bad is None or budget.chats is None:
        return f"{said}, or {share_text(1 - budget.target)} of the chats."
    return f"{said}, or {budget.bad:.0f} of {budget.chats:.0f} chats."


def _row(target: TargetFigures, *, first: bool) -> Mapping[str, str]:
    from sidecar.policy.units import duration_text as t  # noqa: PLC0415

    def auto(text: str, *, is_auto: bool) -> str:
        return f"{text} (auto)" if is_auto else text

    def span(times: Span) -> str:
        return t(times.most) if times.least == times.most else f"{t(times.least)} to {t(times.most)}"

    bound = f"{1 + target.ratio:.4g}n + {target.burst:g}" if target.requests > 1 else "n"
    return {
        "target": target.name,
        "attempts": str(target.attempts) + f" + {target.hedges} hedge" * target.hedges,
        "attempt timeout": auto(span(target.attempt), is_auto=target.attempt_auto),
        "reserve": "-" if first else auto(t(target.reserve), is_auto=target.reserve_auto),
        "takes at most": t(target.latency),
        "is over by": t(target.by),
        "attempts for n chats": bound,
        "degraded once it is back": t(target.degraded),
        "at once": f"{target.concurrent} + {target.queue} waiting",
    }
