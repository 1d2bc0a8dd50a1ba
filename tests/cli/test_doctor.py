"""``sidecar doctor`` as a command: exit codes, output for people and for scripts, what it refuses, and the machine as it is."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import subprocess
import sys

import canary
import pytest

from sidecar.cli import main
from sidecar.doctor.checks import CHECKS
from sidecar.lab.town import Lab
from tests.acceptance.running import ROOT, Process
from tests.dashboards.prometheus import Prometheus

LINK = "VX11_TENTACULO_LINK_TOKEN"
SMALL = "relay: {limits: {connections: 400}}\n"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """An environment that says nothing but the token."""
    for name in list(os.environ):
        if name.startswith(("VX11_", "API_TOKEN", "NO_COLOR", "COLUMNS", "OTEL_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv(LINK, canary.TOKEN)


@pytest.fixture
def ask(capfd):
    """Runs the command in a thread, for the lab shares the loop of the test; its exit code and what it printed."""

    async def run(*arguments: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(main, ["doctor", *arguments])
        out, err = capfd.readouterr()
        assert canary.TOKEN not in out + err
        return code, out, err

    return run


def behind(lab: Lab) -> list[str]:
    places = {"gateway": lab.gateway_url, "switch": lab.switch_url, "madre": lab.madre_url}
    return [part for name, url in places.items() for part in (f"--{name}", url)]


async def test_a_sidecar_that_serves_is_well_and_so_is_what_is_behind_it(ask, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"{SMALL}overload: {{wait: 30s}}\n")
    async with Lab(token=canary.TOKEN) as lab:
        options = [*behind(lab), "--policy", str(policy)]
        ports = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
        with Process("serve", *ports, *options, environ={LINK: canary.TOKEN}, errors=tmp_path / "stderr") as process:
            ready = await asyncio.to_thread(process.ready)
            told = ["--listen", ready["listen"], "--admin", ready["admin"], *options]
            code, out, err = await ask(*told)
            assert (code, err) == (0, ""), out
            assert "\nok      chat.sidecar      the sidecar answers a chat in " in out
            assert f"36 checks in {out.rpartition('checks in ')[2]}" in out
            assert "\x1b" not in out
            code, out, err = await ask(*told, "--output", "json", "--only", "running", "chat.sidecar")
            assert (code, err) == (0, "")
            whole = json.loads(out)
            assert set(whole) == {"checks", "checklist", "summary"}
            assert [check["check"] for check in whole["checks"]] == [
                name for name in CHECKS if name == "chat.sidecar" or name.startswith("running.")
            ]
            assert all(
                set(check) == {"check", "state", "seen", "cause", "remedy", "seconds"} for check in whole["checks"]
            )
            assert whole["summary"]["ok"] == 7
            assert whole["checklist"][0]["text"] == "one validated chat with its eight fields"


async def test_what_fails_is_1_and_says_why(ask):
    async with Lab(token=canary.TOKEN, faults=("gateway=refuse",)) as lab:
        code, out, err = await ask(*behind(lab), "--only", "gateway.health")
    assert (code, err) == (1, "")
    assert out.startswith("fail    gateway.health    gateway: 127.0.0.1:")
    assert "        cause   nothing listens there" in out
    assert "        remedy  start it" in out
    assert "1 check in " in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--only", "nonsense"], "--only nonsense: no such check; there are settings, policy, "),
        (["--timeout", "soon"], "--timeout: "),
        (["--timeout", "2m", "--timeout", "1000s"], "--timeout 1000s: write a time from 1s to 600s"),
        (["--running", "9180"], "--running: '9180' is no address"),
        (["--operator", "ftp://x:1"], "'ftp://x:1' is no address"),
        (["--operator", f"http://{canary.WRONG}@x:1"], "'x:1' is no address"),
        (["--prometheus", f"http://ana:{canary.WRONG}@x"], "without a user and a password"),
        (["--prometheus", "localhost:9090"], "--prometheus: write http://HOST:PORT"),
    ],
)
async def test_what_it_cannot_do_as_told_is_2(ask, arguments, words):
    code, out, err = await ask(*arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert canary.WRONG not in err
    assert "Traceback" not in err


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    environ = os.environ | {LINK: canary.TOKEN}
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)


def test_a_real_limit_of_descriptors_is_seen():
    ran = _run(["bash", "-c", f"ulimit -n 200 && exec {sys.executable} -m sidecar doctor --only descriptors"])
    assert ran.returncode == 1, ran.stderr
    assert "200 file descriptors of this process: room for 62 of 10000" in ran.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_directory_that_belongs_to_somebody_else_is_no_place_for_a_journal():
    # The change comes after the imports, because nobody may be unable to read this installation.
    script = (
        "import os, sys\n"
        "from sidecar.cli import main\n"
        "main(['doctor', '--only', 'deadline'])\n"
        "os.setgroups([]), os.setgid(65534), os.setuid(65534)\n"
        "sys.exit(main(['doctor', '--only', 'journal', '--journal', '/etc/sidecar-journal']))\n"
    )
    ran = _run([sys.executable, "-c", script])
    assert ran.returncode == 1, ran.stderr
    assert "/etc cannot be written by user 65534" in ran.stdout


def test_colours_are_for_terminals_that_want_them():
    def on_terminal(**environ: str) -> str:
        parent, child = pty.openpty()
        with os.fdopen(parent, "rb", buffering=0) as reader:
            process = subprocess.Popen(
                [sys.executable, "-m", "sidecar", "doctor", "--only", "deadline"],
                cwd=ROOT,
                env={**os.environ, LINK: canary.TOKEN, "TERM": "xterm", **environ},
                stdout=child,
                stderr=child,
            )
            os.close(child)
            said = b""
            try:
                while piece := reader.read(4096):
                    said += piece
            except OSError:
                pass  # the other end is closed
            assert process.wait(30) == 0
        return said.decode()

    assert on_terminal().startswith("\x1b[32mok\x1b[0m      deadline")
    assert on_terminal(NO_COLOR="1").startswith("ok      deadline")


async def test_a_real_prometheus_says_which_of_us_it_scrapes(ask, tmp_path):
    async with Lab(token=canary.TOKEN) as lab:
        ports = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
        with Process(
            "serve", *ports, *behind(lab), environ={LINK: canary.TOKEN}, errors=tmp_path / "stderr"
        ) as process:
            ready = await asyncio.to_thread(process.ready)
            (tmp_path / "prometheus").mkdir()
            targets = {"vx11-sidecar": [ready["admin"], "127.0.0.1:1"]}
            with Prometheus(tmp_path / "prometheus", targets) as server:
                await asyncio.to_thread(server.wait, 'count(up{job="vx11-sidecar"}) == 2')
                code, out, _ = await ask("--only", "prometheus", "--prometheus", server.url)
                assert (code, "warn" in out) == (0, True)
                assert "Prometheus scrapes 1 of 2; not 127.0.0.1:1" in " ".join(out.split())
                code, out, _ = await ask("--only", "prometheus", "--prometheus", f"{server.url}/nowhere")
                assert code == 1
                assert "not as Prometheus does" in out


def test_the_commands_own_help_names_the_exit_codes(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["doctor", "--help"])
    assert stopped.value.code == 0
    said = capsys.readouterr().out
    assert "Exit codes: 0 all is ok" in said
