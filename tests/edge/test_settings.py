"""Where everything is and who may come in: precedence, addresses, authentication, and the loop that is refused."""

from __future__ import annotations

import re
import socket

import pytest

from sidecar.edge.environment import read_environment
from sidecar.edge.settings import Address, UnusableSettingsError, is_loopback, refuse_loop, renew, resolve
from sidecar.edge.snapshot import Destination
from sidecar.edge.token import Open
from sidecar.policy.load import load, parse

TOKEN = {"VX11_TENTACULO_LINK_TOKEN": "link"}


def settled(flags=None, environ=TOKEN, policy=""):
    return resolve(flags or {}, read_environment(environ), environ, parse(policy, "test"))


def complaint(flags=None, environ=TOKEN, policy=""):
    with pytest.raises(UnusableSettingsError) as raised:
        settled(flags, environ, policy)
    return str(raised.value)


# -- where -------------------------------------------------------------------------------------------------------------


def test_without_a_word_everything_is_on_loopback():
    here = settled()
    assert (str(here.listen), str(here.admin), str(here.gateway)) == (
        "127.0.0.1:8000",
        "127.0.0.1:9180",
        "127.0.0.1:8010",
    )
    assert here.snapshot.destinations == {
        "switch": Destination("http://127.0.0.1:8002", "/switch/chat", "link", False),
        "madre": Destination("http://127.0.0.1:8001", "/madre/chat", "link", False),
    }
    assert here.journal is None
    assert not here.exposed


@pytest.mark.parametrize(("effects", "dedup"), [("none", False), ("dedup", True), ("unsafe", False)])
def test_a_target_gets_a_key_where_the_policy_says_that_it_honours_one(effects, dedup):
    destinations = settled(
        {}, TOKEN, f"targets: [{{name: switch, effects: {effects}}}, {{name: madre}}]"
    ).snapshot.destinations
    assert (destinations["switch"].dedup, destinations["madre"].dedup) == (dedup, False)


def test_the_flag_comes_before_the_environment_and_that_before_the_policy():
    policy = "targets: [{name: switch, url: 'http://policy:3'}, {name: madre, url: 'http://policy:3'}]"
    environ = {**TOKEN, "VX11_SWITCH_URL": "http://said:2", "VX11_SIDECAR_GATEWAY_URL": "http://said:9"}

    def origin(flags, environ):
        return settled(flags, environ, policy).snapshot.destinations["switch"].origin

    assert origin({}, TOKEN) == "http://policy:3"
    assert origin({}, environ) == "http://said:2"
    assert origin({"switch": "flag:1"}, environ) == "http://flag:1"
    assert str(settled({}, environ).gateway) == "said:9"
    assert str(settled({"gateway": "flag:9"}, environ).gateway) == "flag:9"


def test_the_journal_goes_where_the_flag_or_else_the_policy_says():
    policy = "journal: {dir: /var/policy}"
    assert str(settled(policy=policy).journal) == "/var/policy"
    assert str(settled({"journal": "/flag"}, policy=policy).journal) == "/flag"


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:1", "127.0.0.1", 1),
        ("http://127.0.0.1:1", "127.0.0.1", 1),
        ("http://switch:8002/", "switch", 8002),
        ("tentaculo_link:65535", "tentaculo_link", 65535),
        ("a.b-c.d.:080", "a.b-c.d.", 80),
        ("[::1]:8002", "::1", 8002),
        ("http://[2001:db8::1]:8002/", "2001:db8::1", 8002),
        ("[::ffff:10.0.0.1]:1", "::ffff:10.0.0.1", 1),
    ],
)
def test_an_address_is_a_host_and_a_port_with_or_without_a_scheme(text, host, port):
    assert settled({"gateway": text}).gateway == (host, port)


def test_an_ipv6_address_is_written_in_brackets():
    assert str(Address("::1", 80)) == "[::1]:80"
    assert settled({"switch": "[::1]:80"}).snapshot.destinations["switch"].origin == "http://[::1]:80"


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "host", "host:", ":80", "host:port", "host:65536", "host:999999", "host:-1", "host:80:80", "::1:80", "[::1]",
        "[::1:80", "[1.2]:80", "[:::]:80", "[....]:80", "https://host:443", "ftp://host:1", "http://host:80/path", "host:80//",
        "http://user:s3cret@host:80", "http://host:80/?token=s3cret", "http://host:80#s3cret", "host:80 ", "a..b:80", ".a:80",
        "a" * 64 + ":80", "hôst:80", "host:\uff18\uff10", "host\n:80", "*:80", "http://http://h:1", "host:80\udcff",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_with_what_would_be_one(text):
    said = complaint({"listen": text})
    assert said.startswith("listen: ")
    assert "write HOST:PORT" in said
    assert "s3cret" not in said
    said.encode()


