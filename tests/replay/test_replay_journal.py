"""Reading journals: what can be read is, what cannot is named with file and line and counted; nothing ends in a traceback."""

from __future__ import annotations

import time

import pytest

from sidecar.edge.outlets import outbox
from sidecar.edge.outlets.journal import Journal as LiveJournal
from sidecar.policy.model import Journal as JournalPolicy
from sidecar.replay import journal as module
from sidecar.replay.exact import ExactReplay
from sidecar.replay.journal import MOST_MESSAGES, UnusableJournalError, read_journals
from tests.replay.worlds import World, line, recorded, start_line, write

START = start_line(7)
CALM = line(kind="dormancy", at=1.0, active=None)


def read(path, *lines, name="journal-000001.jsonl"):
    journals = read_journals([write(path / name, list(lines))])
    for journal in journals:
        assert len(list(journal.lines)) == len(list(journal.lines))  # what is skipped is known once all was read
    return journals


def only(path, *lines):
    [journal] = read(path, *lines)
    return journal


def test_a_whole_journal_is_read_without_a_word(tmp_path):
    lines = recorded()
    journal = only(tmp_path, *lines)
    assert (len(list(journal.lines)), journal.skipped, journal.messages) == (len(lines), 0, [])
    assert [found.number for found in journal.lines] == list(range(1, len(lines) + 1))


def test_the_seed_is_that_of_the_start(tmp_path):
    assert only(tmp_path, start_line(2**63 - 1)).seed == 2**63 - 1


@pytest.mark.parametrize(
    ("damaged", "why"),
    [
        (b"\x00\xff\xfe\x80junk\n", "not JSON"),
        (b"\n", "not JSON"),
        (b"{]\n", "not JSON"),
        (b"[" * 5000 + b"\n", "not JSON"),
        (b"[1, 2]\n", "not a line of a journal"),
        (b"null\n", "not a line of a journal"),
        (b'{"a": 1}\n', "not a line of a journal"),
        (b'{"in": []}\n', "not a line of a journal"),
        (b'{"in": {"a": 1}}\n', "not a line of a journal"),
        (b'{"in": 5}\n', "not a line of a journal"),
        (b'{"in": "probe", "at": 1.0}\n', "not a line of a journal that this version knows: 'probe'"),
    ],
)
def test_a_line_that_cannot_be_read_is_named_and_counted_and_the_rest_is_read(tmp_path, damaged, why):
    journal = only(tmp_path, START, CALM, damaged, CALM)
    assert journal.messages == [f"{tmp_path}/journal-000001.jsonl:3: {why}"]
    assert journal.skipped == 1
    assert [found.number for found in journal.lines] == [1, 2, 4]


def test_a_last_line_that_was_cut_off_is_said_so(tmp_path):
    journal = only(tmp_path, START, CALM, CALM[:-9])
    assert journal.messages == [f"{tmp_path}/journal-000001.jsonl:3: cut off in the middle of the line"]
    assert journal.skipped == 1


def test_a_line_as_long_as_a_file_is_skipped_without_being_held(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LONGEST_LINE", 200)
    journal = only(tmp_path, START, b'{"in": "call", "x": "' + b"x" * 10_000 + b'"}\n', CALM, b"x" * 10_000)
    assert [found.number for found in journal.lines] == [1, 3]
    assert [text.split(":", 1)[1] for text in journal.messages] == [
        "2: longer than 200 bytes",
        "4: longer than 200 bytes",
    ]


def test_a_large_line_is_still_a_line(tmp_path):
    journal = only(tmp_path, START, line(kind="adopt", at=1.0, source="x" * 1_000_000))
    assert len(list(journal.lines)) == 2


def test_messages_end_somewhere_and_the_count_does_not(tmp_path):
    journal = only(tmp_path, START, *[b"junk\n"] * 100)
    assert (len(journal.messages), journal.skipped) == (MOST_MESSAGES, 100)


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([], "no start line"),
        ([b"\x89PNG\r\n\x1a\n\x00\x00"], "no start line"),
        ([CALM, CALM], "no start line"),
        ([CALM, b"junk\n", CALM], "no start line"),
        ([line(kind="start", schema=2, version="9", seed=1), CALM], "1: a start of schema 2, and this version reads 1"),
        ([line(kind="start", version="9", seed=1)], "1: a start of schema None, and this version reads 1"),
        ([line(kind="start", schema=1, version="9")], "1: a start without a seed"),
        ([line(kind="start", schema=1, version="9", seed="7")], "1: a start without a seed"),
        ([line(kind="start", schema=1, version="9", seed=True)], "1: a start without a seed"),
        ([line(kind="start", schema=1, version="9", seed=7.5)], "1: a start without a seed"),
        ([line(kind="start", schema=True, version="9", seed=7)], "1: a start of schema True, and this version reads 1"),
        ([START[:-1]], "1: cut off in the middle of the line"),
    ],
)
def test_a_file_without_a_run_is_unusable_and_the_text_says_why(tmp_path, lines, why):
    with pytest.raises(UnusableJournalError) as raised:
        read(tmp_path, *lines)
    assert f"{tmp_path}/journal-000001.jsonl: nothing to replay: " in str(raised.value)
    assert why in str(raised.value)


