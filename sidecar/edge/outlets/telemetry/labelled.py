"""The exposition of several workers as one: every series with the worker it is of, so that it can be added up by whoever asks.

Not added up here: a counter of a worker that was started again begins at 0, and in a sum that would look like less of everything. As series
of their own Prometheus sees the new beginning, and ``sum`` over rates is right. In either format, exemplars included.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

LABEL = "worker"
_END = "# EOF"


def labelled(told: Mapping[int, str]) -> str:
    """``told`` are expositions in one format, by worker; families come in the order in which they are first seen."""
    families: dict[str, tuple[list[str], list[str]]] = {}
    ends = False
    for worker, text in told.items():
        for name, about, samples in _families(text):
            families.setdefault(name, (about, []))[1].extend(_with(sample, worker) for sample in samples)
        ends = ends or text.rstrip().endswith(_END)
    lines = [line for about, samples in families.values() for line in (*about, *samples)]
    return "\n".join([*lines, *([_END] if ends else [])]) + "\n"


def _families(text: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """Name, what is said about it, and the samples of each family."""
    name, about, samples = "", list[str](), list[str]()
    for line in text.split("\n"):  # a label may hold what else counts as the end of a line
        if line == _END or not line:
            continue
        if not line.startswith("#"):
            samples.append(line)
            continue
        of = line.split(" ", 3)[2]
        if of != name and (about or samples):
            yield name, about, samples
            about, samples = [], []
        name = of
        about.append(line)
    if about or samples:
        yield name, about, samples


def _with(sample: str, worker: int) -> str:
    """A line with one more label. A name holds neither a brace nor a space, so whichever comes first ends it."""
    brace, space = sample.find("{"), sample.find(" ")
    if 0 <= brace < space:
        return f'{sample[:brace]}{{{LABEL}="{worker}",{sample[brace + 1 :]}'
    return f'{sample[:space]}{{{LABEL}="{worker}"}}{sample[space:]}'
