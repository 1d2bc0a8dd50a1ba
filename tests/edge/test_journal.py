"""The journal: a line for each input and for nothing else, exact, without texts, in files that turn over."""

from __future__ import annotations

import errno
import io
import json
import stat
import threading

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar import __version__
from sidecar.core.fact import (
    AttemptStarted,
    BreakerMoved,
    CallBegan,
    ChatRejected,
    ChatServed,
    DormancyHeard,
    EventHeard,
    FellBack,
    MessageRefused,
    Overridden,
    PolicyAdopted,
    RateLimited,
    Refused,
    RelayEnded,
    RequestShed,
    Retried,
    RetryDenied,
    TokenJudged,
)
from sidecar.core.line import to_line
from sidecar.core.vocabulary import (
    Abandoned,
    Answered,
    Binding,
    ErrorKind,
    Finish,
    Outcome,
    Override,
    Reason,
    Woke,
)
from sidecar.edge.outlets import outbox
from sidecar.edge.outlets.journal import Journal
from sidecar.policy.model import Journal as JournalPolicy
from sidecar.policy.model import Policy

POLICY = Policy.model_validate(
    {"targets": [{"name": "switch", "token_from": "env SECRET_NAME"}, {"name": "madre"}, {"name": "local"}]}
)


@pytest.fixture
def lines(tmp_path):
    """Everything in the journal's directory, in the order of its files."""

    def read():
        files = sorted(tmp_path.glob("journal-*.jsonl"))
        return [json.loads(line) for path in files for line in path.read_bytes().splitlines()]

    return read


def opened(directory, **settings):
    return Journal(directory, JournalPolicy.model_validate(settings), seed=2**63 - 1)


def test_nobody_else_may_read_a_journal(tmp_path):
    opened(tmp_path).close()
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_journal_begins_with_what_replay_must_know(tmp_path, lines):
    opened(tmp_path).close()
    run = {"schema": 1, "version": __version__, "seed": 2**63 - 1, "run": "7fffffffffffffff"}
    assert lines() == [{"in": "start", **run}]


def test_every_input_is_a_line_in_one_order(tmp_path, lines):
    journal = opened(tmp_path)
    journal(PolicyAdopted(0.5, "rev", "built-in", POLICY))
    journal(CallBegan(1.25, 7, 4.75, "corr-1", "rev"))
    journal(EventHeard(1.5, 7, Answered(1.5, Outcome(ErrorKind.TIMEOUT))))
    journal(EventHeard(1.75, 7, Woke(1.75)))
    journal(EventHeard(2.0, 7, Answered(2.0, Outcome(None, 503, {"status": "error"}, text=True, retry_after=2.0))))
    journal(EventHeard(2.5, 7, Abandoned(2.5)))
    journal(DormancyHeard(3.0, frozenset({"redis", "madre"})))
    journal(DormancyHeard(4.0, None))
    journal(Overridden(5.0, "switch", Override.OFF))
    journal(Overridden(6.0, "switch", None))
    journal.close()
    _, adopt, *rest = lines()
    assert Policy.model_validate(adopt.pop("policy")) == POLICY
    assert adopt == {"in": "adopt", "at": 0.5, "revision": "rev", "source": "built-in"}
    assert rest == [
        {"in": "call", "at": 1.25, "call": 7, "patience": 4.75, "correlation_id": "corr-1", "revision": "rev"},
        {
            "in": "answered",
            "at": 1.5,
            "call": 7,
            "error": "timeout",
            "status": None,
            "body": {},
            "text": False,
            "retry_after": None,
        },
        {"in": "woke", "at": 1.75, "call": 7},
        {
            "in": "answered",
            "at": 2.0,
            "call": 7,
            "error": None,
            "status": 503,
            "body": {"status": "error"},
            "text": True,
            "retry_after": 2.0,
        },
        {"in": "abandoned", "at": 2.5, "call": 7},
        {"in": "dormancy", "at": 3.0, "active": ["madre", "redis"]},
        {"in": "dormancy", "at": 4.0, "active": None},
        {"in": "override", "at": 5.0, "target": "switch", "override": "off"},
        {"in": "override", "at": 6.0, "target": "switch", "override": None},
    ]


