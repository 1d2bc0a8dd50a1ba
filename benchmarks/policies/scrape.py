"""One scrape of the sidecar's metrics, and what happened between two."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

PREFIX = "vx11_sidecar_"


class Scrape:
    def __init__(self, text: str) -> None:
        self._samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    def total(self, name: str, **labels: str) -> float:
        """The sum over all samples of ``name`` that have these labels; 0 if there are none."""
        wanted = labels.items()
        return sum(s.value for s in self._samples if s.name == PREFIX + name and wanted <= s.labels.items())

    def known(self, name: str) -> bool:
        """Whether there is such a metric at all: a sum of 0 would hide a name that was misspelt."""
        return any(sample.name == PREFIX + name for sample in self._samples)

    def counted(self, name: str, **labels: str) -> float:
        """``total`` of a metric that must be there. Raises LookupError where it is not."""
        if not self.known(name):
            raise LookupError(f"no metric {PREFIX}{name}")
        return self.total(name, **labels)
