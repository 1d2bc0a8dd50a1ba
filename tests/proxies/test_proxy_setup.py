"""What is asked of the proxies that are compared, how they are configured, and what may be left out."""

from __future__ import annotations

import json
import os
import platform
import socket
import sys
from pathlib import Path

import pytest

from benchmarks.proxies import __main__ as command
from benchmarks.proxies import install, latency, measure, peers
from benchmarks.proxies.cores import Cores, shared_out
from benchmarks.proxies.load import request
from benchmarks.proxies.process import TEMPLATES, fill, free_port, last_words, spawned
from benchmarks.proxies.rounds import ROWS

WORDS = ("LISTEN", "ADMIN", "GATEWAY", "SWITCH", "MADRE", "TOKEN", "DIRECTORY", "PROGRAM")


def test_only_words_are_filled_in() -> None:
    assert fill("listen {LISTEN}; if { a } {OTHER}", {"LISTEN": "80"}) == "listen 80; if { a } {OTHER}"


@pytest.mark.parametrize("peer", peers.PEERS, ids=lambda peer: peer.name)
def test_every_word_of_a_peer_is_known(peer: peers.Peer) -> None:
    words = dict.fromkeys(WORDS, "1")
    texts = [(TEMPLATES / name).read_text() for name in peer.templates]
    for text in (*texts, *peer.command, *peer.environ.values()):
        filled = fill(text, words)
        assert not [word for word in WORDS if "{" + word in filled]
    assert peer.rows <= set(ROWS)


def test_every_peer_asks_for_the_token() -> None:
    for peer in peers.PEERS:
        if peer.templates:
            assert any("{TOKEN}" in (TEMPLATES / name).read_text() for name in peer.templates), peer.name


def test_the_sidecar_is_the_released_one() -> None:
    sidecar = next(peer for peer in peers.PEERS if peer.name == peers.SIDECAR)
    assert not sidecar.environ
    assert "--policy" not in sidecar.command
    assert "--log-level" not in sidecar.command
    assert "--journal" in sidecar.command


@pytest.mark.parametrize("shape", ["relay", "unique", "post", "chat"])
def test_a_request_is_as_long_as_it_says(shape: str) -> None:
    message = request(shape, 8000, peers.Chat())
    head, _, body = message.replace("{ID}", "0123456789ab").partition("\r\n\r\n")
    assert ("{ID}" in message) == (shape in {"unique", "chat"})
    assert f"Content-Length: {len(body)}" in head.split("\r\n") or not body
    if shape == "chat":
        assert json.loads(body)["session_id"] == "benchmark-0123456789ab"


def test_proxy_and_load_have_cores_of_their_own() -> None:
    assert shared_out([3, 1]) == Cores(1, 3, 3)
    assert shared_out([0, 1, 2, 3]) == Cores(0, 1, 2)
    assert shared_out([0]) == Cores(None, None, None)
    assert "Nothing is pinned" in str(shared_out([]))


@pytest.mark.parametrize(
    ("answer", "whole"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n12", True),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n1", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n12\r\n", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n12\r\n0\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Le", False),
    ],
)
def test_an_answer_is_whole_by_its_framing(answer: bytes, *, whole: bool) -> None:
    assert latency.whole(answer) is whole


def test_names_are_taken_in_the_order_of_the_table() -> None:
    arguments = command.parse(["--only", "nginx,sidecar", "--rows", "chat,relay"])
    assert arguments.only == ["sidecar", "nginx"]
    assert arguments.rows == ["relay", "chat"]
    assert command.parse([]).rows == list(ROWS)


@pytest.mark.parametrize("given", [["--only", "apache"], ["--rows", "all"], ["--rounds", "0"]])
def test_what_nobody_knows_is_refused(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.parse(given)
    assert "error" in capsys.readouterr().err


def test_who_cannot_be_had_is_left_out_with_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_: str) -> str:
        raise install.UnavailableError("not here")

    some = [peer._replace(find=none if peer.name == "envoy" else lambda _: "/bin/true") for peer in peers.PEERS]
    monkeypatch.setattr(command, "PEERS", tuple(some))
    found, notes = command.available(["sidecar", "envoy", "litellm"], "python", litellm=False)
    assert [peer.name for peer, _ in found] == ["sidecar"]
    assert [note.partition(":")[0] for note in notes[:2]] == ["envoy", "litellm"]
    assert "Without nginx" in notes[2]


