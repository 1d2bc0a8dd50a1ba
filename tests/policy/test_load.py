"""Text: every pitfall with its exact line and column, all of them at once, and where each value was stated."""

from __future__ import annotations

import pytest

from sidecar.policy.load import PolicyError, parse, revision_of
from sidecar.policy.model import Policy


def complaints(text: str) -> list[str]:
    with pytest.raises(PolicyError) as raised:
        parse(text, "p")
    problems = raised.value.problems
    assert str(raised.value) == "\n".join(map(str, problems))
    assert list(problems) == sorted(set(problems))
    for message in map(str, problems):
        assert "Input should" not in message
        assert "Value error" not in message
        assert "\n" not in message
        assert "http://errors" not in message
    return [str(problem) for problem in problems]


DURATION = "must be a duration: a number with a unit (ms, s, m, h), as in 300ms or 5s"
WHOLE = "must be a whole number in plain digits, as in 10"
UNBROKEN = "target: any, percentage: 1%, expires_at: 2030-01-31T18:00:00Z"
BROKEN = f"{UNBROKEN}, cut: true"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        # units
        ("deadline: {client: 5}", f"p:1:20: deadline.client: {DURATION}; found 5"),
        ("deadline: {client: 1:30}", f"p:1:20: deadline.client: {DURATION}; found 1:30"),
        ("deadline: {client: -5s}", f"p:1:20: deadline.client: {DURATION}; found -5s"),
        ("deadline: {client: .inf}", f"p:1:20: deadline.client: {DURATION}; found .inf"),
        ("deadline:\n  client: 0s", "p:2:11: deadline.client: must be longer than nothing; found 0s"),
        ("deadline: {client: 2024-01-01}", f"p:1:20: deadline.client: {DURATION}; found 2024-01-01"),
        ("deadline: {client: [5s]}", f"p:1:20: deadline.client: {DURATION}; found a list"),
        ("deadline: {client: {s: 5}}", f"p:1:20: deadline.client: {DURATION}; found a mapping"),
        ("timeouts: {attempt: none}", "p:1:21: timeouts.attempt: must be auto or a duration: a number with a unit (ms, s, m, h), as in 300ms or 5s; found none"),
        ("breaker: {failure_rate: 0.5}", "p:1:25: breaker.failure_rate: must be a share: a percentage, as in 50% or 99.9%; found 0.5"),
        ("guards: {max_body: 65536}", "p:1:20: guards.max_body: must be a size: a whole number with a unit (B, KiB, MiB, GiB), as in 64KiB; found 65536"),
        ("guards: {rate_limit: 10/m}", "p:1:22: guards.rate_limit: must be a rate: calls per duration, as in 10 per 60s; found 10/m"),
        # plain scalars
        ("retry: {max_attempts: 010}", f"p:1:23: retry.max_attempts: {WHOLE}; found 010"),
        ("retry: {max_attempts: 0x2}", f"p:1:23: retry.max_attempts: {WHOLE}; found 0x2"),
        ("guards: {max_sessions: 1_000}", f"p:1:24: guards.max_sessions: {WHOLE}; found 1_000"),
        ("retry: {max_attempts: 1e1}", f"p:1:23: retry.max_attempts: {WHOLE}; found 1e1"),
        ("retry: {max_attempts: 2.5}", f"p:1:23: retry.max_attempts: {WHOLE}; found 2.5"),
        ("retry: {max_attempts: true}", f"p:1:23: retry.max_attempts: {WHOLE}; found true"),
        ('retry: {max_attempts: "2"}', f'p:1:23: retry.max_attempts: {WHOLE}; found "2"'),
        ("retry: {max_attempts: 0}", "p:1:23: retry.max_attempts: must be at least 1; found 0"),
        ("retry: {max_attempts: 11}", "p:1:23: retry.max_attempts: must be at most 10; found 11"),
        ("guards: {max_sessions: 1000001}", "p:1:24: guards.max_sessions: must be at most 1000000; found 1000001"),
        ("retry: {max_attempts: [2]}", f"p:1:23: retry.max_attempts: {WHOLE}; found a list"),
        (f"guards: {{max_sessions: {'9' * 60}}}", f"p:1:24: guards.max_sessions: {WHOLE}; found {'9' * 40}…"),
        ("retry: {on_timeout: no}", "p:1:21: retry.on_timeout: must be true or false; found no"),
        ("retry: {on_timeout: 0}", "p:1:21: retry.on_timeout: must be true or false; found 0"),
        ("retry_budget: {burst: .nan}", "p:1:23: retry_budget.burst: must be a number in plain digits, as in 0.3; found .nan"),
        ("retry_budget: {burst: 1e999}", "p:1:23: retry_budget.burst: must be a number that is not infinite; found 1e999"),
        ("retry_budget: {burst: -1}", "p:1:23: retry_budget.burst: must be at least 0; found -1"),
        ("guards: {metadata_allow: [true]}", "p:1:27: guards.metadata_allow[0]: must be text, in quotes if it looks like a number; found true"),
        ("guards: {metadata_allow: a}", "p:1:26: guards.metadata_allow: must be a list, as in [a, b]; found a"),
        ("mode: [off]", "p:1:7: mode: must be enforce, shadow or off; found a list"),
        ("dormant: {mode: off}", "p:1:17: dormant.mode: must be explain, obey or ignore; found off"),
        ("version: 2", "p:1:10: version: must be 1, the only version of the schema there is; found 2"),
        ("guards: [5]", "p:1:9: guards: must be a mapping of keys to values; found a list"),
        ("fallback: {local_text: [a]}", "p:1:24: fallback.local_text: must be a mapping, as in {key: value}; found a list"),
        ("fallback: {local_text: {EN: a}}", "p:1:25: fallback.local_text.EN: must be a language of two letters, as in en"),
        ("fallback: {local_text: {no: ' '}}", 'p:1:29: fallback.local_text.no: must be a text that says something; found " "'),
        ("fallback: {local_text: {}}", "p:1:24: fallback.local_text: must have at least 1 entry; found a mapping"),
        ("retry: {on: [5xx]}", "p:1:14: retry.on[0]: must be connect-failure, reset-before-headers or an HTTP status from 400 to 599; found 5xx"),
        ("fallback: {on: [open, shut]}", "p:1:23: fallback.on[1]: must be open, failure, timeout, budget, limited, dormant, unhealthy or misconfigured; found shut"),
        # nothing
        ("mode:", "p:1:1: mode: has no value: write one, or leave the key out for the default"),
        ("deadline:\n  client: ~\n", "p:2:3: deadline.client: has no value: write one, or leave the key out for the default"),
        ("targets:\n  - name: switch\n    url: null", "p:3:5: targets[0].url: has no value: write one, or leave the key out for the default"),
        ("deadline:\n\nmode: off", "p:1:1: deadline: has no value: write one, or leave the key out for the default"),
        ("guards: {metadata_allow: [a, ~]}", "p:1:30: guards.metadata_allow[1]: has no value: write one, or leave the key out for the default"),
        ("extends: ~", "p:1:1: extends: has no value: write one, or leave the key out for the default"),
        # keys
        ("retrys: {}", "p:1:1: retrys: is not a known key: did you mean retry?"),
        ("extend: x", "p:1:1: extend: is not a known key: did you mean extends?"),
        ("retry: {maxAttempts: 2}", "p:1:9: retry.maxAttempts: is not a known key: did you mean max_attempts?"),
        ("timeouts: {zzz: 1}", "p:1:12: timeouts.zzz: is not a known key: here stand connect, attempt"),
        ("targets:\n  - {name: switch, breaker: {open: {bas: 1s}}}", "p:2:37: targets[0].breaker.open.bas: is not a known key: did you mean base?"),
        ("outcome: {failure: [{stat: [1]}]}", "p:1:22: outcome.failure[0].stat: is not a known key: did you mean status?"),
        ("<<: {mode: off}", "p:1:1: <<: is not a known key: here stand version, mode, auth"),
        ("mode: off\nauth: {}\nmode: enforce", "p:3:1: mode: stands twice, first in line 1: keep one"),
        ("? [a]\n: 1\nmode: off", "p:1:3: a key must be plain text: write key: value"),
        ("targets: [{url: 'http://a'}]", "p:1:11: targets[0].name: is missing: switch, madre or local"),
        # YAML that is refused
        ("mode: &a off", "p:1:7: mode: anchors (&name) are refused, they can hide a bomb: write the value without"),
        ("&a mode: off", "p:1:1: anchors (&name) are refused, they can hide a bomb: write the value without"),
        ("mode: *a", "p:1:7: mode: aliases (*name) are refused, they can hide a bomb: write the value out"),
        ("mode: !!str off", "p:1:7: mode: tags (!name) are refused: write the value without"),
        ("auth: !x {}", "p:1:7: auth: tags (!name) are refused: write the value without"),
        ("mode: off\n---\nmode: off", "p:2:1: a second document begins here: one file holds one policy, delete the ---"),
        ("%YAML 1.1\n---\nmode: off", "p:2:1: directives have no meaning here: delete the lines that begin with %"),
        ("%TAG ! x:\n---\nmode: off", "p:2:1: directives have no meaning here: delete the lines that begin with %"),
        ("{" * 20, "p:1:2: a key must be plain text: write key: value"),
        ("guards: {metadata_allow: [" + "a," * 10_000, "p:1:20015: more than 10000 keys and values: no policy has so many, delete the rest"),
        ("[" * 20, "p:1:18: nested deeper than 16 levels: nothing in a policy is"),
        # YAML that is none
        ("auth:\n\tmode: off", "p:2:1: a tab stands where YAML takes spaces only: indent with spaces"),
        ("mode: a: b", "p:1:8: a second ': ' in one value: put the text in quotes, or indent like its neighbours"),
        ("mode: off\nauth", "p:2:5: a key without its ':': write key: value"),
        ("auth:\n  mode: off\n header: a", "p:3:2: the indentation does not match the lines above: indent like its neighbours"),
        ("mode: 'off", "p:1:11: the file ends within a quote or bracket: close it"),
        ("mode: [off", "p:1:11: a bracket is not closed, or a comma is missing: close it or write the comma"),
        ("mode: [", "p:1:8: a value is missing, or a bracket is not closed: write it"),
        ("mode: @off", "p:1:7: a value begins with a character that means something to YAML: put the text in quotes"),
        ("mode: off\nauth: \x07", "p:2:7: a character that must not stand in YAML: delete it"),
        ('auth:\n  header: "\\U00110000"', "p:2:3: not YAML from here on: put the text in quotes, or delete it"),
        ('mode: "\\z"', "p:1:9: not YAML: found unknown escape character 'z'"),
        ('cors: {expose: ["\\ud800"]}', "p:1:17: cors.expose[0]: half a character (a lone surrogate): write the whole one"),
        ("mode: \ud800", "p:1:7: not UTF-8 from here on: save the file as UTF-8"),
        # the root
        ("- mode", "p:1:1: a policy must be a mapping of keys to values; found a list"),
        ("off", "p:1:1: a policy must be a mapping of keys to values; found off"),
        ("null", "p:1:1: a policy must be a mapping of keys to values; found null"),
        # fields that disagree: at the first one that is stated
        ("deadline: {client: 200ms}", "p:1:20: deadline.client: deadline.margin must be shorter than deadline.client"),
        ("deadline:\n  client: 2s\n  margin: 2s", "p:3:11: deadline.margin: deadline.margin must be shorter than deadline.client"),
        ("breaker: {window: {size: 2}}", "p:1:26: breaker.window.size: breaker.min_calls must not be larger than breaker.window.size, or the rates are never read"),
        ("outcome:\n  failure:\n    - status: []", "p:3:15: outcome.failure[0].status: a rule must state status, error or body"),
        ("outcome:\n  failure:\n    - {}", "p:3:7: outcome.failure[0]: a rule must state status, error or body"),
        ("targets: [{name: local}, {name: madre}]", "p:1:10: targets: local always answers, so nothing below it is ever asked: put it last"),
        ("targets: []", "p:1:10: targets: must have at least 1 entry; found a list"),
        # words and lists of words
        ("hedge: {delay: p99}", "p:1:16: hedge.delay: must be p50, p75, p90, p95 or a duration: a number with a unit (ms, s, m, h), as in 300ms or 5s; found p99"),
        ("auth: {sources: [cookie]}", "p:1:18: auth.sources[0]: must be header, bearer or query; found cookie"),
        ("auth: {sources: [header, header]}", "p:1:17: auth.sources: must name each source once; found a list"),
        ("auth: {sources: []}", "p:1:17: auth.sources: must have at least 1 entry; found a list"),
        # chaos
        ("chaos: [a]", "p:1:9: chaos[0]: must be a mapping of keys to values; found a"),
        (f"chaos: [{{name: a, {BROKEN}}}, {{name: a, {BROKEN}}}]", "p:1:8: chaos: each rule has a name of its own, found a, a"),
        (f"chaos: [{{name: a, {BROKEN}, header: {{x-vx11-token: abcd}}}}]", "p:1:101: chaos[0].header: x-vx11-token holds a secret, and a policy never does: choose a field of your own"),
        (f"auth: {{header: x-key}}\nchaos: [{{name: a, {BROKEN}, header: {{x-key: abcd}}}}]", "p:2:8: chaos: x-key carries the token, and a policy never does: choose a field of your own"),
        (f"chaos: [{{name: a, {BROKEN}, abort: dns}}]", "p:1:100: chaos[0].abort: an aborted attempt has no answer: state abort alone, or body or cut"),
        (f"chaos: [{{name: a, {BROKEN}, body: empty}}]", "p:1:87: chaos[0].cut: an answer is either replaced or cut off: state body or cut"),
        (f"chaos: [{{name: a, {UNBROKEN}, abort: 200}}]", "p:1:89: chaos[0].abort: must be connect, dns, connect-timeout, reset, timeout or an HTTP status from 400 to 599; found 200"),
        (f"chaos: [{{name: a, {UNBROKEN}, delay: 0}}]", "p:1:89: chaos[0].delay: a rule must state delay, abort, body or cut"),
        (f"chaos: [{{name: a, {UNBROKEN}, cut: true, header: {{x-chaos: no}}}}]", "p:1:111: chaos[0].header.x-chaos: must be a word of 4 to 64 letters, digits, dots, dashes and underscores; found no"),
        ("chaos: [{name: a, target: any, percentage: 1%, cut: true}]", "p:1:9: chaos[0].expires_at: is missing: from this moment on the rule does nothing"),
        ("chaos: [{name: a, target: any, percentage: 1%, cut: true, expires_at: 2030-01-31T18:00:00}]", "p:1:71: chaos[0].expires_at: must be a moment with its zone, as in 2030-01-31T18:00:00Z or 2030-01-31T19:00:00+01:00; found 2030-01-31T18:00:00"),
        ("chaos: [{name: a, target: any, percentage: 1%, cut: true, expires_at: 2030-02-29T18:00:00Z}]", "p:1:71: chaos[0].expires_at: must be a moment with its zone, as in 2030-01-31T18:00:00Z or 2030-01-31T19:00:00+01:00; there is no such day or time; found 2030-02-29T18:00:00Z"),
        # what could be a secret is not repeated
        ("targets: [{name: switch, token_from: s3cret}]", "p:1:38: targets[0].token_from: must be env NAME or file PATH, never the token itself"),
        ("targets: [{name: switch, url: 'http://u:s3cret@h'}]", "p:1:31: targets[0].url: must be http://host:port, without user, path and query"),
        # files
        ("extends: default.yaml", "p:1:10: extends: text that is no file cannot extend one: state the values here"),
        ("extends: [a]", "p:1:10: extends: must be a file name, as in default.yaml; found a list"),
    ],
)  # fmt: skip
def test_pitfalls(text: str, complaint: str) -> None:
    found = complaints(text)
    assert len(found) == 1
    assert found[0].startswith(complaint)
    assert len(found[0]) < 400
    if not complaint.endswith("auth"):  # the list of known keys is long
        assert found[0] == complaint


