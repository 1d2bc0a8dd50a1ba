"""A page per alert and an alert per page; and what the pages point at exists."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from sidecar.edge.outlets.telemetry import Telemetry
from sidecar.policy.model import Policy
from sidecar.rules import alerts_of

ROOT = Path(__file__).parents[2]
BOOKS = ROOT / "docs" / "runbooks"
PAGES = sorted(page for page in BOOKS.glob("*.md") if page.stem != "README")
INDEX = (BOOKS / "README.md").read_text()
SEVERITIES = {alert.name: alert.severity for alert in alerts_of(Policy())}
SECTIONS = ["What it means", "What users notice", "Look at", "Do", "It is over when", "False alarms"]


def test_every_alert_has_its_page_and_every_page_its_alert():
    assert {page.stem for page in PAGES} == SEVERITIES.keys()


def test_the_index_names_each_with_its_severity():
    assert dict(re.findall(r"^\| \[(\w+)\]\(\1\.md\) \| (\w+) \|", INDEX, re.MULTILINE)) == SEVERITIES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_says_what_somebody_who_was_woken_asks(page):
    text = page.read_text()
    assert text.startswith(f"# {page.stem}\n\nSeverity: {SEVERITIES[page.stem]}. ")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == SECTIONS
    assert all(part.strip() for part in re.split(r"^#.*$", text, flags=re.MULTILINE)[1:])
    assert re.search(r"\*[\w ]+ > |/state|/livez|vx11_sidecar_", text), "nothing to look at"


@pytest.mark.parametrize("page", [*PAGES, BOOKS / "README.md"], ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        text = (page.parent / path).read_text()
        heads = [
            re.sub(r"[^a-z0-9 -]", "", head.lower()).replace(" ", "-")
            for head in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        ]
        assert not anchor or anchor in heads, target


def panels() -> set[str]:
    found = set()
    for file in (ROOT / "dashboards" / "json").glob("*.json"):
        board = json.loads(file.read_text())
        title = board["title"].rpartition(": ")[2]
        for panel in board["panels"]:
            found |= {
                f"{title} > {each['title']}" for each in (panel, *panel.get("panels", ())) if each["type"] != "row"
            }
    return found


def test_every_panel_and_metric_that_is_named_exists():
    texts = "".join(page.read_text() for page in PAGES)
    named = set(re.findall(r"\*([A-Z][\w ]+ > [^*]+)\*", texts))
    assert len(named) > 20
    assert named <= panels()
    samples = {sample.name for family in Telemetry(lambda: 0.0).registry.collect() for sample in family.samples}
    assert set(re.findall(r"vx11_sidecar_\w+", texts)) <= samples


def test_every_policy_field_that_is_named_exists():
    texts = "".join(page.read_text() for page in PAGES)
    sections = "|".join(Policy.model_fields.keys() - {"targets"})  # which stands for that of /state there
    named = set(re.findall(rf"`((?:{sections})(?:\.[a-z_]+)+)", texts))
    dumped = Policy().model_dump(mode="json")
    for field in named - {"journal.dir"}:  # which is not dumped while nobody states it
        value = dumped
        for part in field.split("."):
            assert part in value, field
            value = value[part]
    assert len(named) > 10
