"""The audit of dependencies, held against reports, lists and services that were made up; and the locks as they are."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import threading
import tomllib
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from benchmarks.proxies.process import free_port
from tests.audit import __main__ as command
from tests.audit import exceptions, service
from tests.audit.__main__ import CONTROL, audit
from tests.audit.exceptions import Allowed, ExceptionListError, allowed
from tests.audit.locks import DEVELOPERS, LOCKS, PRODUCTION, ROOT, LockError, Pin, pins
from tests.audit.service import AuditFailedError, Finding, Report, UnreachableError, ask, read

TODAY = dt.date(2026, 11, 29)
HASH = "sha256:" + "0" * 64
LOCK = f"alpha==1.0 \\\n    --hash={HASH}\nbeta==2.0 ; sys_platform != 'win32' \\\n    --hash={HASH} \\\n    --hash={HASH}\n"
FOUND = Finding("alpha", "1.0", ("PYSEC-2026-1", "CVE-2026-1"), ("1.1",))
LET_PASS = Allowed("CVE-2026-1", "alpha", "the part that nobody here uses", TODAY)
NONE = Report(2, [], [])


# -- locks ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_line_of_a_lock_is_one_version_with_a_sha256_and_names_no_place(lock):
    text = lock.read_text()
    assert pins(text)
    assert "://" not in text


def test_no_lock_is_left_out():
    found = {path for path in ROOT.rglob("*.lock") if not any(part[0] == "." for part in path.relative_to(ROOT).parts)}
    assert found == set(LOCKS)
    assert len(LOCKS) >= 4


def test_the_packages_of_production_are_locked_alike_for_developers():
    production, developers = ({pin.name: pin for pin in pins(path.read_text())} for path in (PRODUCTION, DEVELOPERS))
    assert {name: str(pin) for name, pin in production.items()} == {name: str(developers[name]) for name in production}


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
WANTED = {  # what pyproject.toml asks for, and the lock that was resolved from it
    "production": (PROJECT["project"]["dependencies"], PRODUCTION),
    "developers": (
        [
            *PROJECT["project"]["dependencies"],
            *(each for extra in PROJECT["project"]["optional-dependencies"].values() for each in extra),
        ],
        DEVELOPERS,
    ),
    "the build": (PROJECT["build-system"]["requires"], DEVELOPERS),
    "proxies": (PROJECT["dependency-groups"]["proxies"], ROOT / "tests/deploy/proxies/requirements.lock"),
    "audit": (PROJECT["dependency-groups"]["audit"], ROOT / "tests/audit/requirements.lock"),
}


@pytest.mark.parametrize("who", WANTED)
def test_a_lock_is_as_fresh_as_what_was_asked_for(who):
    asked, lock = WANTED[who]
    locked = {pin.name: pin.version for pin in pins(lock.read_text())}
    stale = [
        one
        for one in map(Requirement, asked)
        if canonicalize_name(one.name) != "vx11-sidecar"
        and not one.specifier.contains(locked.get(canonicalize_name(one.name), "0"), prereleases=True)
    ]
    assert not stale, "make lock"


def test_a_lock_is_read_with_all_that_it_says():
    assert pins(LOCK) == [Pin("alpha", "1.0", "", (HASH,)), Pin("beta", "2.0", "sys_platform != 'win32'", (HASH, HASH))]


@pytest.mark.parametrize(
    "line",
    [
        "alpha>=1.0 --hash=" + HASH, "alpha==1.0", "alpha", "alpha==1.* --hash=" + HASH, "alpha==1.0 --hash=md5:" + "0" * 32,
        "alpha==1.0 --hash=sha256:00", f"alpha @ https://example.org/alpha.whl --hash={HASH}", "-e .", "-r other.lock", "./alpha.whl",
        "--index-url https://example.org", "--find-links /wheels", "git+https://example.org/alpha", f"alpha[extra]==1.0 --hash={HASH}",
        f"alpha==1.0,<2 --hash={HASH}", f"alpha==1.0 --hash={HASH}\nalpha==1.1 --hash={HASH}", "", "# nothing",
    ],
)  # fmt: skip
def test_what_a_lock_may_not_say_is_noticed(line):
    with pytest.raises(LockError):
        pins(line + "\n")


# -- exceptions ----------------------------------------------------------------------------------------------------------


def test_the_exceptions_that_there_are_hold_today():
    allowed(exceptions.FILE.read_text(), dt.datetime.now(dt.UTC).date())


def entry(**told):
    said = {
        "id": '"CVE-2026-1"',
        "package": '"alpha"',
        "reason": '"the part that nobody here uses"',
        "until": "2026-11-29",
    }
    lines = (f"{name} = {value}" for name, value in (said | told).items() if value is not None)
    return "[[exception]]\n" + "\n".join(lines) + "\n"


def test_an_exception_has_a_name_a_reason_and_an_end_and_holds_on_its_last_day():
    assert allowed(entry(), TODAY) == [LET_PASS]
    assert allowed("", TODAY) == []


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (entry(id=None), "id: is missing"), (entry(id='"all"'), "none of a vulnerability"), (entry(package=None), "package: is missing"),
        (entry(reason=None), "reason: is missing"), (entry(reason='"later"'), "say why we are not hit"),
        (entry(until=None), "until: is missing"), (entry(until='"2026-11-29"'), "no date"), (entry(until="2026-11-29T10:00:00Z"), "no date"),
        (entry(until="2026-11-28"), "CVE-2026-1: has ended on 2026-11-28"), (entry(until="2027-11-28"), "more than 90 days ahead"),
        (entry(who='"me"'), "unknown: who"), (entry() + entry(), "twice"), ("exception = 1\n", "write"), ("a = 1\n", "unknown: a"),
        ("[[exception", "no TOML"),
    ],
)  # fmt: skip
def test_an_exception_that_lacks_something_or_has_ended_fails(text, what):
    with pytest.raises(ExceptionListError, match=what):
        allowed(text, TODAY)


# -- what comes of it ----------------------------------------------------------------------------------------------------


def answering(*reports):
    """Asked about the control it has one, whatever else there is."""
    left = [Report(1, [FOUND], []), *reports]

    def answer(_):
        told = left.pop(0)
        if isinstance(told, Exception):
            raise told
        return told

    return answer


@pytest.fixture
def lock(tmp_path):
    path = tmp_path / "some.lock"
    path.write_text(LOCK)
    return path


@pytest.mark.parametrize(
    ("reports", "names", "code", "said"),
    [
        ([NONE], [], 0, "2 packages, 0 known vulnerabilities"),
        ([Report(2, [FOUND], [])], [], 1, "alpha 1.0: PYSEC-2026-1, CVE-2026-1, fixed in 1.1"),
        ([Report(2, [FOUND._replace(fixed_in=())], [])], [], 1, "not fixed in any version"),
        ([Report(2, [FOUND], [])], [LET_PASS], 0, "let pass until 2026-11-29"),
        ([Report(2, [FOUND], [])], [LET_PASS._replace(package="beta")], 1, "1 of them without an exception"),
        ([Report(2, [FOUND], [])], [LET_PASS._replace(id="CVE-2026-2")], 1, "1 of them without an exception"),
        ([NONE], [LET_PASS], 0, "the exception CVE-2026-1 of alpha is met by nothing any more"),
        ([Report(1, [], ["beta"])], [], 0, "NOT AUDITED: beta"),
        ([UnreachableError("refused")], [], 0, "NOT AUDITED, or not to its end: refused"),
    ],
)
def test_a_known_vulnerability_fails_and_nobody_to_ask_does_not(lock, reports, names, code, said):
    lines: list[str] = []
    assert audit(answering(*reports), [lock], names, lines.append) == code
    assert said in "\n".join(lines)


def test_what_was_found_before_the_service_went_away_fails_all_the_same(lock):
    lines: list[str] = []
    assert audit(answering(Report(2, [FOUND], []), UnreachableError("gone")), [lock, lock], [], lines.append) == 1
    assert "NOT AUDITED" in lines[-1]


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (NONE, "knows of no vulnerability in aiohttp==3.9.0, which"),
        (Report(0, [], ["aiohttp"]), "does not know aiohttp==3.9.0"),
    ],
)
def test_a_service_that_cannot_know_is_not_believed_and_asked_no_further(lock, told, why):
    asked: list[object] = []
    lines: list[str] = []
    assert audit(lambda named: asked.append(named) or told, [lock], [], lines.append) == 0
    assert len(asked) == len(lines) == 1
    assert f"NOT AUDITED, or not to its end: the service {why}" in lines[0]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"dependencies": [{"name": "alpha"}]}', '{"dependencies": 1}'])
def test_what_is_no_report_is_no_good_news(text):
    with pytest.raises(AuditFailedError):
        read(text)


def test_an_ended_exception_fails_the_command_whoever_can_be_asked(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(exceptions, "FILE", tmp_path / "exceptions.toml")
    exceptions.FILE.write_text(entry(until="2020-01-01"))
    monkeypatch.setattr(service, "PROGRAM", tmp_path / "nothing")
    assert command.main([]) == 1
    assert "has ended on 2020-01-01" in capsys.readouterr().err
    exceptions.FILE.write_text("")
    assert command.main([]) == 0
    assert "NOT AUDITED" in capsys.readouterr().out


# -- pip-audit itself, and a service of our own ----------------------------------------------------------------------------

needs_pip_audit = pytest.mark.skipif(not service.PROGRAM.exists(), reason="pip-audit is not installed (make deps)")
VULNERABLE = {
    "id": "GHSA-aaaa-bbbb-cccc", "aliases": ["CVE-2026-1"], "summary": "made up", "schema_version": "1.0.0",
    "affected": [{"package": {"name": "alpha", "ecosystem": "PyPI"}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"}]}]}],
}  # fmt: skip


@contextlib.contextmanager
def advising(vulnerable, status=200):
    """A service of advisories on loopback, in the words of OSV: its address, as an option of pip-audit."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found = [VULNERABLE] if asked["package"]["name"] in vulnerable else []
            content = json.dumps({"vulns": found} if found else {}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield options(server.server_port)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def options(port):
    return ("--vulnerability-service", "osv", "--osv-url", f"http://127.0.0.1:{port}/v1/query")


@needs_pip_audit
def test_pip_audit_tells_of_what_a_service_knows_and_the_build_fails(lock, capsys):
    control = pins(CONTROL.read_text())[0].name
    with advising({control, "alpha"}) as where:
        assert ask(pins(LOCK), where) == Report(
            2, [Finding("alpha", "1.0", ("CVE-2026-1", "GHSA-aaaa-bbbb-cccc"), ("1.1",))], []
        )
        asking = partial(ask, options=where)
        assert audit(asking, [lock], []) == 1
        assert audit(asking, [lock], [LET_PASS]) == 0
    with advising({control}) as where:
        assert audit(partial(ask, options=where), [lock], []) == 0
    said = capsys.readouterr().out
    assert "NOT AUDITED" not in said


@needs_pip_audit
@pytest.mark.parametrize("status", [None, 503])
def test_a_service_that_cannot_be_asked_is_said_and_fails_nothing(lock, capsys, status):
    if status is None:
        assert audit(partial(ask, options=options(free_port())), [lock], []) == 0
    else:
        with advising({"alpha"}, status) as where:
            assert audit(partial(ask, options=where), [lock], []) == 0
    assert "audit: NOT AUDITED, or not to its end: " in capsys.readouterr().out


@needs_pip_audit
def test_a_pip_audit_that_does_not_do_its_work_fails():
    with pytest.raises(AuditFailedError, match="no report"):
        ask(pins(LOCK), ("--no-such-option",))
