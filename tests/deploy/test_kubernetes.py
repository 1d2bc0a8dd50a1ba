"""The manifests: what kustomize makes of them, what the API server would say of that, and that the parts fit each other and the program."""

from __future__ import annotations

import argparse
import copy
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from sidecar.cli.serve import add_options
from sidecar.edge.environment import ACCEPTED_TOKEN, ADMIN_TOKEN, read_environment
from sidecar.edge.settings import resolve
from sidecar.policy.load import load
from sidecar.policy.model import Policy
from tests.deploy.kustomization import (
    DIGEST,
    KUBERNETES,
    RENDERED,
    ROOT,
    committed,
    container,
    deployment,
    digest,
    flag,
    is_elsewhere,
    kustomize,
    manifests,
    named,
)

RULES = ROOT / "dashboards" / "rules" / "vx11-sidecar.rules.yaml"
DASHBOARDS = ROOT / "dashboards" / "json"
OLDEST_CLUSTER = "1.29"  # native sidecars are on by default
APPLIED_MOST = 262_144  # bytes that kubectl apply can note in an annotation
NAME = "tentaculo-link"
UNITS = {"Mi": 2**20, "Gi": 2**30}


@pytest.fixture(scope="module")
def built():
    return manifests(kustomize(KUBERNETES / "example"))


def bytes_of(quantity):
    return int(quantity[:-2]) * UNITS[quantity[-2:]]


# -- what kustomize makes of them ----------------------------------------------------------------------------------------


def test_the_committed_build_is_the_build(built):
    assert [each for each in built if not is_elsewhere(each)] == committed(), (
        "run: python -m tests.deploy.kustomization"
    )


def test_the_committed_build_is_of_these_files():
    """Where there is no kustomize, too."""
    assert f"{DIGEST}{digest()}\n" in RENDERED.read_text(), "run: python -m tests.deploy.kustomization"


def test_without_the_component_the_gateway_is_as_it_was():
    before = manifests(kustomize(KUBERNETES / "gateway"))
    ports = {each["kind"]: each for each in before}["Service"]["spec"]["ports"]
    assert (ports[0]["port"], ports[0]["targetPort"]) == (8000, "gateway")
    assert "sidecar" not in json.dumps(before)


def test_every_dashboard_becomes_a_config_map_that_can_be_applied(built):
    found = {
        key: text
        for each in built
        if "grafana_dashboard" in each["metadata"].get("labels", {})
        for key, text in each["data"].items()
    }
    assert set(found) == {path.name for path in DASHBOARDS.glob("*.json")}
    for name, text in found.items():
        assert json.loads(text) == json.loads((DASHBOARDS / name).read_text())
    for each in built:
        assert len(json.dumps(each)) < APPLIED_MOST, each["metadata"]["name"]


# -- what the API server would say -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def schemas():
    if importlib.util.find_spec("kubernetes_validate") is None:
        pytest.skip(
            "kubernetes-validate is not installed (PyPI; 108 MB of schemas): fields were not held against the API's schemas"
        )
    import kubernetes_validate  # noqa: PLC0415

    return kubernetes_validate


def core():
    return [each for each in committed() if not each["apiVersion"].startswith("monitoring.coreos.com/")]


@pytest.mark.parametrize("version", [OLDEST_CLUSTER, "1.31", "1.34"])
def test_every_field_is_one_of_the_api(schemas, version):
    for each in core():
        schemas.validate(each, version, strict=True)


def test_a_field_that_is_none_of_the_api_is_found(schemas):
    wrong = copy.deepcopy(deployment())
    wrong["spec"]["template"]["spec"]["initContainers"][0]["restartPolcy"] = "Always"
    with pytest.raises(schemas.ValidationError):
        schemas.validate(wrong, OLDEST_CLUSTER, strict=True)


def test_the_pod_monitor_says_nothing_that_the_operator_does_not_know():
    """Not its whole schema: the names of the fields that we use, where they stand and which of them have to."""
    monitor = named("PodMonitor", "vx11-sidecar")
    assert (monitor["apiVersion"], set(monitor["spec"])) == (
        "monitoring.coreos.com/v1",
        {"selector", "podMetricsEndpoints"},
    )
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert set(endpoint) == {"port", "path", "interval", "scrapeTimeout", "relabelings"}
    (relabeling,) = endpoint["relabelings"]
    assert set(relabeling) == {"action", "targetLabel", "replacement"}
    assert all(
        isinstance(value, str) for value in (*relabeling.values(), endpoint["interval"], endpoint["scrapeTimeout"])
    )


# -- rules -----------------------------------------------------------------------------------------------------------------


