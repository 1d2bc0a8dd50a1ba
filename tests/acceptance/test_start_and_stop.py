"""The command as an operator meets it: it starts or says what to change, says once where it listens, and stops when told."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import FREE, Spawn
from tests.acceptance.running import LINK, LabProcess, ask, chat, standing

NOBODY = ("--gateway", "127.0.0.1:9", "--switch", "127.0.0.1:9", "--madre", "127.0.0.1:9")  # the discard port: refused
MINE = "acceptance-token"


def complaint(spawn: Spawn, *arguments: str, **environ: str) -> str:
    """What it says when it cannot start: exit code 2, nothing on standard output, no traceback."""
    process = spawn("serve", *arguments, **environ)
    assert process.ended() == 2
    assert process.stdout == ""
    said = process.stderr
    assert said
    assert "Traceback" not in said
    return said


@pytest.fixture
def taken() -> Iterator[str]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield f"127.0.0.1:{other.getsockname()[1]}"


# -- who may come in --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [LINK, "VX11_OPERATOR_TOKEN", "VX11_GATEWAY_TOKEN", "API_TOKEN"])
async def test_each_of_vx11s_variables_names_the_token(name: str) -> None:
    async with standing(environ={name: MINE}) as town:
        assert (await town.chat(token=MINE)).status == 200
        assert (await town.chat(token="vx11-local-token")).status == 403  # VX11's default is no default here
        assert (await town.chat(token="")).status == 401


def test_several_tokens_are_good_at_once(spawn: Spawn, lab_process: LabProcess) -> None:
    tokens = {LINK: lab_process.token, "VX11_SIDECAR_TOKENS": "one-more, and-another"}
    with spawn("serve", *lab_process.flags(), **tokens) as process:
        url = f"http://{process.ready()['listen']}"
        answers = {token: chat(url, token) for token in (lab_process.token, "one-more", "and-another", "neither")}
        assert {token: answer.status for token, answer in answers.items()} == {
            lab_process.token: 200,
            "one-more": 200,
            "and-another": 200,
            "neither": 403,
        }
        # Whatever the client's token is, the switch gets the link token, the only one it takes.
        assert answers["one-more"].json["provider"] == "switch"
        assert process.end() == 0


def test_tokens_are_read_from_files(spawn: Spawn, lab_process: LabProcess, tmp_path: Path) -> None:
    (tmp_path / "link").write_text(lab_process.token + "\n")
    (tmp_path / "more").write_text("from-a-file\nand-its-second-line\n")
    files = {LINK + "_FILE": str(tmp_path / "link"), "VX11_SIDECAR_TOKENS_FILE": str(tmp_path / "more")}
    with spawn("serve", *lab_process.flags(), **files) as process:
        url = f"http://{process.ready()['listen']}"
        for token in (lab_process.token, "from-a-file", "and-its-second-line"):
            assert chat(url, token).json["provider"] == "switch"
        assert chat(url, str(tmp_path / "link")).status == 403
        assert process.end() == 0


# -- what keeps it from starting --------------------------------------------------------------------------------------


def test_without_a_token_it_does_not_start(spawn: Spawn) -> None:
    said = complaint(spawn, *FREE, *NOBODY)
    assert "no token is configured" in said
    assert LINK in said


@pytest.mark.parametrize("empty", ["", "  ", "\n"])
def test_an_empty_token_is_none(spawn: Spawn, empty: str) -> None:
    assert "no token is configured" in complaint(spawn, *FREE, *NOBODY, **{LINK: empty})


def test_a_token_file_that_cannot_be_read_is_no_absent_token(spawn: Spawn, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    assert missing in complaint(spawn, *FREE, *NOBODY, API_TOKEN=MINE, VX11_SIDECAR_TOKENS_FILE=missing)


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (("--listens", "127.0.0.1:0"), "--listens"),
        (("--listen", "8000"), "listen"),
        (("--gateway", "https://gateway:8000"), "gateway"),
        (("--log-level", "loud"), "loud"),
    ],
)
def test_a_wrong_flag_is_named(spawn: Spawn, arguments: tuple[str, ...], names: str) -> None:
    assert names in complaint(spawn, *FREE, *NOBODY, *arguments, **{LINK: MINE})


def test_no_command_is_a_wrong_command(spawn: Spawn) -> None:
    process = spawn()
    assert process.ended() == 2
    assert "usage" in process.stderr


def test_a_wrong_policy_is_named_by_line_and_column(spawn: Spawn, tmp_path: Path) -> None:
    policy = tmp_path / "wrong.yaml"
    policy.write_text("version: 1\ndeadline:\n  client: 5\n  pacience: 3s\n")
    said = complaint(spawn, *FREE, *NOBODY, "--policy", str(policy), **{LINK: MINE})
    assert f"{policy}:3:11: " in said
    assert f"{policy}:4:3: " in said


def test_a_policy_that_is_not_there_is_named(spawn: Spawn, tmp_path: Path) -> None:
    policy = str(tmp_path / "none.yaml")
    assert policy in complaint(spawn, *FREE, *NOBODY, "--policy", policy, **{LINK: MINE})


@pytest.mark.parametrize("port", ["--listen", "--admin"])
def test_a_port_in_use_ends_it(spawn: Spawn, taken: str, port: str) -> None:
    said = complaint(spawn, *FREE, *NOBODY, port, taken, **{LINK: MINE})
    assert "in use" in said


@pytest.mark.parametrize("gateway", ["127.0.0.1", "localhost"])
def test_a_gateway_that_is_the_sidecar_itself_ends_it(spawn: Spawn, gateway: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    said = complaint(
        spawn, *FREE, *NOBODY, "--listen", f"127.0.0.1:{port}", "--gateway", f"{gateway}:{port}", **{LINK: MINE}
    )
    assert "our own listener" in said
    assert "VX11_SIDECAR_GATEWAY_URL" in said


def test_a_journal_that_cannot_be_written_ends_it(spawn: Spawn, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "file" in complaint(spawn, *FREE, *NOBODY, "--journal", str(tmp_path / "file" / "dir"), **{LINK: MINE})


# -- its life ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_one_line_and_ends_with_0_when_told(spawn: Spawn, lab_process: LabProcess, number: int) -> None:
    with spawn("serve", *lab_process.flags(), **{LINK: lab_process.token}) as process:
        ready = process.ready()
        assert set(ready) == {"event", "listen", "admin"}
        assert ready["event"] == "ready"
        assert chat(f"http://{ready['listen']}", lab_process.token).status == 200
        assert ask("GET", f"http://{ready['admin']}/readyz").status == 200
        assert process.end(number) == 0
        assert process.stdout == json.dumps(ready, separators=(",", ":")) + "\n"
        assert "Traceback" not in process.stderr


def test_its_log_is_one_json_object_a_line(spawn: Spawn, lab_process: LabProcess) -> None:
    with spawn("serve", *lab_process.flags(), "--log-level", "debug", **{LINK: lab_process.token}) as process:
        chat(f"http://{process.ready()['listen']}", lab_process.token)
        assert process.end() == 0
        events = [json.loads(line) for line in process.stderr.splitlines()]
    assert {"ready", "chat", "drained"} <= {event["event"] for event in events}


def test_with_every_upstream_down_it_starts_and_serves(spawn: Spawn) -> None:
    with spawn("serve", *FREE, *NOBODY, **{LINK: MINE}) as process:
        ready = process.ready()
        url, admin = f"http://{ready['listen']}", f"http://{ready['admin']}"
        answer = chat(url, MINE)
        assert answer.status == 200
        assert (answer.json["provider"], answer.json["degraded"]) == ("local", True)
        assert ask("GET", f"{url}/health").status == 502
        assert [ask("GET", f"{admin}/{path}").status for path in ("livez", "readyz", "metrics", "state")] == [200] * 4
        assert process.end() == 0


def test_names_that_do_not_resolve_are_upstreams_that_are_down(spawn: Spawn) -> None:
    """Containers come and go with the power windows; the switch's name is not there until it runs."""
    nowhere = [part for name in ("gateway", "switch", "madre") for part in (f"--{name}", f"{name}.invalid:8000")]
    with spawn("serve", *FREE, *nowhere, **{LINK: MINE}) as process:
        answer = chat(f"http://{process.ready()['listen']}", MINE)
        assert (answer.status, answer.json["provider"]) == (200, "local")
        assert answer.seconds < 5.0
        assert process.end() == 0
