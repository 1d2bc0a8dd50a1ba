"""One seed for the whole run: Hypothesis takes the one that pytest-randomly prints, so ``--randomly-seed=N`` repeats all of it.

At its end everything that it wrote is searched for secrets, and what tests measured is shown: properties of reports whose name
ends with "figures", so that they come from workers of pytest-xdist, too.
"""

from __future__ import annotations

import re
import sys
from random import SystemRandom

import canary_search
import pytest
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("script")
# Where a test says nothing, so many examples: fifty in ``make test``, and in ``make properties`` five hundred.
common = settings(print_blob=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", common, max_examples=50)
settings.register_profile("long", common, max_examples=500)
settings.load_profile("ci")

# What compiled code says to an object of a class of ours that is no native one: no module of its own says it, they have none of these.
_STAND_IN = re.compile(
    r"(sidecar\.\S+|None) object expected; got (types\.SimpleNamespace|(test_\w+|kitchen|office)\.\S+)$"
)

# The rooms whose branches are counted (PURE in the Makefile), and so the only ones whose tests pay for the counting: it doubles what they take.
COUNTED = ("core", "policy", "wire", "rules", "replay")


# Begun last they would leave the other worker idle for a minute.
LONGEST = (
    "test_incident", "test_played", "test_any_policy", "test_simulate", "test_advice", "test_soak", "test_status_page", "test_recommend",
    "test_restarts", "test_app", "test_published",
)  # fmt: skip


@pytest.fixture
def of_sources():
    """For a test that makes values of what is none: compiled, they do not take it."""
    if sys.modules["sidecar.core.vocabulary"].__file__.endswith(".so"):
        pytest.skip("sidecar.core.vocabulary is compiled")


@pytest.fixture
def monkeypatch(monkeypatch):
    """As it is, unless something compiled is to be changed, which looks nothing up by name: such a test is of the sources alone."""
    set_ = monkeypatch.setattr

    def setattr_(target, *given, **named):
        name = target.rpartition(".")[0] if isinstance(target, str) else getattr(target, "__module__", None)
        module = sys.modules.get(name or target.__name__)
        if getattr(module, "__file__", "").endswith(".so") and module.__name__.startswith("sidecar."):
            pytest.skip(f"{module.__name__} is compiled")
        return set_(target, *given, **named)

    monkeypatch.setattr = setattr_
    return monkeypatch


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call():
    """Compiled code takes no stand-in for a class of its own either."""
    return (yield from _of_sources())


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup():
    return (yield from _of_sources())


def _of_sources():
    try:
        return (yield)
    except TypeError as error:
        if _STAND_IN.match(str(error)):
            pytest.skip(str(error))
        raise


@pytest.hookimpl(tryfirst=True)  # before both plugins have read their options
def pytest_configure(config):
    """An explicit ``--hypothesis-seed`` stands; with ``-p no:randomly`` Hypothesis draws one of its own."""
    option = config.option
    if getattr(option, "randomly_seed", None) == "default":
        option.randomly_seed = SystemRandom().getrandbits(32)
    if option.hypothesis_seed is None and isinstance(getattr(option, "randomly_seed", None), int):
        option.hypothesis_seed = option.randomly_seed
    config.pluginmanager.register(canary_search.Search(config), "canary search")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Modules stay whole on one worker, for the sake of what they set up; those that take longest begin first."""
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """From set-up to tear-down, of a test elsewhere or one that says ``uncounted``, nobody counts branches."""
    plugin = item.config.pluginmanager.getplugin("_cov")
    controller = getattr(plugin, "cov_controller", None)
    room = item.path.relative_to(item.config.rootpath / "tests").parts[0]
    if controller is None or (room in COUNTED and not item.get_closest_marker("uncounted")):
        return (yield)
    controller.pause()
    try:
        return (yield)
    finally:
        controller.resume()


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
