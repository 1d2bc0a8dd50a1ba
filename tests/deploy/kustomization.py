"""The manifests as they are applied: by kustomize where there is one, and as they were committed everywhere."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
RENDERED = Path(__file__).with_name("rendered.yaml")
DIGEST = "# sha256 of what it was made from: "
OLDEST = (5, 0)  # of kustomize: components are applied in the order in which they stand
ELSEWHERE = ("PrometheusRule",)  # kinds that are proven against their own sources

Manifest = dict[str, Any]


def digest() -> str:
    """Of all that the rendered manifests are made from, but for dashboards and rules, which have tests of their own."""
    found = hashlib.sha256()
    for path in sorted(KUBERNETES.rglob("*.yaml")):
        if path.name != "prometheusrule.yaml":
            found.update(str(path.relative_to(KUBERNETES)).encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()


def kustomize(directory: Path) -> str:
    """What ``kustomize build`` makes of it. Skips where there is no kustomize that is new enough."""
    if shutil.which("kustomize"):
        version, build = ["kustomize", "version"], ["kustomize", "build"]
    elif shutil.which("kubectl"):
        version, build = ["kubectl", "version", "--client"], ["kubectl", "kustomize"]
    else:
        pytest.skip(
            "neither kustomize nor kubectl is installed: the committed build was tested, not that it is the build"
        )
    told = subprocess.run(version, capture_output=True, text=True, check=False, timeout=60).stdout
    numbers = [word.lstrip("v") for word in told.split() if word.lstrip("v")[:1].isdigit()]
    if not numbers or tuple(int(part) for part in numbers[-1].split(".")[:2]) < OLDEST:
        pytest.skip(f"kustomize {'.'.join(map(str, OLDEST))} or newer is needed, not {told.strip()!r}")
    run = subprocess.run([*build, str(directory)], capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 0, run.stderr
    return run.stdout


def manifests(text: str) -> list[Manifest]:
    return [each for each in YAML(typ="safe").load_all(text) if each]


def committed() -> list[Manifest]:
    return manifests(RENDERED.read_text())


def is_elsewhere(manifest: Manifest) -> bool:
    return manifest["kind"] in ELSEWHERE or "grafana_dashboard" in manifest["metadata"].get("labels", {})


def named(kind: str, name: str) -> Manifest:
    (found,) = [each for each in committed() if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


def deployment() -> Manifest:
    return named("Deployment", "tentaculo-link")


def container(name: str) -> Manifest:
    pod = deployment()["spec"]["template"]["spec"]
    (found,) = [each for each in (*pod["initContainers"], *pod["containers"]) if each["name"] == name]
    return found


def flag(name: str) -> str:
    """The value of one of the sidecar's flags."""
    (found,) = [each.partition("=")[2] for each in container("sidecar")["args"] if each.startswith(f"{name}=")]
    return str(found)


if __name__ == "__main__":  # python -m tests.deploy.kustomization: commit the build anew
    import io

    yaml = YAML()
    yaml.default_flow_style = False
    out = io.StringIO()
    yaml.dump_all([each for each in manifests(kustomize(KUBERNETES / "example")) if not is_elsewhere(each)], out)
    RENDERED.write_text(
        f"# kubectl kustomize deploy/kubernetes/example, without dashboards and rules. Made by python -m tests.deploy.kustomization.\n"
        f"{DIGEST}{digest()}\n{out.getvalue()}"
    )