def test_a_directory_without_journals_is_unusable(tmp_path):
    (tmp_path / "journal-notes.jsonl").write_bytes(START)
    (tmp_path / "notes.txt").write_bytes(START)
    with pytest.raises(UnusableJournalError, match=r"no journal-\*\.jsonl"):
        read_journals([tmp_path])


def test_a_file_that_is_not_there_is_an_oserror_with_its_name(tmp_path):
    with pytest.raises(FileNotFoundError) as raised:
        read_journals([tmp_path / "no.jsonl"])
    assert raised.value.filename == str(tmp_path / "no.jsonl")


def test_a_link_to_itself_is_an_oserror_too(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="loop"):
        read_journals([tmp_path / "loop"])


# -- runs and files ----------------------------------------------------------------------------------------------------


def test_what_the_live_journal_writes_is_read_over_all_its_files(tmp_path):
    world = World(3, 100)
    journal = LiveJournal(tmp_path, JournalPolicy.model_validate({"max_file": "10KiB", "keep": 1000}), seed=world.seed)
    facts = []
    world.simulate(facts.append)
    for fact in facts:
        journal(fact)
    journal.close()
    assert journal.dropped == 0
    [run] = read_journals([tmp_path])
    again = []
    assert ExactReplay(run, again.append).run() == (100, 100, 0, (), 0)
    assert again == facts
    assert run.messages == []


def test_a_run_goes_on_over_its_files(tmp_path):
    lines = recorded()
    for number in range(5):
        write(tmp_path / f"journal-{number + 1:06d}.jsonl", lines[number * 40 : number * 40 + 40])
    [journal] = read_journals([tmp_path])
    assert [found.fields["in"] for found in journal.lines] == [
        found.fields["in"] for found in only(tmp_path / "..", *lines[:200]).lines
    ]


def test_files_are_taken_in_the_order_of_their_numbers(tmp_path):
    write(tmp_path / "journal-999999.jsonl", [START])
    write(tmp_path / "journal-1000000.jsonl", [CALM, CALM])
    [journal] = read_journals([tmp_path])
    assert (len(list(journal.lines)), journal.skipped) == (3, 0)


def test_a_second_start_is_a_second_run(tmp_path):
    one, other = read(tmp_path, START, CALM, start_line(8), CALM, CALM)
    assert (one.seed, len(list(one.lines)), other.seed, len(list(other.lines))) == (7, 2, 8, 3)


def test_a_file_named_twice_is_read_once(tmp_path):
    path = write(tmp_path / "journal-000001.jsonl", [START, CALM])
    assert len(read_journals([path, tmp_path, tmp_path / "." / path.name])) == 1


def test_damage_is_counted_with_the_run_in_which_it_stands(tmp_path):
    write(tmp_path / "journal-000001.jsonl", [START, b"junk\n"])
    write(tmp_path / "journal-000002.jsonl", [start_line(8), CALM, b"junk\n", b"junk\n"])
    one, other = read_journals([tmp_path])
    assert [len(list(run.lines)) for run in (one, other)] == [1, 2]
    assert (one.skipped, other.skipped) == (1, 2)
    assert [text.split("/")[-1] for text in other.messages] == [
        "journal-000002.jsonl:3: not JSON",
        "journal-000002.jsonl:4: not JSON",
    ]


