"""Three replicas that keep limits together: the short form of ``benchmarks.replicas``."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from canary import REDIS as PASSWORD

from benchmarks import replicas
from benchmarks.redis_server import REDIS
from sidecar.lab.luck import new_seed
from tests.acceptance.conftest import FREE
from tests.acceptance.running import LINK


@pytest.mark.skipif(REDIS is None, reason="redis-server is not installed: tests/deps.sh installs it")
@pytest.mark.parametrize("name", replicas.SCENES)
def test_what_is_claimed_of_replicas_holds(figures, name):
    seed = new_seed()
    found, broken = replicas.play(name, seed, brief=True)
    shown = "\n".join("  ".join(row) for row in [[name, *found], *replicas.rows(found)])
    assert broken == [], f"seed {seed}\n{shown}"
    figures.append(f"replicas, {name}, seed {seed}\n{shown}")


@pytest.mark.parametrize("url", [f"http://:{PASSWORD}@127.0.0.1:1/0", f"redis://:{PASSWORD}@127.0.0.1:port/0"])
def test_a_url_that_names_no_redis_is_said_before_anything_listens_and_not_shown(url):
    environ = {**os.environ, LINK: "link", "VX11_SIDECAR_REDIS_URL": url}
    done = subprocess.run(
        [sys.executable, "-m", "sidecar", "serve", *FREE],
        env=environ,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "VX11_SIDECAR_REDIS_URL: no address of a Redis: write redis://HOST:PORT/DB" in done.stderr
    assert PASSWORD not in done.stderr


def test_each_claim_can_be_missed():
    worse = {
        "failed": 1,
        "degraded": 1,
        "refused, of sessions of their own": 1,
        "and passed a second": 99.0,
        "p50 ms": 9.0,
    }
    late = {**worse, "seconds until limits were back": 99.0}
    wrong = {
        "flood": {side: {"passed, at least": 9, "passed, at most": 11} for side in ("each alone", "together")},
        "outage": {"before": worse, "without Redis": worse, "after": late},
        "killed": {"the others before": worse, "the others after": {**worse, "p50 ms": 99.0}},
    }
    for name, (_, claims) in replicas.SCENES.items():
        assert [claim.words for claim in claims if claim.holds(wrong[name])] == []


def test_a_scene_that_is_not_there(capsys):
    with pytest.raises(SystemExit) as ended:
        replicas.main(["drought"])
    assert ended.value.code == 2
    assert "no scene 'drought'; there are flood, outage, killed" in capsys.readouterr().err
