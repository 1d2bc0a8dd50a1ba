"""The command line from outside: exit codes, messages that say what to change, never a traceback, and a lab that ends by itself."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import pytest
from canary import LINK, MESSAGE

from sidecar import __version__
from sidecar.cli import main
from tests.acceptance.running import Process

ANY = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
TOKEN = "VX11_TENTACULO_LINK_TOKEN"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """An environment that says nothing but the token."""
    for name in list(os.environ):
        if name.startswith(("VX11_", "API_TOKEN", "LAB_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv(TOKEN, "s3cret")


@pytest.fixture
def complaint(capfd):
    """Run a command that cannot start; what it says about that."""

    def run(*argv):
        try:
            code = main(argv)
        except SystemExit as stopped:
            code = stopped.code
        out, err = capfd.readouterr()
        assert code == 2
        assert out == ""
        assert "Traceback" not in err
        assert "s3cret" not in err
        return "\n".join(line for line in err.splitlines() if not line.startswith('{"'))

    return run


@pytest.mark.parametrize("argv", [["--help"], ["serve", "--help"], ["lab", "--help"]])
def test_help_is_given(argv, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(argv)
    assert stopped.value.code == 0
    assert "usage: sidecar" in capsys.readouterr().out


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"sidecar {__version__}\n"


def test_help_loads_nothing_that_serving_needs():
    code = "import sys, contextlib\nfrom sidecar.cli import main\nwith contextlib.suppress(SystemExit): main(['--help'])\nprint([m for m in ('aiohttp', 'asyncio', 'pydantic', 'ruamel') if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True)
    assert ran.stdout.endswith("[]\n")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "COMMAND"),
        (["nonsense"], "nonsense"),
        (["serve", "--nonsense"], "--nonsense"),
        (["serve", "--log-level", "loud"], "loud"),
        (["serve", "--listen"], "expected one argument"),
        (["serve", "--listen", "nowhere"], "listen: 'nowhere' is no address: write HOST:PORT"),
        (["serve", "--admin", "127.0.0.1:99999"], "admin: '127.0.0.1:99999' is no address"),
        (["serve", "--gateway", "https://g:1"], "gateway: 'https://g:1' is no address"),
        (["serve", "--switch", "http://user:s3cret@switch:1"], "switch: 'switch:1' is no address"),
        (["serve", "--madre", "[::1"], "madre: '[::1' is no address"),
        (["serve", "--gateway", "127.0.0.1:8000"], "leads back to our own listener"),
        (
            ["serve", "--policy", "/nonexistent/p.yaml"],
            "/nonexistent/p.yaml:1:1: cannot be read (No such file or directory)",
        ),
        (["lab", "--control", "65536"], "'65536' is no port"),
        (["lab", "--control", "-1"], "'-1' is no port"),
        (["lab", "--control", "x"], "'x' is no port"),
        (["lab", "--fault", "switch"], "SERVICE=FAULT"),
        (["lab", "--fault", "switch=nonsense"], "switch has no fault 'nonsense'"),
        (["lab", "--fault", "nobody=hang"], "no service 'nobody'"),
        (["lab", "--fault", "switch=slow:x"], "slow needs seconds"),
        (["lab", "--control", "0", "--listen", "nowhere"], "listen: 'nowhere' is no address"),
        (["lab", "--control", "0", "--policy", "/nonexistent"], "/nonexistent:1:1: cannot be read"),
    ],
)
def test_what_cannot_be_followed_is_said(argv, words, complaint):
    assert words in complaint(*argv)


@pytest.mark.parametrize("command", ["serve", "lab"])
def test_every_mistake_in_a_policy_is_a_line_with_its_place(command, complaint, tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text("mode: nonsense\ndeadline: {client: 5}\nunknown: 1\n")
    lines = complaint(
        command, *ANY, *(["--control", "0"] if command == "lab" else []), "--policy", str(tmp_path)
    ).splitlines()
    assert [line.split(": ")[:2] for line in lines] == [
        ["sidecar", f"{path}:{place}"] for place in ("1:7", "2:20", "3:1")
    ]


def test_a_policy_that_is_no_yaml_is_said_with_its_place(complaint, tmp_path):
    (tmp_path / "p.yaml").write_bytes(b"mode: [\n")
    assert f"{tmp_path}/p.yaml:" in complaint("serve", "--policy", str(tmp_path / "p.yaml"))


@pytest.mark.parametrize("environ", [{}, {"VX11_AUTH_MODE": "jwt"}])
def test_no_token_is_said_with_what_would_do(environ, complaint, monkeypatch):
    monkeypatch.delenv(TOKEN)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert "set VX11_TENTACULO_LINK_TOKEN" in complaint("serve", *ANY)


def test_a_token_file_that_is_not_there_is_said(complaint, monkeypatch):
    monkeypatch.setenv("VX11_SIDECAR_TOKENS_FILE", "/nonexistent/tokens")
    assert complaint("serve", *ANY) == "sidecar: /nonexistent/tokens: cannot be read: No such file or directory"


def test_without_the_strict_parser_it_does_not_start():
    environ = {**os.environ, "AIOHTTP_NO_EXTENSIONS": "1"}
    command = [sys.executable, "-m", "sidecar", "serve", *ANY]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False, env=environ)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "C parser" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("command", ["serve", "lab"])
def test_a_candidate_that_cannot_be_used_is_said_with_its_place(complaint, tmp_path, command):
    path = tmp_path / "candidate.yaml"
    path.write_text("deadline: {client: 5}\ntargets: []\n")
    said = complaint(command, *ANY, "--shadow", str(path))
    assert f"{path}:1:20: " in said
    assert f"{path}:2:10: " in said
    path.write_text("mode: 'off'\n")
    assert f"{path}:1:7: mode: off answers no chat" in complaint(command, *ANY, "--shadow", str(path))
    assert "cannot be read" in complaint(command, *ANY, "--shadow", str(tmp_path / "none.yaml"))


def test_a_journal_that_cannot_be_written_is_said(complaint, tmp_path):
    (tmp_path / "file").write_text("")
    assert f"{tmp_path}/file" in complaint("serve", *ANY, "--journal", str(tmp_path / "file"))


@pytest.mark.parametrize("seconds", ["x", "0", "-1", "nan", "inf", "1s"])
def test_lab_seconds_that_are_none_are_said(seconds, complaint, monkeypatch):
    monkeypatch.setenv("LAB_SECONDS", seconds)
    assert f"LAB_SECONDS={seconds!r}: write a number of seconds" in complaint("lab", *ANY, "--control", "0")


@pytest.fixture
def taken():
    """A port of this machine that somebody else has."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("flag", ["--listen", "--admin"])