FINISH = Finish("switch", 1, degraded=False, reason=None)


@pytest.mark.parametrize(
    "fact",
    [
        AttemptStarted(1, 1, "switch", 1, 3.0, Binding.ATTEMPT),
        Retried(1, 1, "switch", 0.1, "connect", 2.0),
        RetryDenied(1, 1, "switch", "budget"),
        Refused(1, 1, "switch", Reason.OPEN, None),
        FellBack(1, 1, "switch", Reason.OPEN),
        BreakerMoved(1, "switch", "closed", "open", "consecutive", 5.0),
        RateLimited(1, 2.0, anonymous=True),
        ChatRejected(1, 401, "auth_required", 0.1),
        ChatServed(1, 1, "c", "primary", 200, 0.1, 0.1),
        RelayEnded(1, "http", "GET", 200, 0.1, 1, 1, None),
        RequestShed(1, "lag"),
        MessageRefused(1, 400, "field"),
        TokenJudged(1, "wrong"),
    ],
    ids=lambda fact: type(fact).__name__,
)
def test_what_follows_from_the_inputs_is_not_written(fact):
    assert to_line(fact) is None


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(0, 1e9))
def test_a_time_is_read_as_the_same_float(at, patience):
    line = json.loads(outcome_of(CallBegan(at, 1, patience, "c", "r")))
    assert (line["at"], line["patience"]) == (at, patience)


def outcome_of(fact):
    """A line as it is written."""
    return orjson.dumps(to_line(fact))


# -- what is lost ------------------------------------------------------------------------------------------------------


def test_a_gap_is_said_before_the_next_line(tmp_path, lines, monkeypatch):
    monkeypatch.setattr(outbox, "LONGEST_QUEUE", 3)
    stuck, entered = threading.Event(), threading.Event()
    journal = opened(tmp_path)
    write = journal._files.write

    def held(data):
        entered.set()
        stuck.wait(10)
        write(data)

    journal._outbox._write = held
    journal(DormancyHeard(0.0, None))
    assert entered.wait(5)
    for at in range(1, 20):
        journal(DormancyHeard(float(at), None))
    lost = journal.dropped
    assert lost >= 16
    stuck.set()
    journal._outbox._filled.set()
    while journal._outbox._lines:
        pass
    journal(DormancyHeard(99.0, None))
    journal.close()
    *_, gap, last = lines()
    assert gap == {"in": "dropped", "lines": lost}
    assert last["at"] == 99.0


class Full(io.FileIO):
    """A file on a disk with room for ``room`` more bytes."""

    room = 0

    def write(self, data):
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = super().write(data[: self.room])
        self.room -= written
        return written


def test_a_full_disk_loses_lines_whole_and_never_the_process(tmp_path, lines):
    journal = opened(tmp_path)
    assert journal._outbox.close()
    files = journal._files
    files._file.close()
    files._file = Full(tmp_path / "journal-000009.jsonl", "w")
    files._file.room = 12
    files.write(b'{"a":1}\n')
    with pytest.raises(OSError, match="No space"):
        files.write(b'{"b":1}\n')
    files._file.room = 100
    files.write(b'{"c":1}\n')
    journal.close()
    assert lines()[1:] == [{"a": 1}, {"c": 1}]


def test_closing_a_file_that_cannot_be_closed_is_no_trouble(tmp_path):
    class Sick(io.FileIO):
        def close(self):
            super().close()
            raise OSError(errno.EIO, "Input/output error")

    journal = opened(tmp_path)
    journal._files._file.close()
    journal._files._file = Sick(tmp_path / "x", "w")
    journal.close()


