"""The published checks run against any deployment that VX11's environment variables point to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.acceptance.running import ROOT, LabProcess


def run_checks(token: str, lab: LabProcess) -> tuple[int, str]:
    places = {"VX11_OPERATOR_URL": lab.url, "VX11_TENTACULO_URL": lab.url, "VX11_TOKEN": token}
    places |= {"VX11_MADRE_URL": lab.urls["madre"], "VX11_SWITCH_URL": lab.urls["switch"]}
    checks = Path(__file__).with_name("test_published.py")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(checks)]
    ran = subprocess.run(
        command, cwd=ROOT, env=os.environ | places, capture_output=True, text=True, timeout=60, check=False
    )
    return ran.returncode, ran.stdout


def test_the_seven_checks_pass_at_the_addresses_in_the_environment(lab_process: LabProcess) -> None:
    code, said = run_checks(lab_process.token, lab_process)
    assert code == 0, said
    assert "7 passed" in said
    assert "published checks, as given: 7 of 7" in said


def test_they_fail_where_the_token_is_another(lab_process: LabProcess) -> None:
    code, said = run_checks("another", lab_process)
    assert code == 1
    assert "6 failed, 1 passed" in said
