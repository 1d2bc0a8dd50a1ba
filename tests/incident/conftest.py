"""Shows what the incident showed when all tests have run, also when it ran on a worker of pytest-xdist."""

from __future__ import annotations

from typing import Any

FIGURES = "incident figures"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    reports = (report for reports in terminalreporter.stats.values() for report in reports)
    told = [
        (name, text) for report in reports for name, text in getattr(report, "user_properties", ()) if name == FIGURES
    ]
    for name, text in dict.fromkeys(told):
        terminalreporter.section(name)
        terminalreporter.write_line(text)
