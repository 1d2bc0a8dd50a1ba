"""One seed for the whole run: Hypothesis takes the one that pytest-randomly prints, so ``--randomly-seed=N`` repeats all of it.

At its end everything that it wrote is searched for secrets, and what tests measured is shown: properties of reports whose name
ends with "figures", so that they come from workers of pytest-xdist, too.
"""

from __future__ import annotations

from random import SystemRandom

import canary_search
import pytest
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("script")
settings.register_profile("ci", print_blob=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ci")


@pytest.hookimpl(tryfirst=True)  # before both plugins have read their options
def pytest_configure(config):
    """An explicit ``--hypothesis-seed`` stands; with ``-p no:randomly`` Hypothesis draws one of its own."""
    option = config.option
    if getattr(option, "randomly_seed", None) == "default":
        option.randomly_seed = SystemRandom().getrandbits(32)
    if option.hypothesis_seed is None and isinstance(getattr(option, "randomly_seed", None), int):
        option.hypothesis_seed = option.randomly_seed
    config.pluginmanager.register(canary_search.Search(config), "canary search")


def pytest_terminal_summary(terminalreporter):
    """Here and not beside the tests: with workers, only what lies above all of them is loaded where the end is told."""
    figures = {}
    for report in (report for reports in terminalreporter.stats.values() for report in reports):
        for name, text in getattr(report, "user_properties", ()):
            if name.endswith(" figures"):
                figures.setdefault(name, {})[text] = None
    for name, texts in sorted(figures.items()):
        terminalreporter.section(name)
        for text in sorted(texts):
            terminalreporter.write_line(text)
