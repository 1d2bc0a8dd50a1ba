"""What differs between two policies, and what does not: effective values, places, figures, findings, and when a change takes effect."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.core.breaker import Breaker
from sidecar.core.budget import RetryBudget
from sidecar.core.limiter import Limiter
from sidecar.core.vocabulary import Verdict
from sidecar.policy.difference import GROUPS, difference
from sidecar.policy.load import load, parse

SHIPPED = Path(__file__).parents[2] / "policies"


def entries(a: str, b: str) -> list[str]:
    return [f"{each}: {each.before} → {each.after}" for each in difference(parse(a, "a"), parse(b, "b")).entries]


# ── what does not differ ──


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("", "version: 1\nmode: enforce\n"),
        ("retry: {max_attempts: 1}", "targets: [{name: switch, retry: {max_attempts: 1}}, {name: madre, retry: {max_attempts: 1}}]"),
        ("targets: [{name: switch}, {name: madre}]", "targets: [{name: switch}, {name: madre}, {name: local}]"),
        ("", "targets: [{name: switch}, {name: madre}, {name: local, reserve: 1s}]"),
        ("deadline: {client: 2s}", "deadline: {client: 2000ms}"),
        ("fallback: {on: [open, failure]}", "fallback: {on: [failure, open, open]}"),
        ("retry: {on: [502, connect-failure]}", "retry: {on: [connect-failure, 502]}"),
        (
            "outcome: {failure: [{status: [500, 501]}, {body: {a: [x, y], b: [z]}}]}",
            "outcome: {failure: [{body: {b: [z], a: [y, x]}}, {status: [501, 500, 501]}]}",
        ),
        ("targets: [{name: local}]\nretry: {max_attempts: 1}", "targets: [{name: local}]"),
    ],
)  # fmt: skip
def test_the_same_stated_otherwise_does_not_differ(a, b):
    assert entries(a, b) == entries(b, a) == []


def test_neither_does_a_file_that_extends_another(tmp_path):
    (tmp_path / "base.yaml").write_text("deadline: {client: 3s}\nretry: {max_attempts: 1}\n")
    (tmp_path / "child.yaml").write_text("extends: base.yaml\nretry: {max_attempts: 4}\n")
    flat = parse("deadline: {client: 3s}\nretry: {max_attempts: 4}", "flat")
    assert difference(load(tmp_path / "child.yaml"), flat).entries == ()


def test_the_default_file_is_what_is_built_in():
    found = difference(parse("", "built-in"), load(SHIPPED / "default.yaml"))
    assert (found.entries, found.notes, found.new_findings, found.gone_findings) == ((), (), (), ())
    assert not any(row.differs for row in found.rows)


# ── what does ──


def test_values_are_as_a_file_writes_them():
    assert entries(
        "",
        "targets: [{name: switch, url: 'http://a:1', limiter: {queue_timeout: 0}}, {name: madre}]\nguards: {max_body: 1MiB}\n"
        "slo: {availability: 99.95%}\nguards_: 1\n".replace("guards_: 1\n", "")
        + "outcome: {failure: [{status: [500], body: {a.b: ['x']}}]}\nfallback: {local_text: {de: a}}\nauth: {mode: off}\n"
        "breaker: {open: {jitter: 0.25}}\ndormant: {mode: obey}\n",
    ) == [
        "url of switch: not stated → http://a:1",
        "outcome.failure of switch: [] → [{status: [500], body: {a.b: [x]}}]",
        "outcome.failure of madre: [] → [{status: [500], body: {a.b: [x]}}]",
        "fallback.local_text: [en, es] → [de]",
        "dormant.mode: explain → obey",
        "limiter.queue_timeout of switch: 200ms → 0",
        "breaker.open.jitter of switch: 0.3 → 0.25",
        "breaker.open.jitter of madre: 0.3 → 0.25",
        "auth.mode: token → off",
        "guards.max_body: 64KiB → 1MiB",
        "slo.availability: 99.9% → 99.95%",
    ]
    assert entries("retry: {on_timeout: true}", "targets: [{name: madre}, {name: switch}]") == [
        "targets: switch → madre → local → madre → switch → local",
        "retry.on_timeout of madre: true → false",
        "retry.on_timeout of switch: true → false",
    ]


def test_where_each_is_stated(tmp_path):
    (tmp_path / "base.yaml").write_text("retry:\n  max_attempts: 3\nfallback:\n  local_text: {en: a}\n")
    child = tmp_path / "child.yaml"
    child.write_text("extends: base.yaml\ntargets:\n  - name: madre\n  - name: switch\n    retry: {max_attempts: 4}\n")
    found = {
        str(each): (each.stated_before, each.stated_after) for each in difference(parse("", "a"), load(child)).entries
    }
    base = tmp_path / "base.yaml"
    assert found == {
        "targets": ("built in", f"{child}:3:3"),
        "fallback.local_text": ("built in", f"{base}:4:20"),
        "retry.max_attempts of madre": ("built in", f"{base}:2:17"),
        "retry.max_attempts of switch": ("built in", f"{child}:5:27"),
    }


def test_groups_come_in_the_order_in_which_a_reader_asks():
    text = "slo: {min_bad: 1}\nrelay: {deny: []}\nauth: {header: x}\nretry: {max_attempts: 1}\ndeadline: {client: 4s}\nmode: off"
    found = difference(parse("", "a"), parse(text, "b"))
    groups = [entry.group for entry in found.entries]
    assert list(dict.fromkeys(groups)) == [group.key for group in GROUPS]
    assert found.notes == ("mode is off: how targets are asked takes effect only once it is enforce",)


# ── figures ──


def test_figures_side_by_side():
    found = difference(
        parse("", "a"), parse("targets: [{name: switch, timeouts: {attempt: 1s}}]\nslo: {undegraded: 90%}", "b")
    )
    rows = {row.label: (row.before, row.after) for row in found.rows if row.differs}
    assert rows == {
        "switch: attempt timeout": ("3.25s (auto)", "1s"),
        "switch: takes at most": ("3.25s", "1.725s"),
        "switch: is over by": ("3.25s", "1.725s"),
        "switch: noticed, once it is back, after": ("18.25s", "16s"),
        "madre: attempts for one chat at most": ("2", "-"),
        "madre: attempt timeout": ("1.5s to 4.75s (auto)", "-"),
        "madre: time kept back for it": ("1.5s (auto)", "-"),
        "madre: takes at most": ("1.5s", "-"),
        "madre: is over by": ("4.75s", "-"),
        "madre: attempts for n chats at most": ("1.2n + 3", "-"),
        "madre: noticed, once it is back, after": ("19.75s", "-"),
        "madre: chats at once": ("2 + 4 waiting", "-"),
        "attempts one chat leads to at most": ("4", "2"),
        "attempts per chat in the long run at most": ("2.4", "1.2"),
        "undegraded, and bad chats it leaves in 30 days": ("95%, 36 hours", "90%, 72 hours"),
    }
    assert {row.figure for row in found.rows} >= {"answer_by", "attempt_timeout", "budget_availability"}


def test_a_target_asked_once_gets_as_many_attempts_as_there_are_chats():
    found = difference(parse("", "a"), parse("retry: {max_attempts: 1}", "b"))
    assert ("1.2n + 3", "n") in {(row.before, row.after) for row in found.rows}


# ── findings ──


def codes(a: str, b: str) -> tuple[list[str], list[str]]:
    found = difference(parse(a, "a"), parse(b, "b"), {"a": a, "b": b})
    return [each.code for each in found.new_findings], [each.code for each in found.gone_findings]


def test_findings_that_only_one_of_both_has():
    assert codes("", "auth: {mode: off}") == (["auth-off"], [])
    assert codes("auth: {mode: off}", "") == ([], ["auth-off"])
    assert codes("auth: {mode: off}", "guards: {max_sessions: 9}\nauth:\n  mode: off") == ([], [])


def test_a_finding_stated_elsewhere_is_not_new_and_one_of_another_target_is():
    at_top = "breaker: {min_calls: 1}"
    each = "targets: [{name: switch, breaker: {min_calls: 1}}, {name: madre, breaker: {min_calls: 1}}]"
    one = "targets: [{name: switch, breaker: {min_calls: 1}}, {name: madre}]"
    assert codes(at_top, each) == codes(each, at_top) == ([], [])
    assert codes(one, each) == (["breaker-trips-on-one"], [])
    assert codes("", at_top) == (["breaker-trips-on-one"], [])  # of two targets, said once


def test_a_comment_that_silences_counts():
    silent = "auth: {mode: off}  # lint: ignore auth-off"
    assert codes("", silent) == ([], [])
    assert codes(silent, "auth: {mode: off}") == (["auth-off"], [])
    assert codes("", "mode: enforce  # lint: ignore auth-of") == (["ignores-nothing"], [])


# ── when it takes effect, and what a reload does to what is remembered ──


def effects(a: str, b: str) -> dict[str, tuple[str, str | None]]:
    found = difference(parse(a, "a"), parse(b, "b"))
    return {str(each): (each.effect, each.memory) for each in found.entries if each.target != "madre"}


def test_when_a_change_takes_effect():
    drawn = ("rules", "dashboards draw the new line at once")
    assert effects("", "journal: {keep: 2, dir: /x}\nslo: {min_bad: 1, availability: 99%}\nmode: off\nauth: {mode: off}") == {
        "mode": ("reload", None),
        "auth.mode": ("start", "while serving a file alone cannot turn it off: the reload is refused, and the policy before stays in force"),
        "journal.dir": ("start", None),
        "journal.keep": ("start", None),
        "slo.availability": drawn,
        "slo.min_bad": ("rules", None),
    }  # fmt: skip
    assert effects("auth: {mode: off}", "") == {"auth.mode": ("reload", None)}


@pytest.mark.parametrize(
    ("a", "b", "entry", "memory"),
    [
        ("", "breaker: {window: {size: 30}}", "breaker.window.size of switch", "the window starts empty; state, open time and failures in a row stay"),
        ("", "breaker: {open: {base: 6s}}", "breaker.open.base of switch", "a breaker that is open keeps the end it was given"),
        ("", "breaker: {half_open: {permits: 2}}", "breaker.half_open.permits of switch", "what was counted stays, and is judged by the new number"),
        ("", "retry_budget: {burst: 5}", "retry_budget.burst of switch", "the balance stays, and grows by deposits: a reload buys no retries"),
        ("", "retry_budget: {burst: 2}", "retry_budget.burst of switch", "a balance above 2 is cut to it"),
        ("", "limiter: {max_concurrent: 9}", "limiter.max_concurrent of switch", "who waits is let in at once"),
        ("", "limiter: {max_concurrent: 1}", "limiter.max_concurrent of switch", "nobody under way is cut; the limit is reached as they end"),
        ("", "limiter: {adaptive: gradient}", "limiter.adaptive of switch", "it starts at max_concurrent"),
        ("limiter: {adaptive: gradient}", "", "limiter.adaptive of switch", "the limit that was found is forgotten"),
        ("limiter: {adaptive: gradient}", "limiter: {adaptive: gradient, max_concurrent: 9}", "limiter.max_concurrent of switch", "the limit that was found stays, within the new bounds"),
        ("limiter: {adaptive: gradient}", "limiter: {adaptive: gradient, min_concurrent: 2}", "limiter.min_concurrent of switch", "the limit that was found stays, within the new bounds"),
        ("", "limiter: {min_concurrent: 2}", "limiter.min_concurrent of switch", None),
        ("", "limiter: {slow_start: 5s}", "limiter.slow_start of switch", "one that is under way takes the new time"),
        ("", "guards: {max_sessions: 9}", "guards.max_sessions", "those idle longest are forgotten with the next chat"),
        ("", "guards: {max_sessions: 99999}", "guards.max_sessions", "who is remembered stays"),
        ("", "dormant: {poll: 2s}", "dormant.poll", "holds from the next time madre is asked on, 5s later at most"),
        ("", "targets: [{name: switch}]", "targets", "what is remembered of madre is kept for a return"),
        ("targets: [{name: switch}]", "", "targets", "madre: a closed breaker, a full budget and nothing observed, unless it stood there before"),
        ("", "targets: [{name: madre}, {name: switch}]", "targets", "what is remembered of each target stays"),
        ("", "retry: {max_attempts: 1}", "retry.max_attempts of switch", None),
    ],
)  # fmt: skip
def test_what_is_remembered(a, b, entry, memory):
    assert effects(a, b)[entry] == ("reload", memory)


def test_the_machines_do_what_is_said_of_them():
    """The sentences above, asked of the machines themselves."""
    (before, *_), (after, *_) = (
        parse(text, "p").policy.ladder for text in ("", "breaker: {window: {size: 30}, open: {base: 9s}}")
    )
    breaker = Breaker(before.breaker, "switch", lease=6, seed=1)
    for now in (1.0, 2.0):
        breaker.settle(now, breaker.admit(now), Verdict.FATAL)
    breaker.adopt(after.breaker, lease=6)
    assert (breaker.tally(2.0).calls, breaker.failures_in_row) == (0, 2)
    breaker.settle(3.0, breaker.admit(3.0), Verdict.FATAL)
    until = breaker.until
    breaker.adopt(before.breaker, lease=6)
    assert breaker.until == until

    more, less = (
        parse(f"retry_budget: {{burst: {burst}}}\nlimiter: {{max_concurrent: {burst}}}", "p").policy.ladder[0]
        for burst in (5, 2)
    )
    budget = RetryBudget(before.retry_budget)
    budget.adopt(more.retry_budget)
    assert budget.balance(0) == 3
    budget.adopt(less.retry_budget)
    assert budget.balance(0) == 2

    limiter = Limiter(less.limiter, "switch")
    tickets = [limiter.enter(0) for _ in range(4)]
    assert [ticket.granted for ticket in tickets] == [True, True, False, False]
    limiter.adopt(0, more.limiter)
    assert all(ticket.granted for ticket in tickets)
    limiter.adopt(0, less.limiter)
    assert limiter.in_flight == 4
