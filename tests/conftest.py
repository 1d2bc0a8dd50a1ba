"""One seed for the whole run: Hypothesis takes the one that pytest-randomly prints, so ``--randomly-seed=N`` repeats all of it.

At its end everything that it wrote is searched for secrets.
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