@pytest.mark.parametrize("name", ["gateway", "switch", "madre"])
def test_the_complaint_names_whose_address_it_is(name):
    assert complaint({name: "nowhere"}).startswith(f"{name}: 'nowhere'")


def test_an_address_from_the_environment_is_judged_like_a_flag():
    assert complaint({}, {**TOKEN, "VX11_SWITCH_URL": "https://switch:8002"}).startswith(
        "switch: 'https://switch:8002'"
    )
    assert "s3cret" not in complaint({}, {**TOKEN, "VX11_MADRE_URL": "http://u:s3cret@madre:1"})


@pytest.mark.parametrize("name", ["gateway", "switch", "madre"])
def test_nobody_can_be_reached_at_port_0(name):
    assert "port 0" in complaint({name: "127.0.0.1:0"})


def test_port_0_is_chosen_for_our_own_ports():
    here = settled({"listen": "127.0.0.1:0", "admin": "[::1]:0"})
    assert (here.listen.port, here.admin.port) == (0, 0)


@pytest.mark.parametrize("name", ["listen", "admin"])
def test_a_name_that_does_not_resolve_is_nothing_to_listen_on(name, machine):
    assert (
        complaint({name: "nobody.invalid:1"})
        == f"{name}: nobody.invalid does not resolve: name an address of this machine"
    )


def test_the_name_of_a_policy_file_that_is_no_text_can_still_be_shown():
    loaded = parse("", "\udcff.yaml")
    assert resolve({}, read_environment(TOKEN), TOKEN, loaded).snapshot.source == "\\udcff.yaml"


# -- who ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", [None, "off", "OFF", "token", "jwt", ""])
@pytest.mark.parametrize("stated", [None, "off", "token"])
def test_authentication_is_off_only_if_somebody_says_off_and_nobody_says_token(stated, said):
    policy = "" if stated is None else f"auth: {{mode: {'token' if stated == 'token' else 'off'}}}"
    environ = TOKEN if said is None else {**TOKEN, "VX11_AUTH_MODE": said}
    here = settled({}, environ, policy)
    off = (stated, said) in {("off", None), ("off", ""), ("off", "off"), (None, "off")}
    assert here.auth_off is off
    assert isinstance(here.snapshot.tokens, Open) is off
    assert here.snapshot.tokens.judge([b"link"]) is None
    assert here.snapshot.tokens.judge([b"wrong"]) == (None if off else "wrong")


def test_a_policy_that_states_token_in_a_file_it_extends_is_heard(tmp_path):
    (tmp_path / "below.yaml").write_text("auth: {mode: token}\n")
    (tmp_path / "policy.yaml").write_text("extends: below.yaml\n")
    environ = {**TOKEN, "VX11_AUTH_MODE": "off"}
    loaded = load(tmp_path)
    assert not resolve({}, read_environment(environ), environ, loaded).auth_off


@pytest.mark.parametrize(
    "environ", [{}, {"VX11_AUTH_MODE": "token"}, {"VX11_AUTH_MODE": "OFF"}, {"VX11_SIDECAR_TOKENS": " , "}]
)
def test_without_a_token_it_does_not_start(environ):
    said = complaint({}, environ)
    assert "VX11_TENTACULO_LINK_TOKEN" in said
    assert "VX11_AUTH_MODE=off" in said


def test_without_a_token_it_starts_where_authentication_is_off():
    here = settled({}, {"VX11_AUTH_MODE": "off"})
    assert here.auth_off
    assert here.snapshot.destinations["switch"].token is None


def test_every_configured_token_is_accepted_and_the_link_token_goes_to_the_targets():
    environ = {**TOKEN, "VX11_SIDECAR_TOKENS": "more,again", "VX11_OPERATOR_TOKEN": "shadowed"}
    snapshot = settled({}, environ).snapshot
    assert [snapshot.tokens.judge([token]) for token in (b"link", b"more", b"again", b"shadowed")] == [
        None,
        None,
        None,
        "wrong",
    ]
    assert {place.token for place in snapshot.destinations.values()} == {"link"}


