"""One seed for the whole run: Hypothesis takes the one that pytest-randomly prints, so ``-p randomly -p "randomly_seed=N"`` repeats it."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("script")
settings.register_profile("ci", print_blob=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("deep", settings.get_profile("ci"), max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_collection(session):
    """``-p randomly_seed`` is printed at the top; ``pytest -p no:randomly`` or ``--hypothesis-seed`` leave Hypothesis its own way."""
    option = session.config.option
    if getattr(option, "hypothesis_seed", None) is None and isinstance(getattr(option, "randomly_seed", None), int):
        option.hypothesis_seed = option.randomly_seed
