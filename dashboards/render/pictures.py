"""All pictures of docs/pictures anew: a lab, a Prometheus, ten minutes of scenario.py, and one picture per board.

Run ``.venv/bin/python dashboards/render/pictures.py`` from the root of the repository, after ``npm ci`` in this folder.
"""
# ruff: noqa: INP001, S603, T201 - a script that starts what is installed and says what it does

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scenario import SECONDS, Town, run

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WHERE = ROOT / "docs" / "pictures"
BOARDS = ("overview", "upstreams", "tuning", "runtime")
BEFORE = 15  # seconds of quiet before the scenario, so that counters are seen at zero
AFTER = 5
MAY_BE_EMPTY = ("^Alerts firing$", "^Overrides$")  # alerts may still wait, and no override is held at the end


@contextmanager
def _lab(folder: Path) -> Iterator[Town]:
    policy = folder / "policy.yaml"
    (folder / "default.yaml").write_bytes((ROOT / "policies" / "default.yaml").read_bytes())
    policy.write_text("extends: default.yaml\n", encoding="utf-8")
    nowhere = "127.0.0.1:0"
    command = [sys.executable, "-m", "sidecar", "lab", "--listen", nowhere, "--admin", nowhere, "--control", "0"]
    environ = {**os.environ, "LAB_SECONDS": str(int(SECONDS) + 300)}
    command += ["--policy", policy.name, "--journal", str(folder / "journal"), "--log-level", "error"]
    with subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.PIPE, text=True) as process:
        try:
            token = ""
            for line in process.stdout or ():
                if line.lstrip().startswith("token "):
                    token = line.split()[1]
                if line.startswith("{"):
                    said = json.loads(line)
                    urls = (f"http://{said['listen']}", f"http://{said['admin']}", said["control"].rstrip("/"))
                    yield Town(*urls, token, "lab-admin", policy)
                    return
            raise RuntimeError("the lab did not start")
        finally:
            process.terminate()


@contextmanager
def _prometheus(folder: Path, admin: str) -> Iterator[str]:
    target = {"targets": [admin.removeprefix("http://")], "labels": {"instance": "sidecar-1"}}
    config = {
        "global": {"scrape_interval": "2s", "evaluation_interval": "5s"},
        "rule_files": [str(ROOT / "dashboards" / "rules" / "*.yaml")],
        "scrape_configs": [{"job_name": "vx11-sidecar", "static_configs": [target]}],
    }
    file = folder / "prometheus.yml"
    file.write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML
    address = f"127.0.0.1:{_free_port()}"
    command = ["prometheus", f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}"]
    command += [f"--web.listen-address={address}", "--log.level=error"]
    with subprocess.Popen(command) as process:
        try:
            yield f"http://{address}"
        finally:
            process.terminate()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _picture(board: str, prometheus: str, began: float, ended: float) -> bool:
    """True if the renderer found nothing wrong."""
    print(f"== {board}", flush=True)
    command = ["node", str(HERE / "render.mjs"), "--dashboard", str(HERE.parent / "json" / f"{board}.json")]
    command += ["--prometheus", prometheus, "--scrape-interval", "2s", "--out", str(WHERE / f"dashboard-{board}.png")]
    command += ["--from", str(int(began)), "--to", str(int(ended))]
    for title in MAY_BE_EMPTY:
        command += ["--may-be-empty", title]
    return subprocess.run(command, check=False).returncode == 0


def main() -> int:
    WHERE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, _lab(Path(name)) as town, _prometheus(Path(name), town.admin) as url:
        time.sleep(BEFORE)
        asyncio.run(run(town))
        time.sleep(AFTER)
        ended = time.time()
        fine = [_picture(board, url, ended - SECONDS, ended) for board in BOARDS]
        return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