def test_the_rules_are_those_of_the_rule_file():
    made = subprocess.run(
        [sys.executable, str(KUBERNETES / "prometheus_rule.py")], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert made == (KUBERNETES / "monitoring" / "prometheusrule.yaml").read_text(), (
        "run: python deploy/kubernetes/prometheus_rule.py > deploy/kubernetes/monitoring/prometheusrule.yaml"
    )
    (rule,) = manifests(made)
    assert set(rule) == {"apiVersion", "kind", "metadata", "spec"}
    assert rule["spec"] == YAML(typ="safe").load(RULES.read_text())
    assert {key for group in rule["spec"]["groups"] for key in group} <= {"name", "interval", "rules"}
    known = {"record", "alert", "expr", "for", "labels", "annotations", "keep_firing_for"}
    assert {key for group in rule["spec"]["groups"] for each in group["rules"] for key in each} <= known


def test_prometheus_takes_the_rules_out_of_the_built_manifest(built, tmp_path):
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    (rule,) = [each for each in built if each["kind"] == "PrometheusRule"]
    (tmp_path / "rules.yaml").write_text(json.dumps(rule["spec"]))  # JSON is YAML
    run = subprocess.run(
        ["promtool", "check", "rules", str(tmp_path / "rules.yaml")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    count = sum(len(group["rules"]) for group in rule["spec"]["groups"])
    assert run.returncode == 0, run.stderr
    assert f"SUCCESS: {count} rules found" in run.stdout
    assert count > 50


def test_the_job_is_the_one_that_the_rules_look_for():
    (relabeling,) = named("PodMonitor", "vx11-sidecar")["spec"]["podMetricsEndpoints"][0]["relabelings"]
    jobs = set(re.findall(r'job="([^"]*)"', RULES.read_text()))
    assert relabeling["targetLabel"] == "job"
    assert jobs <= {relabeling["replacement"]}


# -- the pod and the program --------------------------------------------------------------------------------------------


def test_the_program_starts_with_what_the_container_says(tmp_path):
    """Flags, environment and policy are taken as the program takes them, with files where the volumes would be."""
    sidecar = container("sidecar")
    assert sidecar["args"][0] == "serve"
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_options(parser)
    options = parser.parse_args(sidecar["args"][1:])
    environ = {each["name"]: each["value"] for each in sidecar["env"]}
    for name, path in environ.items():
        if name.endswith("_FILE"):
            assert name.removesuffix("_FILE") in {*ACCEPTED_TOKEN, ADMIN_TOKEN}
            (tmp_path / Path(path).name).write_text("a-token\n")
            environ[name] = str(tmp_path / Path(path).name)
    (tmp_path / "policy.yaml").write_text(named("ConfigMap", "vx11-sidecar-policy")["data"]["policy.yaml"])
    settings = resolve(vars(options), read_environment(environ), environ, load(tmp_path))
    assert (settings.listen.port, settings.admin.port, settings.gateway.port) == (8100, 9180, 8000)
    assert settings.exposed  # off loopback
    assert not settings.auth_off
    assert {name: each.origin for name, each in settings.snapshot.destinations.items()} == {
        "switch": "http://switch:8002",
        "madre": "http://madre:8001",
    }


def test_the_policy_differs_from_the_default_in_what_the_pod_needs():
    policy = load(KUBERNETES / "sidecar" / "policy.yaml").policy
    default = Policy()
    differing = {name for name in type(policy).model_fields if getattr(policy, name) != getattr(default, name)}
    assert differing == {"journal"}


def test_the_journal_fits_into_its_volume():
    journal = load(KUBERNETES / "sidecar" / "policy.yaml").policy.journal
    volumes = {each["name"]: each for each in deployment()["spec"]["template"]["spec"]["volumes"]}
    room = bytes_of(volumes["vx11-sidecar-state"]["emptyDir"]["sizeLimit"])
    assert journal.max_file * (journal.keep + 1) < room
    assert room <= bytes_of(container("sidecar")["resources"]["limits"]["ephemeral-storage"])


def test_it_is_a_native_sidecar_and_the_gateway_is_what_it_was():
    sidecar = container("sidecar")
    assert sidecar["restartPolicy"] == "Always"
    gateway = container("gateway")
    (before,) = YAML(typ="safe").load((KUBERNETES / "gateway" / "deployment.yaml").read_text())["spec"]["template"][
        "spec"
    ]["containers"]
    assert {name for name in gateway if gateway[name] != before.get(name)} == {"lifecycle"}


def test_the_image_is_started_as_it_was_built_to_be():
    said = dict(line.split(" ", 1) for line in (ROOT / "Dockerfile").read_text().splitlines() if " " in line)
    context = container("sidecar")["securityContext"]
    assert said["USER"] == f"{context['runAsUser']}:{context['runAsGroup']}"
    assert json.loads(said["ENTRYPOINT"]) == ["sidecar"]  # itself process 1, which the hook sends its signal to
    assert "command" not in container("sidecar")


def test_the_service_keeps_name_and_port_and_leads_to_the_sidecar():
    (port,) = named("Service", NAME)["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (8000, int(flag("--listen").rpartition(":")[2]))
    ports = {each["name"]: each["containerPort"] for each in container("sidecar")["ports"]}
    assert ports == {"sidecar-data": port["targetPort"], "sidecar-admin": int(flag("--admin").rpartition(":")[2])}
    assert int(flag("--gateway").rpartition(":")[2]) in {
        each["containerPort"] for each in container("gateway")["ports"]
    }


def test_probes_ask_the_admin_port():
    probes = {name: container("sidecar")[f"{name}Probe"]["httpGet"] for name in ("startup", "readiness", "liveness")}
    assert {name: each["path"] for name, each in probes.items()} == {
        "startup": "/readyz",
        "readiness": "/readyz",
        "liveness": "/livez",
    }
    assert {each["port"] for each in probes.values()} == {"sidecar-admin"}
    endpoint = named("PodMonitor", "vx11-sidecar")["spec"]["podMetricsEndpoints"][0]
    assert (endpoint["port"], endpoint["path"]) == ("sidecar-admin", "/metrics")


def test_what_is_to_change_while_it_runs_is_mounted_as_a_directory():
    pod = deployment()["spec"]["template"]["spec"]
    mounts = {each["name"]: each for each in container("sidecar")["volumeMounts"]}
    assert not [each for each in mounts.values() if "subPath" in each or "subPathExpr" in each]
    assert mounts["vx11-sidecar-policy"]["mountPath"] == flag("--policy")
    assert flag("--journal").startswith(mounts["vx11-sidecar-state"]["mountPath"])
    assert {each["name"] for each in pod["volumes"]} == set(mounts)
    volumes = {each["name"]: each for each in pod["volumes"]}
    assert named("ConfigMap", volumes["vx11-sidecar-policy"]["configMap"]["name"])  # no hash at its end
    tokens = mounts["vx11-sidecar-tokens"]["mountPath"]
    assert all(
        each["value"].startswith(f"{tokens}/") for each in container("sidecar")["env"] if "TOKEN" in each["name"]
    )


def test_the_container_may_do_nothing_but_its_work():
    context = container("sidecar")["securityContext"]
    assert context["runAsNonRoot"]
    assert context["runAsUser"] > 0
    assert context["readOnlyRootFilesystem"]
    assert not context["allowPrivilegeEscalation"]
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    pod = deployment()["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)


def test_no_secret_is_in_a_manifest():
    assert not [each for each in committed() if each["kind"] == "Secret"]
    assert all("value" not in each or each["name"].endswith(("_FILE", "_URL")) for each in container("sidecar")["env"])


def test_selectors_find_the_pod_and_everything_is_in_one_namespace():
    labels = deployment()["spec"]["template"]["metadata"]["labels"]
    selectors = [
        deployment()["spec"]["selector"]["matchLabels"], named("Service", NAME)["spec"]["selector"],
        named("PodDisruptionBudget", NAME)["spec"]["selector"]["matchLabels"],
        named("NetworkPolicy", NAME)["spec"]["podSelector"]["matchLabels"],
        named("PodMonitor", "vx11-sidecar")["spec"]["selector"]["matchLabels"],
    ]  # fmt: skip
    assert all(selector and selector.items() <= labels.items() for selector in selectors)
    assert {each["metadata"]["namespace"] for each in committed()} == {"vx11"}


def test_the_network_policy_lets_in_and_out_what_the_sidecar_needs():
    spec = named("NetworkPolicy", NAME)["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    data, admin = spec["ingress"]
    assert [each["port"] for each in data["ports"]] == [8100]
    assert data["from"] == [{"podSelector": {}}]
    assert [each["port"] for each in admin["ports"]] == [9180]
    assert "namespaceSelector" in admin["from"][0]
    environ = {each["name"]: each["value"] for each in container("sidecar")["env"]}
    out = {
        (each["to"][0]["podSelector"]["matchLabels"].get("app.kubernetes.io/name"), each["ports"][0]["port"])
        for each in spec["egress"]
    }
    for name in ("VX11_SWITCH_URL", "VX11_MADRE_URL"):
        host, _, port = environ[name].partition(":")
        assert (host, int(port)) in out
    assert {each["port"] for each in spec["egress"][-1]["ports"]} == {53}
    assert all(each.get("to") and each.get("ports") for each in spec["egress"])  # an empty one would mean everything