def test_a_target_may_have_a_token_of_its_own(tmp_path):
    (tmp_path / "t").write_text("of-switch\n")
    policy = f"targets: [{{name: switch, token_from: file {tmp_path}/t}}, {{name: madre, token_from: env OTHER}}]"
    found = settled({}, {**TOKEN, "OTHER": "of-madre"}, policy).snapshot.destinations
    assert (found["switch"].token, found["madre"].token) == ("of-switch", "of-madre")


@pytest.mark.parametrize(
    ("origin", "environ", "said"),
    [
        ("env OTHER", {}, "targets[switch].token_from: env OTHER: there is nothing in it"),
        (
            "env OTHER",
            {"OTHER": "s3crét"},
            "targets[switch].token_from: OTHER: a token is one line of printable ASCII characters",
        ),
        (
            "file /nonexistent/x",
            {},
            "targets[switch].token_from: /nonexistent/x: cannot be read: No such file or directory",
        ),
    ],
)
def test_a_token_of_a_target_that_is_not_there_is_said_with_its_place(origin, environ, said):
    assert complaint({}, {**TOKEN, **environ}, f"targets: [{{name: switch, token_from: {origin}}}]") == said


@pytest.mark.parametrize(
    ("host", "demanded"),
    [("127.0.0.1", False), ("localhost", False), ("[::1]", False), ("0.0.0.0", True), ("[::]", True)],
)
def test_off_loopback_the_admin_port_demands_its_token(host, demanded):
    without = settled({"admin": f"{host}:1"})
    having = settled({"admin": f"{host}:1"}, {**TOKEN, "VX11_SIDECAR_ADMIN_TOKEN": "boss"})
    assert without.exposed is having.exposed is demanded
    assert without.mutators.judge([b"boss"]) == "wrong"
    assert having.mutators.judge([b"boss"]) is None
    assert having.mutators.judge([b"link"]) == "wrong"


def unresolved(*_args, **_more):
    raise socket.gaierror(-2, "Name or service not known")