def test_everything_is_reported_at_once_in_order_and_once() -> None:
    text = """\
mode: shade
timeouts:
  connect: 300
  conect: 3s
retry: {on: [5]}
breaker:
  open: {max: 3s}
targets:
  - name: switch
    breaker: {failure_rate: 0.5}
  - name: nobody
  - name: local
"""
    assert [c.partition(": ")[0] + " " + c.split(": ")[1] for c in complaints(text)] == [
        "p:1:7 mode",
        "p:3:12 timeouts.connect",
        "p:4:3 timeouts.conect",
        "p:5:14 retry.on[0]",
        "p:7:15 breaker.open.max",
        "p:10:29 targets[0].breaker.failure_rate",
        "p:11:11 targets[1].name",
    ]


def test_a_disagreement_between_target_and_top_points_at_the_target() -> None:
    text = "breaker: {window: {size: 6}, min_calls: 6}\ntargets:\n  - name: switch\n    breaker: {window: {size: 4}}\n"
    assert complaints(text) == [
        "p:4:30: targets[0].breaker.window.size: breaker.min_calls must not be larger than breaker.window.size, or the rates are never read"
    ]


def test_a_wrong_rule_at_the_top_is_not_reported_for_each_target() -> None:
    assert complaints("outcome: {failure: [{}]}\ntargets: [{name: switch}, {name: madre}]") == [
        "p:1:21: outcome.failure[0]: a rule must state status, error or body"
    ]


