"""The units: systemd reads them without a complaint, they confine as far as it goes, and the sidecar runs within that."""

from __future__ import annotations

import asyncio
import platform
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.zero_loss import TOKEN, Client
from sidecar.cli.serve import add_options
from sidecar.edge.environment import ADMIN_TOKEN, LINK_TOKEN
from tests.deploy.manager import Service
from tests.deploy.units import DIRECTORY, seconds, unit

SERVICE = "vx11-sidecar.service"
SOCKETS = {"vx11-sidecar.socket": "data", "vx11-sidecar-admin.socket": "admin"}
MOST_EXPOSED = 1.3  # of 10: 0 is a service that can do nothing; one that has to listen and connect keeps the network
CONFINED = Path(__file__).with_name("confined.py")


def analyze(*arguments: str | Path) -> str:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed (Debian: systemd)")
    run = subprocess.run(
        ["systemd-analyze", "--no-pager", *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout + run.stderr


@pytest.fixture
def installed(tmp_path):
    """The units where the program they start exists."""
    program = Path(sys.executable).with_name("sidecar")
    for path in DIRECTORY.iterdir():
        text = path.read_text().replace("/opt/vx11-sidecar/bin/sidecar", str(program))
        (tmp_path / path.name).write_text(text)
    return tmp_path


def test_systemd_has_nothing_to_say_of_the_units(installed):
    assert analyze("verify", "--man=no", *(installed / name for name in (SERVICE, *SOCKETS))) == ""


def test_a_mistake_in_a_unit_is_found(installed):
    path = installed / SERVICE
    path.write_text(path.read_text().replace("ProtectHome=yes", "ProtectHouse=yes"))
    assert "ProtectHouse" in analyze("verify", "--man=no", path)


def test_the_service_is_confined(installed, capsys):
    said = analyze("security", "--offline=yes", installed / SERVICE)
    exposure = re.search(r"exposure level for \S+: ([0-9.]+)", said)
    assert exposure, said
    with capsys.disabled():
        print(f"\n  exposure {exposure[1]} of 10; at most {MOST_EXPOSED}")
    assert float(exposure[1]) <= MOST_EXPOSED
    open_ = {line.split()[1] for line in said.splitlines() if line.startswith("✗")}
    assert not {
        name for name in open_ if name.startswith(("User", "Capability", "NoNewPriv", "Protect", "Private"))
    } - {"PrivateNetwork="}


# -- what the units say to each other and to the program ------------------------------------------------------------------


def arguments():
    """What the program is started with."""
    return shlex.split(unit(SERVICE)["Service"]["ExecStart"][0])[2:]


def parsed():
    import argparse  # noqa: PLC0415

    parser = argparse.ArgumentParser(exit_on_error=False)
    add_options(parser)
    return parser.parse_args(arguments())


def test_every_flag_is_one_of_the_program():
    assert parsed().journal.startswith("%S/" + unit(SERVICE)["Service"]["StateDirectory"][0])


@pytest.mark.parametrize("name", SOCKETS)
def test_sockets_are_named_as_the_program_knows_them_and_where_its_flags_say(name):
    described = unit(name)["Socket"]
    assert described["FileDescriptorName"] == [SOCKETS[name]]
    assert described["Service"] == [SERVICE]
    assert "Accept" not in described
    flags = {"data": parsed().listen, "admin": parsed().admin}
    assert described["ListenStream"] == [flags[SOCKETS[name]]]
    for section, key in (("Unit", "Requires"), ("Unit", "After"), ("Service", "Sockets"), ("Install", "Also")):
        assert name in unit(SERVICE)[section][key][0].split()


def test_the_program_ends_before_it_is_killed():
    service = unit(SERVICE)["Service"]
    options = parsed()
    assert seconds(service["TimeoutStopSec"][0]) > seconds(options.grace) + seconds(options.drain_delay) + 2


def test_credentials_are_what_the_token_variables_point_to():
    service = unit(SERVICE)["Service"]
    loaded = {each.partition(":")[0] for each in service["LoadCredential"]}
    pointed = dict(each.split("=", 1) for each in service["Environment"] if "_FILE=" in each)
    assert {name.removesuffix("_FILE") for name in pointed} <= {*LINK_TOKEN, ADMIN_TOKEN}
    assert {path.removeprefix("%d/") for path in pointed.values()} == loaded


def test_no_secret_stands_in_a_unit():
    for path in DIRECTORY.iterdir():
        assert not re.search(r"(TOKEN|KEY|SECRET|PASSWORD)\w*=(?!%d/)", path.read_text().replace("_FILE", ""))


# -- within its confines ---------------------------------------------------------------------------------------------------


def allowed():
    """The system calls that the unit's filter lets through, as this systemd knows its groups."""
    groups, group = {}, ""
    for line in analyze("syscall-filter").splitlines():
        name = line.strip()
        if line.startswith("@"):
            groups[group := name] = []
        elif line.startswith(" ") and name and not name.startswith("#"):
            groups[group].append(name)

    def calls(name):
        return {call for each in groups[name] for call in calls(each)} if name in groups else {name}

    found = calls("@default")
    for line in unit(SERVICE)["Service"]["SystemCallFilter"]:
        named = {call for each in line.removeprefix("~").split() for call in calls(each)}
        found = found - named if line.startswith("~") else found | named
    return found


async def test_the_sidecar_serves_and_reloads_with_the_system_calls_it_is_left(tmp_path, places):
    """Address families, system calls, executable memory and capabilities are as in the unit; user and file system are not."""
    families = [getattr(socket, name) for name in unit(SERVICE)["Service"]["RestrictAddressFamilies"][0].split()]
    calls = allowed()
    assert not {"mount", "ptrace", "setuid", "bpf", "chown", "sched_setaffinity", "init_module"} & calls
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed (Debian: util-linux)")
    command = [
        "setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", sys.executable, str(CONFINED),
        ",".join(str(int(family)) for family in families), ",".join(sorted(calls)),
        sys.executable, "-m", "sidecar", "serve", *places, "--journal", str(tmp_path / "journal"),
    ]  # fmt: skip
    async with Service(command, tmp_path, {LINK_TOKEN[0]: TOKEN}, watchdog=2.0) as service:
        await service.start()
        client = Client(service.ports[0], TOKEN, keeps=False)
        for number in range(4):
            await client.ask(number)
        service.running.send_signal(signal.SIGHUP)
        await service.hears(lambda: service.said("RELOADING") == 1 and service.said("READY") == 2)
        await service.hears(lambda: service.said("WATCHDOG") > 1)
        status = await asyncio.to_thread(Path(f"/proc/{service.running.pid}/status").read_text)
        assert re.search(r"^Seccomp:\t2$", status, re.MULTILINE)
        assert await service.stop() == 0
    assert any((tmp_path / "journal").iterdir())
    assert "not permitted" not in service.log


def test_the_confines_are_felt():
    calls = ",".join(sorted(allowed() | {"socket"}))
    script = (
        "import mmap, os, socket\n"
        "def tried(work, *arguments, **named):\n"
        "    try: work(*arguments, **named)\n"
        "    except OSError as error: return error.errno\n"
        "print(tried(os.chown, '/tmp', 0, 0), tried(os.sched_setaffinity, 0, {0}), tried(socket.socket, socket.AF_NETLINK, socket.SOCK_RAW),\n"
        "      tried(mmap.mmap, -1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC), tried(socket.socket))"
    )
    run = subprocess.run(
        [sys.executable, str(CONFINED), "1,2,10", calls, sys.executable, "-c", script],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    chown, affinity, netlink, executable, harmless = run.stdout.split()
    assert (chown, affinity, netlink, harmless) == ("1", "1", "1", "None"), run.stderr
    if tuple(int(part) for part in platform.release().split(".")[:2]) >= (6, 3):
        assert executable == "13"
