# ruff: noqa: INP001 - a script
"""Make the PrometheusRule out of the rule file.

    python deploy/kubernetes/prometheus_rule.py > deploy/kubernetes/monitoring/prometheusrule.yaml

For rules of another policy, give the file that ``sidecar rules build --output FILE`` wrote.
"""

from __future__ import annotations

import sys
from pathlib import Path

RULES = Path(__file__).parents[2] / "dashboards" / "rules" / "vx11-sidecar.rules.yaml"
HEAD = """\
# Made from dashboards/rules/vx11-sidecar.rules.yaml by deploy/kubernetes/prometheus_rule.py: do not edit.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: vx11-sidecar
  labels:
    app.kubernetes.io/name: vx11-sidecar
    app.kubernetes.io/part-of: vx11
spec:
"""


def prometheus_rule(rules: str) -> str:
    """The same rules as the ``spec`` of a custom resource: moved in, and not read, so that they stay letter for letter."""
    lines = rules.splitlines()
    start = lines.index("groups:")
    return HEAD + "".join(f"  {line}\n" if line else "\n" for line in lines[start:])


if __name__ == "__main__":
    given = Path(sys.argv[1]) if len(sys.argv) > 1 else RULES
    sys.stdout.write(prometheus_rule(given.read_text(encoding="utf-8")))
