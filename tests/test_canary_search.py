"""The search for secrets finds them, in every spelling and with workers, and never repeats one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import canary
import pytest
from canary_search import WRITTEN, Found, search, search_below

HERE = Path(__file__).parent
CONFTEST = """
import canary_search

def pytest_configure(config):
    config.pluginmanager.register(canary_search.Search(config))
"""
LEAKS = {
    "a file of a worker": "def test_one(tmp_path): (tmp_path / 'sub').mkdir(); (tmp_path / 'sub' / 'x').write_bytes(b'..' + canary.ADMIN.encode())",
    "a file of a test that fails": "def test_one(tmp_path): (tmp_path / 'x').write_bytes(b'..' + canary.ADMIN.encode()); assert not tmp_path",
    "an output": "def test_one(): print('..' + canary.TOKEN)",
    "a page": "def test_one(): canary.keep('metrics', '..' + canary.MESSAGE)",
    "nothing": "def test_one(tmp_path): (tmp_path / 'x').write_text('canary'); print('canary')",
}


@pytest.fixture
def outside() -> Iterator[Path]:
    """A directory that the search of this very run does not look into."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.mark.parametrize("name", canary.SECRETS)
@pytest.mark.parametrize(
    "spelled",
    [str, json.dumps, lambda text: json.dumps(text, ensure_ascii=False), quote, lambda text: text.replace(" ", "+")],
)
def test_a_secret_is_found_however_it_is_spelled(name, spelled, outside) -> None:
    (outside / "below").mkdir()
    text = spelled(canary.SECRETS[name])
    (outside / "below" / "log").write_bytes(b"x" * 5_000 + text.encode())
    found = {one.name: one for one in search_below(outside)}
    assert found[name].place == "/below/log"
    assert found[name].offset in (5_000, 5_001)  # JSON has a quotation mark before


def test_what_is_allowed_in_one_place_is_not_in_another(outside) -> None:
    for file in ("token", "log"):
        (outside / file).write_text(canary.TOKEN + canary.ADMIN)
    found = list(search_below(outside, [("/token", frozenset({"TOKEN"}))]))
    assert [(one.place, one.name) for one in found] == [("/log", "TOKEN"), ("/log", "ADMIN"), ("/token", "ADMIN")]


def test_what_is_no_file_is_passed_over(outside) -> None:
    (outside / "empty").touch()
    os.mkfifo(outside / "pipe")
    (outside / "link").symlink_to(HERE / "canary.py")
    assert list(search_below(outside)) == []


def test_a_secret_is_told_by_its_name() -> None:
    (found,) = search("log", canary.TOKEN.encode())
    assert found == Found("log", 0, "TOKEN")
    assert canary.TOKEN not in str(found)


@pytest.mark.parametrize(
    ("leak", "workers"),
    [*((leak, ()) for leak in LEAKS), ("a file of a worker", ("-n", "1")), ("nothing", ("-n", "1"))],
)
def test_a_run_that_wrote_a_secret_fails_and_says_where(leak, workers, outside) -> None:
    (outside / "conftest.py").write_text(CONFTEST)
    (outside / "test_it.py").write_text(f"import canary\n{LEAKS[leak]}\n")
    plugins = [
        "-p",
        "no:randomly",
        "-p",
        "no:schemathesis",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:cov",
        "-p",
        "no:asyncio",
        "-p",
        "no:aiohttp",
    ]
    command = [sys.executable, "-m", "pytest", "-q", *plugins, *workers, "--basetemp", "temporary", "."]
    ran = subprocess.run(
        command,
        cwd=outside,
        env=os.environ | {"PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == (0 if leak == "nothing" else WRITTEN), ran.stdout + ran.stderr
    assert ("1 failed" if "fails" in leak else "1 passed") in ran.stdout
    assert ("at byte 2" in ran.stdout) is (leak != "nothing")
    assert not [name for name, secret in canary.SECRETS.items() if secret in ran.stdout + ran.stderr]
