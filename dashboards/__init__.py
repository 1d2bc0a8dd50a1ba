"""Grafana boards of the sidecar, as code: ``python -m dashboards`` writes ``dashboards/json``."""

import warnings

with warnings.catch_warnings():
    # Said on import of the classic schema. It is the one that every Grafana imports; the successor needs a recent server.
    warnings.filterwarnings("ignore", "Prefer using dashboardv2", DeprecationWarning)
    import grafana_foundation_sdk.builders.bargauge
    import grafana_foundation_sdk.builders.dashboard  # noqa: F401