def test_lines_of_a_run_whose_start_was_deleted_are_all_counted(tmp_path):
    write(tmp_path / "journal-000004.jsonl", [CALM, b"junk\n", CALM, CALM])
    write(tmp_path / "journal-000005.jsonl", [START, CALM])
    [journal] = read_journals([tmp_path])
    assert (len(list(journal.lines)), journal.skipped) == (2, 4)
    assert journal.messages == [
        f"{tmp_path}/journal-000004.jsonl:1: belongs to a run whose start is not here, as do the lines after it",
        f"{tmp_path}/journal-000004.jsonl:2: not JSON",
    ]


def test_a_run_of_another_schema_is_never_mixed_into_the_run_before_it(tmp_path):
    write(tmp_path / "journal-000001.jsonl", [START, CALM])
    write(tmp_path / "journal-000002.jsonl", [line(kind="start", schema=2, seed=1), CALM, CALM])
    write(tmp_path / "journal-000003.jsonl", [CALM, start_line(9), CALM])
    one, other = read_journals([tmp_path])
    assert (len(list(one.lines)), len(list(other.lines))) == (2, 2)
    assert one.skipped + other.skipped == 4
    assert [text.split("/")[-1] for text in one.messages + other.messages] == [
        "journal-000002.jsonl:1: a start of schema 2, and this version reads 1",
        "journal-000002.jsonl:2: belongs to a run whose start is not here, as do the lines after it",
    ]


def test_a_file_whose_first_line_is_unreadable_may_begin_another_run(tmp_path):
    """Taken for a part of the run before it, its inputs would go into the wrong engine."""
    write(tmp_path / "journal-000001.jsonl", [START, CALM])
    write(tmp_path / "journal-000002.jsonl", [start_line(8)[:-9] + b"\n", CALM, CALM])
    [journal] = read_journals([tmp_path])
    assert (len(list(journal.lines)), journal.skipped) == (2, 3)


def test_a_foreign_file_among_journals_is_named(tmp_path):
    write(tmp_path / "journal-000001.jsonl", [START, CALM])
    foreign = write(tmp_path / "notes.txt", [b"# notes\n", b"of somebody\n"])
    [journal] = read_journals([tmp_path / "journal-000001.jsonl", foreign])
    assert (len(list(journal.lines)), journal.skipped) == (2, 2)
    assert journal.messages == [f"{foreign}:1: not JSON", f"{foreign}:2: not JSON"]


# -- runs without their beginning, and runs beside each other ----------------------------------------------------------


@pytest.fixture
def at_once(monkeypatch):
    """The live journal writes each line as it comes: gathered for a tenth of a second, some hundred of them take as many tenths."""
    monkeypatch.setattr(outbox, "GATHERING", 0.0)


def live(path, number, calls=60, keep=1000, **kind):
    """A generated world as the live journal writes it; its facts."""
    world = World(number, calls, **kind)
    journal = LiveJournal(path, JournalPolicy.model_validate({"max_file": "4KiB", "keep": keep}), seed=world.seed)
    facts = []
    world.simulate(facts.append)
    for fact in facts:
        journal(fact)
        while journal._outbox._lines:  # as slowly as life: a file ends wherever it is full
            time.sleep(0)
    journal.close()
    assert journal.dropped == 0
    return facts


def files(path):
    return sorted(path.iterdir())


def test_a_run_whose_first_files_were_deleted_begins_in_the_middle(tmp_path, at_once):
    live(tmp_path, 3)
    first, second, *others = files(tmp_path)
    first.unlink()
    second.unlink()
    [run] = read_journals([tmp_path])
    assert not run.complete
    assert (run.seed, run.skipped, run.messages) == (World(3, 60).seed, 0, [])
    assert run.heading["in"] == "continued"
    assert run.files == 2 + len(others)


def test_in_a_whole_run_the_first_lines_of_further_files_say_nothing_new(tmp_path, at_once):
    live(tmp_path, 3)
    [run] = read_journals([tmp_path])
    assert len(files(tmp_path)) >= 5
    assert run.complete
    assert [found for found in run.lines if found.fields["in"] == "continued"] == []