def test_the_files_are_left_alone_while_a_write_is_stuck(tmp_path, monkeypatch):
    monkeypatch.setattr(outbox, "PATIENCE", 0.05)
    stuck, entered = threading.Event(), threading.Event()
    journal = opened(tmp_path)
    journal._outbox._write = lambda _: (entered.set(), stuck.wait(10))
    journal(DormancyHeard(0.0, None))
    assert entered.wait(5)
    journal.close()
    assert not journal._files._file.closed
    stuck.set()
    journal._outbox._writer.join(5)
    journal._files.close()


# -- files -------------------------------------------------------------------------------------------------------------


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def test_each_start_has_a_file_of_its_own_and_the_oldest_go(tmp_path):
    for _ in range(5):
        opened(tmp_path, keep=2).close()
    assert names(tmp_path) == ["journal-000003.jsonl", "journal-000004.jsonl", "journal-000005.jsonl"]


def test_a_file_beyond_its_size_is_followed_by_another(tmp_path):
    journal = opened(tmp_path, max_file="1KiB", keep=3)
    journal._outbox.close()
    for number in range(40):
        journal._files.write(b"%0199d\n" % number)
    journal.close()
    files = sorted(tmp_path.iterdir())
    assert len(files) == 4
    written = [path.read_bytes().splitlines() for path in files]
    assert all(1024 < sum(len(line) + 1 for line in lines) <= 1224 for lines in written[:-1])
    assert all(json.loads(lines[0])["in"] == "continued" for lines in written)
    numbers = [int(line) for lines in written for line in lines[1:]]
    assert numbers == list(range(40))[-len(numbers) :]


def test_a_further_file_begins_with_all_that_replay_must_know_of_the_run(tmp_path, lines):
    journal = opened(tmp_path, max_file="1KiB", keep=1)
    journal(PolicyAdopted(0.5, "rev", "built-in", POLICY))
    for number in range(40):
        journal(CallBegan(1.0, number, 4.75, "c" * 100, "rev"))
        journal._outbox._filled.set()
        while journal._outbox._lines:
            pass
    journal.close()
    first = lines()[0]
    assert first["in"] == "continued"
    assert (first["schema"], first["seed"], first["run"], first["revision"]) == (
        1,
        2**63 - 1,
        "7fffffffffffffff",
        "rev",
    )
    assert first["file"] == int(min(tmp_path.iterdir()).stem[-6:]) > 2
    assert Policy.model_validate(first["policy"]) == POLICY


def test_a_further_file_names_the_policy_in_force_where_it_begins_and_not_a_later_one(tmp_path, lines):
    """The policy changes while what comes before it still waits to be written."""
    journal = opened(tmp_path, max_file="1KiB")
    journal(PolicyAdopted(0.5, "early", "built-in", POLICY))
    journal._outbox.close()
    waiting = [orjson.dumps(to_line(CallBegan(1.0, number, 4.75, "c", "early"))) + b"\n" for number in range(3)]
    waiting.append(orjson.dumps(to_line(PolicyAdopted(2.0, "late", "built-in", POLICY))) + b"\n")
    for line in [*waiting, waiting[0]]:
        journal._write(line)
        journal._files._max_file = 0  # each write begins a file of its own
    journal.close()
    headings = [(line["file"], line["revision"]) for line in lines() if line["in"] == "continued"]
    assert headings == [(2, "early"), (3, "early"), (4, "early"), (5, "early"), (6, "late")]


def test_a_line_that_cannot_be_put_into_words_takes_no_other_along(tmp_path, lines):
    journal = opened(tmp_path)
    for number, revision in enumerate(("one", "\ud800", "three")):
        journal(CallBegan(1.0, number, 4.75, "c", revision))
    journal.close()
    assert [line["revision"] for line in lines() if line["in"] == "call"] == ["one", "three"]
    assert journal.dropped == 1