def test_a_port_that_is_taken_is_said(flag, taken, complaint):
    other = "--admin" if flag == "--listen" else "--listen"
    said = complaint("serve", flag, f"127.0.0.1:{taken}", other, "127.0.0.1:0")
    assert str(taken) in said
    assert "in use" in said


def test_a_control_port_that_is_taken_is_named(taken, complaint):
    assert complaint("lab", *ANY, "--control", str(taken)) == f"sidecar: --control {taken}: Address already in use"


@pytest.mark.parametrize(
    ("error", "words"),
    [(OSError(28, "No space", "/x"), "/x: No space"), (OSError(28, "No space"), "cannot start: No space"), (OSError("only text"), "cannot start: only text"), (ValueError("one\ntwo"), "one\nsidecar: two")],
)  # fmt: skip
def test_an_error_is_worded_by_what_it_knows(error, words, complaint, monkeypatch):
    def fail(_):
        raise error

    monkeypatch.setattr("sidecar.cli.serve.run", fail)
    assert complaint("serve") == f"sidecar: {words}"


def test_ctrl_c_before_there_is_a_loop_is_no_error(monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("sidecar.cli.serve.run", interrupted)
    assert main(["serve"]) == 130


# -- running -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def spawn(tmp_path):
    """Starts the command; what it says lies in the test's own directory."""
    with contextlib.ExitStack() as stack:

        def start(*argv, **environ):
            return stack.enter_context(Process(*argv, environ=environ, errors=tmp_path / f"{argv[0]}-stderr"))

        yield start


def test_the_lab_tells_what_to_try_and_ends_when_its_seconds_are_over(spawn):
    # A token of another VX11 in the environment changes nothing.
    process = spawn("lab", *ANY, "--control", "0", LAB_SECONDS="0.2", VX11_SWITCH_URL="nonsense", **{TOKEN: LINK})
    said = process.ready()
    assert process.ended(20) == 0
    assert process.stderr == ""
    tour, line, after = process.stdout.partition('{"event":"ready"')
    assert (said["event"], bool(line), after.count("\n")) == ("ready", True, 1)
    for place in (f"http://{said['listen']}", f"http://{said['admin']}", said["control"], "vx11-local-token"):
        assert place in tour


def test_a_second_signal_ends_at_once_whatever_is_under_way(spawn):
    process = spawn("lab", *ANY, "--control", "0", "--fault", "switch=hang", "--fault", "madre=hang")
    said = process.ready()
    asked = urllib.request.Request(
        f"http://{said['listen']}/operator/api/chat",
        data=json.dumps({"message": MESSAGE}).encode(),
        headers={"X-VX11-Token": "vx11-local-token", "Content-Type": "application/json"},
    )
    cut = []

    def chat():
        try:
            urllib.request.urlopen(asked, timeout=20)
        except OSError:
            cut.append(True)

    client = threading.Thread(target=chat)
    client.start()
    while not underway(said["control"]):
        pass
    with pytest.raises(subprocess.TimeoutExpired):
        process.end(within=0.2)
    assert process.end(within=2) == 0
    client.join(5)
    assert cut == [True]
    assert "Traceback" not in process.stderr


def underway(control):
    with urllib.request.urlopen(control, timeout=5) as answer:
        return json.load(answer)["services"]["switch"]["in_flight"]


def test_serve_starts_without_anybody_behind_it_and_ends_at_a_signal(spawn, tmp_path):
    journal = tmp_path / "journal"
    process = spawn("serve", *ANY, "--gateway", "127.0.0.1:9", "--journal", str(journal), VX11_AUTH_MODE="off")
    said = process.ready()
    assert process.stdout == json.dumps(said, separators=(",", ":")) + "\n"
    with urllib.request.urlopen(f"http://{said['admin']}/readyz?verbose", timeout=5) as answer:
        assert json.load(answer)["notes"] == ["authentication is off: everybody may chat"]
    assert process.end(signal.SIGINT, 20) == 0
    assert process.stdout.count("\n") == 1
    assert [json.loads(line)["event"] for line in process.stderr.splitlines()] == [
        "policy_adopted",
        "auth_off",
        "ready",
        "drained",
    ]
    lines = [json.loads(line) for path in journal.iterdir() for line in path.read_bytes().splitlines()]
    assert [line["in"] for line in lines[:2]] == ["start", "adopt"]