@pytest.fixture
def environments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where environments are, with nothing in it."""
    monkeypatch.setattr(install, "ENVIRONMENTS", tmp_path)
    return tmp_path


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Commands that would have been run."""
    commands: list[tuple[str, ...]] = []

    def run(*command: str, **variables: str) -> None:
        commands.append(command)
        if "venv" in command:
            Path(command[-1]).mkdir(exist_ok=True)
        if "wheel" in command:
            assert variables == {"HATCH_BUILD_HOOK_ENABLE_CUSTOM": "1"}
            (Path(command[-2]) / "made.whl").write_text("")

    monkeypatch.setattr(install, "_run", run)
    return commands


def test_a_command_that_fails_says_why() -> None:
    with pytest.raises(install.UnavailableError, match="no such thing"):
        install._run("sh", "-c", "echo 'ERROR: no such thing' >&2; exit 1")
    with pytest.raises(install.UnavailableError, match="could not be installed"):
        install._run("/nowhere/python")


def test_what_brings_no_program_is_left_out(environments: Path, ran: list[tuple[str, ...]]) -> None:
    with pytest.raises(install.UnavailableError, match="brought no thing"):
        install.from_packages("python", "thing", "thing==1")
    assert ran[0][-1] == str(environments / "peers")
    assert ran[1][-1] == "thing==1"


def test_what_was_installed_before_is_taken_as_it_is_unless_the_interpreter_is_another(
    environments: Path, ran: list[tuple[str, ...]]
) -> None:
    (environments / "peers" / "bin").mkdir(parents=True)
    (environments / "peers" / "bin" / "thing").touch()
    (environments / "peers" / "made-with").write_text("python")
    assert install.from_packages("python", "thing", "thing==1") == environments / "peers" / "bin" / "thing"
    assert not ran
    install.from_packages("other", "thing", "thing==1")
    assert ran[0][:3] == ("other", "-m", "venv")


def test_a_release_is_the_lock_and_a_compiled_wheel_each_made_anew_when_that_changes(
    environments: Path, ran: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "_digest", lambda: "some sources")
    for _ in range(2):
        assert install.released("python") == environments / "released" / "bin" / "python"
    assert ["venv" in ran[0], "--require-hashes" in ran[1], "wheel" in ran[2], ran[3][-1].endswith("made.whl")] == [
        True
    ] * 4
    assert len(ran) == 4
    (environments / "released" / "requirements.lock").write_text("another")
    install.released("python")
    assert [len(ran), "--require-hashes" in ran[4]] == [5, True]
    monkeypatch.setattr(install, "_digest", lambda: "other sources")
    install.released("python")
    assert [len(ran), "wheel" in ran[5]] == [7, True]


def test_other_sources_are_another_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "ROOT", tmp_path)
    for name in ("sidecar/m.py", "deploy/compiled/build.py", "pyproject.toml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    seen = {install._digest()}
    (tmp_path / "sidecar" / "m.so").write_text("made of it")
    assert install._digest() in seen
    for name in ("sidecar/m.py", "deploy/compiled/build.py", "pyproject.toml"):
        (tmp_path / name).write_text("x = 1")
        seen.add(install._digest())
    assert len(seen) == 4


def test_the_interpreter_is_the_systems_if_it_is_new_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "SYSTEM", "/nowhere/python3")
    assert install.interpreter() == sys.executable
    assert install.described("/nowhere/python3") == "/nowhere/python3"
    monkeypatch.setattr(install, "SYSTEM", sys.executable)
    assert install.interpreter() == sys.executable
    assert platform.python_version() in install.described(sys.executable)


def test_last_words(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("first\nlast\n")
    assert last_words(tmp_path / "log") == "last"
    assert last_words(tmp_path / "none") == "said nothing"


def test_who_is_started_may_write_byte_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    with spawned(["env"], None, tmp_path / "log") as process:
        assert process.wait(5) == 0
    assert "PYTHONDONTWRITEBYTECODE" not in (tmp_path / "log").read_text()


def test_a_process_and_its_children_are_counted() -> None:
    assert measure.tree(os.getpid())[0] == os.getpid()
    assert measure.cpu(os.getpid()) > 0
    assert measure.resident(os.getpid()) > 1


def test_a_free_port_is_none_that_the_system_gives_to_somebody_else_meanwhile() -> None:
    given = Path("/proc/sys/net/ipv4/ip_local_port_range")
    first, last = map(int, given.read_text().split()) if given.exists() else (32_768, 60_999)
    ports = {free_port() for _ in range(100)}
    assert len(ports) > 90
    assert not [port for port in ports if first <= port <= last]
    for port in ports:
        with socket.create_server(("127.0.0.1", port)):
            pass