def test_no_text_in_a_line_passes_for_the_adoption_of_a_policy(tmp_path, lines):
    journal = opened(tmp_path)
    journal(PolicyAdopted(0.5, "rev", "built-in", POLICY))
    journal(CallBegan(1.0, 1, 4.75, '{"in":"adopt",', "rev"))
    journal.close()
    assert orjson.loads(journal._adopted)["revision"] == "rev"
    assert lines()[-1]["correlation_id"] == '{"in":"adopt",'


def test_what_is_no_journal_is_never_deleted(tmp_path):
    others = ["journal-notes.jsonl", "journal-1.jsonl", "journal-²²²²²².jsonl", "journal-000001.jsonl.gz", "notes.txt"]
    for name in others:
        (tmp_path / name).write_text("mine")
    for _ in range(4):
        opened(tmp_path, keep=1).close()
    assert names(tmp_path) == sorted([*others, "journal-000003.jsonl", "journal-000004.jsonl"])


def test_numbers_are_compared_as_numbers(tmp_path):
    (tmp_path / "journal-999999.jsonl").write_text("")
    for _ in range(3):
        opened(tmp_path, keep=2).close()
    assert names(tmp_path) == ["journal-1000000.jsonl", "journal-1000001.jsonl", "journal-1000002.jsonl"]


def test_two_processes_never_write_into_one_file(tmp_path):
    one, other = opened(tmp_path, max_file="1KiB"), opened(tmp_path, max_file="1KiB")
    for journal, letter in ((one, b"a"), (other, b"b")):
        journal._outbox.close()
        for _ in range(12):
            journal._files.write(letter * 199 + b"\n")
        journal.close()
    assert all(len(set(path.read_bytes().split())) <= 2 for path in tmp_path.iterdir())
    assert not any({b"a" * 199, b"b" * 199} <= set(path.read_bytes().split()) for path in tmp_path.iterdir())


def test_a_file_that_cannot_be_opened_is_tried_again(tmp_path):
    journal = opened(tmp_path / "d", max_file="1KiB")
    journal._outbox.close()
    files = journal._files
    files.write(b"x" * 2000 + b"\n")
    (tmp_path / "d").rename(tmp_path / "moved")
    with pytest.raises(OSError, match="No such file"):
        files.write(b"lost\n")
    (tmp_path / "moved").rename(tmp_path / "d")
    files.write(b"kept\n")
    journal.close()
    assert (tmp_path / "d" / "journal-000002.jsonl").read_bytes().endswith(b"}\nkept\n")


def test_a_directory_is_made_and_one_that_cannot_be_is_an_error(tmp_path):
    opened(tmp_path / "a" / "b").close()
    assert names(tmp_path / "a" / "b") == ["journal-000001.jsonl"]
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OSError, match="file") as raised:
            opened(place)
        assert raised.value.filename


# -- samples -----------------------------------------------------------------------------------------------------------


def test_of_a_sampled_call_every_line_is_written_and_of_another_none(tmp_path, lines):
    journal = opened(tmp_path, sample="30%")
    journal(PolicyAdopted(0.5, "rev", "built-in", POLICY))
    for number in range(1000):
        journal(CallBegan(1.0, number, 4.75, "c", "rev"))
        journal(EventHeard(2.0, number, Abandoned(2.0)))
    journal(DormancyHeard(3.0, None))
    journal.close()
    start, adopt, *calls, dormancy = lines()
    assert (start["sample"], adopt["in"], dormancy["in"]) == (0.3, "adopt", "dormancy")
    begun = [line["call"] for line in calls if line["in"] == "call"]
    assert begun == [line["call"] for line in calls if line["in"] == "abandoned"]
    assert 240 < len(begun) < 360


def test_a_whole_journal_says_nothing_of_samples(tmp_path, lines):
    opened(tmp_path).close()
    assert "sample" not in lines()[0]
