"""Whether a known vulnerability is in anything that the locks name: ``python -m tests.audit [OPTIONS OF pip-audit]``, or ``make audit``.

Ends with 1 for a vulnerability that no exception names, an exception that has ended or lacks something, a lock that is none, and a pip-audit
that did not do its work. Where the service that knows of vulnerabilities cannot be asked, that is said, loudly, and nothing fails for it: a
build without a network is no worse than the last one with one.
"""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from tests.audit import exceptions, service
from tests.audit.exceptions import Allowed, ExceptionListError
from tests.audit.locks import LOCKS, ROOT, LockError, Pin, pins
from tests.audit.service import AuditFailedError, Finding, Report, UnreachableError

CONTROL = Path(__file__).with_name("control.txt")
Ask = Callable[[Iterable[Pin]], Report]


def audit(ask: Ask, locks: Sequence[Path], allowed: Sequence[Allowed], say: Callable[[str], None] = print) -> int:
    """The exit code, and what there is to say."""
    locked = [(path, pins(path.read_text())) for path in locks]
    used: set[Allowed] = set()
    bad = 0
    try:
        _believe(ask)
        for path, named in locked:
            report = ask(named)
            bad += _told(_name(path), report, allowed, used, say)
    except UnreachableError as error:
        say(f"audit: NOT AUDITED, or not to its end: {error}")
    else:
        for one in set(allowed) - used:
            say(f"audit: the exception {one.id} of {one.package} is met by nothing any more: take it out")
    return int(bool(bad))


def _believe(ask: Ask) -> None:
    """Raises UnreachableError if what the service says is worth nothing."""
    control = pins(CONTROL.read_text())
    told = ask(control)
    if told.skipped:
        raise UnreachableError(f"the service does not know {control[0]}, so it is no index of everything")
    if not told.findings:
        raise UnreachableError(f"the service knows of no vulnerability in {control[0]}, which has many")


def _told(name: str, report: Report, allowed: Sequence[Allowed], used: set[Allowed], say: Callable[[str], None]) -> int:
    """How many findings no exception names."""
    bad = 0
    for finding in report.findings:
        excepted = next((one for one in allowed if one.package == finding.package and one.id in finding.ids), None)
        bad += excepted is None
        if excepted is not None:
            used.add(excepted)
        say(f"audit: {name}: {_worded(finding)}{f', let pass until {excepted.until}' if excepted else ''}")
    if report.skipped:
        say(f"audit: {name}: unknown to the service, so NOT AUDITED: {', '.join(report.skipped)}")
    say(
        f"audit: {name}: {report.audited} packages, {len(report.findings)} known vulnerabilities, {bad} of them without an exception"
    )
    return bad


def _worded(finding: Finding) -> str:
    fixed = f"fixed in {', '.join(finding.fixed_in)}" if finding.fixed_in else "not fixed in any version"
    return f"{finding.package} {finding.version}: {', '.join(finding.ids)}, {fixed}"


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name


def main(options: Sequence[str]) -> int:
    try:
        allowed = exceptions.allowed(exceptions.FILE.read_text(), dt.datetime.now(dt.UTC).date())
        if not service.PROGRAM.exists():
            print("audit: NOT AUDITED: pip-audit is not installed (make deps)")
            return 0
        return audit(partial(service.ask, options=options), LOCKS, allowed)
    except (LockError, ExceptionListError, AuditFailedError) as error:
        print(f"audit: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
