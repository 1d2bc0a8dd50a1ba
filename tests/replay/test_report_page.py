"""The document as a whole: complete, well-formed, inert, small, and the same each time, whatever it is given."""

from __future__ import annotations

import base64
import hashlib
import math
import random
import re
from html.parser import HTMLParser
from types import MappingProxyType

import pytest

from sidecar.replay.column import Column, Comparison, Difference, Held, Interval, Slice
from sidecar.replay.report.page import FILES, render
from tests.replay.comparisons import comparison

INLINE = {"b", "bdi", "wbr", "code", "span", "small"}
VOID = {"meta", "link", "br", "input", "wbr"}
HOSTILE = '"><script>document.title=1</script><img src=x onerror=alert(1)>'
NAMES = (
    HOSTILE,
    "a\nb\r\n\0c",
    "\u202etxt.exe\u202c مرحبا",
    "x" * 300,
    "\udcff.yaml",
    "</style></title>",
    "&lt;b&gt;{}%s",
)


class Reader(HTMLParser):
    """Elements with their attributes, and text by the elements it is in; whatever is not closed in order is an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.apart(tag)
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, names)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID and not self.get_starttag_text().endswith("/>"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        self.apart(tag)

    def apart(self, tag):
        self.text += "" if tag in INLINE else " "

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data


def page(given: Comparison, **more) -> str:
    text = render(given, **{"title": "Replay", "made_of": ["journal-000001.jsonl"], "version": "0.1.0", **more})
    drawn = re.findall(r' (?:d|x|y|x1|x2|y1|y2|cx|cy|width|height|viewBox)="([^"]*)"', text)
    assert not [each for each in drawn if re.search(r"[^-\d. %MHVZ]", each)], "a place that is no number"
    return text


def bare(name="recorded", **more) -> Column:
    return Column(name, "", {}, {}, (), (), {}, {})._replace(**more)


def words(text: str) -> str:
    return " ".join(Reader(text).text.replace("\u202f", " ").split())


def test_the_page_says_what_differs_in_words():
    said = words(page(comparison(3), title="Tuesday", made_of=["a.jsonl", "b.jsonl"], limits={"deadline": 4.75}))
    assert "Made from a.jsonl and b.jsonl by sidecar replay 0.1.0." in said
    assert "A recorded As it was: nothing is assumed." in said
    assert (
        "B policies/one-second.yaml against A better degraded share 25.4 % (\u22121.3 points) and availability 86.7 % (+4.3 points)"
        in said
    )
    assert "worse p50 156 ms (+12.4 ms) no clear difference p95, p99 and attempts per call" in said
    assert "The same against B policies/one-second.yaml:" in said
    assert "deadline 4.75 s" in said
    assert "(95 % each)" in said
    assert "madre has one period; attempts that nobody made are drawn from those of their period." in said
    for part in (
        "How long answers take",
        "Degraded share over time",
        "Who answered, over time",
        "When breakers refused",
        "Attempts per call over time",
    ):
        assert part in said
    assert "A recorded · madre held closed 12 min in 1 stretch" in said


def test_the_page_is_one_file_that_asks_for_nothing():
    text = page(comparison(3))
    found = Reader(text)
    assert not {"script", "img", "iframe", "object", "embed", "form", "base", "a", "use", "image", "foreignobject"} & {
        tag for tag, _ in found.elements
    }
    outward = [
        (tag, name, value)
        for tag, attributes in found.elements
        for name, value in attributes.items()
        if name in {"src", "href", "xlink:href", "style", "srcset", "action"} or name.startswith("on")
    ]
    assert outward == [("link", "href", "data:,")]
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    assert re.findall(r"url\(([^)]*)\)", style) == ["#local", "#held-open", "#held-closed"]
    assert "@import" not in style
    (policy,) = [
        attributes["content"]
        for tag, attributes in found.elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() in policy
    assert {tag for tag, attributes in found.elements if "id" in attributes} >= {"pattern", "section", "input"}
    ids = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_the_same_values_make_the_same_page():
    assert page(comparison(4)) == page(comparison(4))


def test_names_and_sentences_are_text_and_nothing_else():
    columns = [
        column._replace(
            name=name,
            revision=name,
            assumed={name: 3},
            held={name: column.held["switch"]},
            figures={**column.figures, "reasons": {name: 2}},
        )
        for name, column in zip(NAMES, comparison(7).columns, strict=True)
    ]
    told = tuple(Difference(NAMES[0], name, HOSTILE, 1.0, Interval(0.5, 2.0)) for name in NAMES[1:])
    text = page(
        Comparison(tuple(columns), told, NAMES, 0.95),
        title=HOSTILE,
        made_of=NAMES,
        version=HOSTILE,
        limits={HOSTILE: 3.0},
    )
    text.encode()
    found = Reader(text)
    assert not {"script", "img", "b ", "{}%s"} & {tag for tag, _ in found.elements}
    assert not [name for _, attributes in found.elements for name in attributes if name.startswith("on")]
    assert HOSTILE in found.text
    assert "x" * 300 in found.text
    assert "\\u202etxt.exe\\u202c مرحبا" in found.text
    assert "a\\u000ab\\u000d\\u000a\\u0000c" in found.text
    assert "\\udcff.yaml" in found.text
    assert "&lt;b&gt;{}%s" in found.text
    assert not set("\u202e\u202c\0\r") & set(text)


def test_many_journals_are_named_in_part():
    said = words(page(comparison(1), made_of=[f"journal-{n:06}.jsonl" for n in range(200)]))
    assert f"journal-{FILES - 1:06}.jsonl and {200 - FILES} more by sidecar replay" in said
    assert words(page(comparison(1), made_of=[])).count("Made by sidecar replay 0.1.0.") == 1


def test_one_column_is_a_report_without_comparison():
    text = page(comparison(1)._replace(differences=()))
    assert 'id="short"' not in text
    assert "<input" not in text
    kinds = [each.strip() for each in re.findall(r'class="plot ([a-z ]*)"', text)]
    assert kinds == [
        "latency",
        "",
        "stack",
        "band",
        "band",
        "",
        "",
        "calls",
    ]  # degraded share; axis of bands, attempts per call


def test_more_columns_than_colours_are_all_there():
    first = comparison(8).columns
    text = page(Comparison((*first, *first[:2]), (), (), 0.95))
    assert "<input" not in text  # boxes would hide the ninth with the first
    assert ">J</span>" in text


@pytest.mark.parametrize("columns", [(), (bare(),), (bare(), bare("b.yaml"))])
def test_nothing_at_all_is_said_plainly(columns):
    said = words(page(Comparison(columns, (), (), 0.95)))
    assert "No call was answered." in said
    assert said.count("No call has a place in time.") == 3
    assert "Every breaker was closed throughout." in said
    assert "There are no intervals, for there are too few calls." in said
    assert ("There are too few calls to say what differs." in said) == (len(columns) > 1)


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf, None, "many", True, [], {}, -3, 0, 10**400])
def test_figures_that_are_no_numbers_are_unknown_and_break_nothing(odd):
    names = (
        "calls",
        "outcomes",
        "providers",
        "reasons",
        "verdicts",
        "degraded_share",
        "availability",
        "attempts",
        "latency_seconds",
        "breaker_open_seconds",
    )
    figures = [
        dict.fromkeys(names, odd),
        {**{name: {"p95": odd, "primary": odd} for name in names}, "calls": odd, "attempts": odd},
    ]
    for told in figures:
        columns = tuple(column._replace(figures=told, assumed={"imputed": 3}) for column in comparison(2).columns)
        page(Comparison(columns, (), (), 0.95))


def test_values_that_cannot_be_drawn_are_left_out():
    broken = Slice(math.nan, math.inf, 0, 0, 0, 0, 0, 0, 0)
    column = comparison(1).columns[0]
    odd = column._replace(
        slices=(broken, *column.slices),
        latencies=((math.nan, 0.1), (0.2, math.nan), *column.latencies),
        held={"switch": (Held("open", math.nan, 1.0), *column.held["switch"])},
        intervals={"p95": Interval(math.nan, math.inf)},
    )
    assert "\u2013 to \u2013" in words(page(Comparison((odd,), (), (), 0.95)))


def test_assumptions_are_told_in_words_and_loud_when_there_are_many():
    figures = {"attempts": 494}
    columns = (
        bare(figures=figures),
        bare("b.yaml", figures=figures, assumed={"censored": 0, "imputed": 103, "unknown": 0}),
        bare("c.yaml", figures=figures, assumed={"censored": 3, "imputed": 0, "unknown": 0}),
        bare("d.yaml", figures=figures, assumed={"censored": 0}),
        bare("e.yaml", assumed={"guessed": 7}),
        bare("f.yaml", figures={"attempts": 1}, assumed={"unknown": 1}),
    )
    text = page(Comparison(columns, (), (), 0.95))
    said = words(text)
    assert (
        "Assumed: 103 of 494 attempts (20.9 %). 103 never made on record: their outcome is drawn from others on the same"
        in said
    )
    assert "Assumed: 3 of 494 attempts (0.61 %). 3 cut off on record before they had ended" in said
    assert "d.yaml Every attempt was on record: nothing is assumed." in said
    assert "Assumed: 7 attempts. 7 guessed." in said
    assert "Assumed: 1 of 1 attempt (100 %). 1 on a target that was never asked on record" in said
    assert text.count('class="much"') == 2


def test_a_difference_that_is_stated_for_some_columns_only():
    given = comparison(4)
    told = tuple(
        each
        for each in given.differences
        if each.base != "recorded" and (each.figure, each.column) == ("p95", "policies/first-rung.yaml")
    )
    said = words(page(given._replace(differences=told)))
    assert (
        "The same against B policies/one-second.yaml: against B C policies/first-rung.yaml D policies/default.yaml p95 "
        in said
    )
    assert "no clear difference \u2013 How long" in said  # nothing is known of D
    assert "The same against C" not in said


def test_what_the_figures_are_made_of_has_shares():
    said = words(page(comparison(2)))
    assert "switch: success" in said
    figures = comparison(2).columns[0].figures
    primary, calls = figures["outcomes"]["primary"], figures["calls"]
    assert f"primary {primary:,} {primary / calls * 100:.1f} %".replace(",", " ") in said


@pytest.mark.uncounted
def test_a_million_calls_over_a_day_with_breakers_that_never_rest_stay_below_a_megabyte():
    luck = random.Random(3)

    def flapping():
        at = 0.0
        while at < 86400.0:
            until = at + luck.expovariate(0.15)
            yield Held(luck.choice(["open", "forced_open", "forced_closed", "half_open"]), at, until)
            at = until + luck.expovariate(0.08)

    held = MappingProxyType(dict.fromkeys(("switch", "madre"), tuple(flapping())))
    assert len(held["switch"]) > 4_000  # several in each cell; ten times as many are ten times as slow and no larger
    given = comparison(8, span=86400.0, slices=300, rate=12.0)
    noisy = [
        column._replace(
            held=held,
            slices=tuple(
                each._replace(primary=luck.randrange(each.calls), attempts=luck.randrange(9000))
                for each in column.slices
            ),
        )
        for column in given.columns
    ]
    assert sum(each.calls for each in noisy[0].slices) > 1_000_000
    text = page(given._replace(columns=tuple(noisy)), made_of=[f"journal-{n:06}.jsonl" for n in range(500)])
    print(f"{len(text.encode())} bytes")
    assert len(text.encode()) < 1_000_000