def test_a_name_that_does_not_resolve_is_not_taken_for_loopback(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", unresolved)
    assert not is_loopback("nobody.invalid")


# -- the loop ----------------------------------------------------------------------------------------------------------

NAMES = {
    "localhost": ["127.0.0.1", "::1"],
    "four": ["127.0.0.1"],
    "here": ["192.0.2.7"],
    "elsewhere": ["192.0.2.9"],
}
LOCAL = {"127.0.0.1", "127.0.0.2", "::1", "192.0.2.7", "2001:db8::7"}


@pytest.fixture
def machine(monkeypatch):
    """A machine with the addresses LOCAL, in a world with the names NAMES."""

    def look_up(host, *_args, **_more):
        if re.search(r"[a-z]", host) and ":" not in host and host not in NAMES:
            unresolved()
        return [(None, None, None, "", (address, 0)) for address in NAMES.get(host, [host])]

    class Probe:
        def __init__(self, *_args):
            pass

        __enter__ = lambda self: self  # noqa: E731
        __exit__ = lambda *_: None  # noqa: E731

        def bind(self, place):
            if place[0] not in LOCAL:
                raise OSError(99, "Cannot assign requested address")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(socket, "socket", Probe)


@pytest.mark.parametrize(
    ("listen", "gateway", "loop"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "localhost", True),
        ("127.0.0.1", "0.0.0.0", True),
        ("127.0.0.1", "::ffff:127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("127.0.0.1", "::1", False),
        ("127.0.0.1", "192.0.2.7", False),
        ("localhost", "127.0.0.1", True),
        ("localhost", "::1", True),
        ("::1", "::1", True),
        ("::1", "::", True),
        ("::1", "four", False),
        ("0.0.0.0", "127.0.0.1", True),
        ("0.0.0.0", "127.0.0.2", True),
        ("0.0.0.0", "localhost", True),
        ("0.0.0.0", "0.0.0.0", True),
        ("0.0.0.0", "here", True),
        ("0.0.0.0", "elsewhere", False),
        ("0.0.0.0", "nobody", False),
        ("0.0.0.0", "::1", False),
        ("::", "::1", True),
        ("::", "2001:db8::7", True),
        ("::", "2001:db8::9", False),
        ("::", "four", False),
        ("four", "nobody", False),
    ],
)
def test_a_gateway_that_is_our_own_listener_is_refused(machine, listen, gateway, loop):
    refuse_loop(Address(listen, 8000), Address(gateway, 8001))
    refuse_loop(Address(listen, 0), Address(gateway, 0))
    if not loop:
        refuse_loop(Address(listen, 8000), Address(gateway, 8000))
        return
    with pytest.raises(UnusableSettingsError, match="leads back to our own listener"):
        refuse_loop(Address(listen, 8000), Address(gateway, 8000))


def test_the_loop_is_refused_before_anything_is_opened():
    assert "VX11_SIDECAR_GATEWAY_URL" in complaint({"listen": "0.0.0.0:8010"})


def test_a_machine_without_ipv6_has_no_address_of_it(monkeypatch):
    def no_family(*_args):
        raise OSError(97, "Address family not supported by protocol")

    monkeypatch.setattr(socket, "socket", no_family)
    refuse_loop(Address("::", 8000), Address("::1", 8000))


def test_a_name_too_long_to_be_looked_up_is_only_unresolved():
    refuse_loop(Address("127.0.0.1", 1), Address(".".join(["a" * 63] * 5), 1))


# -- again -------------------------------------------------------------------------------------------------------------


def again(before, flags=None, environ=TOKEN, policy=""):
    return renew(before, flags or {}, read_environment(environ), environ, parse(policy, "test"))


def test_every_file_that_holds_a_token_is_one_whose_change_matters(tmp_path):
    for name in ("policy.yaml", "tokens", "admin", "switch", "madre"):
        (tmp_path / name).write_text("secret\n")
    (tmp_path / "policy.yaml").write_text(
        f"targets: [{{name: switch, token_from: file {tmp_path}/switch}}, {{name: madre, token_from: env MADRE_TOKEN}}]\n"
    )
    environ = {
        "VX11_SIDECAR_TOKENS_FILE": f"{tmp_path}/tokens",
        "VX11_SIDECAR_ADMIN_TOKEN_FILE": f"{tmp_path}/admin",
        "MADRE_TOKEN_FILE": f"{tmp_path}/madre",
    }
    loaded = load(tmp_path / "policy.yaml")
    here = resolve({}, read_environment(environ), environ, loaded)
    assert {file.name for file in here.files} == {"policy.yaml", "tokens", "admin", "switch", "madre"}
    assert renew(here, {}, read_environment(environ), environ, loaded).files == here.files


def test_a_reload_keeps_where_everything_is_and_takes_who_may_come_in():
    before = settled({"admin": "0.0.0.0:9180"}, {**TOKEN, "VX11_SIDECAR_ADMIN_TOKEN": "old"})
    after = again(before, environ={"API_TOKEN": "new", "VX11_SIDECAR_ADMIN_TOKEN": "newer"}, policy="mode: off\n")
    assert (after.listen, after.admin, after.gateway) == (before.listen, before.admin, before.gateway)
    assert after.snapshot.policy.mode == "off"
    assert [after.snapshot.tokens.judge([word]) for word in (b"new", b"link")] == [None, "wrong"]
    assert [after.mutators.judge([word]) for word in (b"newer", b"old")] == [None, "wrong"]
    assert after.exposed
    assert not again(settled()).exposed


@pytest.mark.parametrize(
    ("start", "now", "opens"),
    [
        (({}, ""), ({}, "auth: {mode: off}"), None),
        (({}, "auth: {mode: token}"), ({}, "auth: {mode: off}"), None),
        (({"VX11_AUTH_MODE": "token"}, ""), ({"VX11_AUTH_MODE": "token"}, "auth: {mode: off}"), False),
        (({"VX11_AUTH_MODE": "off"}, "auth: {mode: token}"), ({"VX11_AUTH_MODE": "off"}, ""), True),
        (({}, "auth: {mode: off}"), ({}, "auth: {mode: off}"), True),
        (({}, "auth: {mode: off}"), ({}, ""), False),
    ],
)
def test_a_file_alone_never_lets_everybody_in_while_we_run(start, now, opens):
    before = settled(environ={**TOKEN, **start[0]}, policy=start[1])
    if opens is None:
        with pytest.raises(
            UnusableSettingsError, match=r"^test:1:14: auth.mode: off does not take effect while serving"
        ):
            again(before, environ={**TOKEN, **now[0]}, policy=now[1])
    else:
        assert isinstance(again(before, environ={**TOKEN, **now[0]}, policy=now[1]).snapshot.tokens, Open) is opens


def test_a_reload_looks_no_name_up(monkeypatch):
    before = settled()
    monkeypatch.setattr(socket, "getaddrinfo", None)
    assert again(before, policy="targets: [{name: switch, url: 'http://switch.invalid:1'}]").snapshot.destinations