@pytest.mark.parametrize(
    "text", ["", "\n", "# only this\n", "---\n", "{}", "\ufeff", "\ufeffmode: enforce", "---\nmode: enforce\n...\n"]
)
def test_a_file_that_states_nothing_is_the_default(text: str) -> None:
    loaded = parse(text, "p")
    assert loaded.policy == Policy()
    assert loaded.revision == revision_of(Policy())
    assert len(loaded.revision) == 12


def test_origins_tell_where_each_value_stands() -> None:
    loaded = parse("deadline: {client: 4s}\ntargets:\n  - name: madre\n    retry: {on: [502, 503]}\n", "p")
    assert loaded.origins == {
        "deadline.client": "p:1:20",
        "targets": "p:3:3",
        "targets[0].name": "p:3:11",
        "targets[0].retry.on": "p:4:17",
        "targets[0].retry.on[0]": "p:4:18",
        "targets[0].retry.on[1]": "p:4:23",
    }


def test_the_origin_of_a_value_of_a_target() -> None:
    loaded = parse("timeouts: {connect: 1s}\ntargets: [{name: madre, timeouts: {attempt: 2s}}]\n", "p")
    assert loaded.origin("targets[0].timeouts.attempt") == "p:2:45"
    assert loaded.origin("targets[0].timeouts.connect") == "p:1:21"
    assert loaded.origin("targets[0].retry.max_attempts") is None


def test_equal_policies_have_equal_revisions() -> None:
    assert parse("deadline: {client: 4000ms}", "a").revision == parse("deadline: {client: 4s}", "b").revision
    assert parse("deadline: {client: 4s}", "a").revision != parse("", "a").revision
    one, other = "fallback: {local_text: {en: a, es: b}}", "fallback: {local_text: {es: b, en: a}}"
    assert parse(one, "p").revision != parse(other, "p").revision  # the first language is the one for everybody else