def test_a_file_missing_in_the_middle_parts_a_run_in_two(tmp_path, at_once):
    live(tmp_path, 3)
    files(tmp_path)[2].unlink()
    one, other = read_journals([tmp_path])
    assert (one.complete, one.files, other.complete) == (True, 2, False)
    assert one.seed == other.seed
    assert next(other.lines).file == str(files(tmp_path)[2])


@pytest.mark.uncounted
@pytest.mark.parametrize("deleted", [0, 1, 3])
def test_runs_that_interleave_in_one_directory_are_told_apart(tmp_path, at_once, deleted):
    """Two sidecars with one journal directory: each takes the next number there is."""
    apart = [tmp_path / "one", tmp_path / "other"]
    stories = [live(path, number) for path, number in zip(apart, (3, 4), strict=True)]
    both = tmp_path / "both"
    both.mkdir()
    shuffled = [path for pair in zip(*map(files, apart), strict=False) for path in pair]
    for number, path in enumerate(shuffled, 1):
        path.rename(both / f"journal-{number:06d}.jsonl")
    for path in files(both)[:deleted]:
        path.unlink()
    runs = sorted(read_journals([both]), key=lambda run: run.seed == World(4, 60).seed)
    assert [run.complete for run in runs] == [deleted < 1, deleted < 2]
    for run, facts in zip(runs, stories, strict=True):
        if run.complete:
            again = []
            ExactReplay(run, again.append).run()
            assert again == facts[: len(again)]
            assert len(again) > len(facts) / 2
    assert all(run.messages == [] for run in runs)


def test_a_second_start_with_the_same_name_is_a_run_of_its_own(tmp_path):
    one, other = read(tmp_path, START, CALM, START, CALM, CALM)
    assert (len(list(one.lines)), len(list(other.lines))) == (2, 3)


CONTINUED = {"schema": 1, "version": "0.1.0", "seed": 7, "run": "7", "file": 2}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"schema": 2}, "a continuation of schema 2, and this version reads 1"),
        ({"seed": "7"}, "a continuation without a seed"),
        ({"file": "2"}, "a continuation that does not say of which file"),
        ({"file": True}, "a continuation that does not say of which file"),
    ],
)
def test_a_continuation_that_is_not_for_us_takes_its_lines_with_it(tmp_path, change, why):
    journal = only(tmp_path, START, CALM, line(kind="continued", **{**CONTINUED, **change}), CALM, CALM)
    assert (len(list(journal.lines)), journal.skipped) == (2, 3)
    assert journal.messages[0] == f"{tmp_path}/journal-000001.jsonl:3: {why}"


def test_a_run_without_a_name_is_named_by_its_seed(tmp_path):
    unnamed = {key: value for key, value in CONTINUED.items() if key != "run"}
    journal = only(tmp_path, START, CALM, line(kind="continued", **unnamed), CALM)
    assert (journal.complete, len(list(journal.lines))) == (True, 3)


def test_what_follows_a_continuation_belongs_to_its_run_whatever_stood_before(tmp_path):
    one, other = read(tmp_path, START, CALM, start_line(8), CALM, line(kind="continued", **CONTINUED), CALM, CALM)
    assert (one.seed, len(list(one.lines)), other.seed, len(list(other.lines))) == (7, 4, 8, 2)


def test_those_of_several_workers_are_read_from_the_directory_above(tmp_path):
    for place in ("worker-10", "worker-2", "."):
        (tmp_path / place).mkdir(exist_ok=True)
        for number in (2, 1):
            write(tmp_path / place / f"journal-{number:06d}.jsonl", recorded())
    (tmp_path / "worker-3").write_text("no directory")
    (tmp_path / "worker-2" / "worker-1").mkdir()
    (tmp_path / "elsewhere").mkdir()
    write(tmp_path / "elsewhere" / "journal-000001.jsonl", recorded())
    found = [str(path.relative_to(tmp_path)) for path in module.within(tmp_path)]
    of = ("", "worker-2/", "worker-10/")
    assert found == [f"{place}journal-{number:06d}.jsonl" for place in of for number in (1, 2)]
