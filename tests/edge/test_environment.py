"""What the environment says: precedence of the variables, secrets in files, and what cannot be a token."""

from __future__ import annotations

import pytest

from sidecar.edge.environment import LONGEST_SECRET, UnusableEnvironmentError, read_environment, secret_from

LINK, GATEWAY, API, OPERATOR = "VX11_TENTACULO_LINK_TOKEN", "VX11_GATEWAY_TOKEN", "API_TOKEN", "VX11_OPERATOR_TOKEN"
MORE = "VX11_SIDECAR_TOKENS"


@pytest.fixture
def secret(tmp_path):
    def write(content: str | bytes, name: str = "secret") -> str:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return write


def test_an_empty_environment_says_nothing():
    said = read_environment({})
    assert said == (None, frozenset(), None, None, None, None, None, None)


@pytest.mark.parametrize(
    ("environ", "link", "accepted"),
    [
        ({LINK: "l", GATEWAY: "g", API: "a", OPERATOR: "o"}, "l", {"l"}),
        ({GATEWAY: "g", API: "a", OPERATOR: "o"}, "g", {"o"}),
        ({GATEWAY: "g", API: "a"}, "g", {"g"}),
        ({API: "a"}, "a", {"a"}),
        ({OPERATOR: "o"}, "o", {"o"}),
        ({LINK: "", GATEWAY: "  ", API: "a"}, "a", {"a"}),
        ({LINK: "l", MORE: "m,n"}, "l", {"l", "m", "n"}),
        ({MORE: "m"}, None, {"m"}),
    ],
)
def test_the_first_variable_that_says_something_counts(environ, link, accepted):
    said = read_environment(environ)
    assert (said.link_token, said.accepted) == (link, accepted)


@pytest.mark.parametrize("text", ["a,b", " a , b ", "a\nb", "a\r\nb\r\n", ",a,,b,", "a,\n,b\n\n", "a,b,a"])
def test_a_list_of_tokens_is_parted_by_commas_and_lines(text, secret):
    assert read_environment({MORE: text}).accepted == {"a", "b"}
    assert read_environment({f"{MORE}_FILE": secret(text)}).accepted == {"a", "b"}


def test_a_comma_within_a_single_token_belongs_to_it():
    assert read_environment({LINK: "a,b"}).accepted == {"a,b"}


def test_the_url_of_what_replicas_share_is_a_secret_like_the_others(secret):
    url = "redis://:password@h:6379/0"
    assert read_environment({"VX11_SIDECAR_REDIS_URL": url}).redis == url
    assert read_environment({"VX11_SIDECAR_REDIS_URL_FILE": secret(url + "\n")}).redis == url


@pytest.mark.parametrize("name", [LINK, GATEWAY, API, OPERATOR])
def test_every_token_may_come_from_a_file(name, secret):
    assert read_environment({f"{name}_FILE": secret("from-file\n")}).accepted == {"from-file"}


def test_the_admin_token_comes_from_its_variable_or_file(secret):
    assert read_environment({"VX11_SIDECAR_ADMIN_TOKEN": "x"}).admin_token == "x"
    assert read_environment({"VX11_SIDECAR_ADMIN_TOKEN_FILE": secret("y\n")}).admin_token == "y"


def test_the_variable_comes_before_its_file(tmp_path):
    assert read_environment({LINK: "said", f"{LINK}_FILE": str(tmp_path / "absent")}).link_token == "said"


def test_the_file_of_an_earlier_variable_comes_before_a_later_variable(secret):
    assert read_environment({f"{LINK}_FILE": secret("file"), GATEWAY: "g"}).link_token == "file"


@pytest.mark.parametrize("content", ["", "\n", " \n "])
def test_an_empty_file_says_nothing(content, secret):
    said = read_environment({f"{LINK}_FILE": secret(content), f"{MORE}_FILE": secret(content, "more"), API: "a"})
    assert said.accepted == {"a"}


@pytest.mark.parametrize("name", [LINK, MORE, "VX11_SIDECAR_ADMIN_TOKEN"])
@pytest.mark.parametrize(("place", "why"), [("absent", "No such file"), (".", "Is a directory")])
def test_a_file_that_cannot_be_read_is_no_absent_secret(name, place, why, tmp_path):
    with pytest.raises(UnusableEnvironmentError, match=why) as raised:
        read_environment({f"{name}_FILE": str(tmp_path / place), API: "a"})
    assert str(tmp_path) in str(raised.value)


def test_a_file_of_secrets_has_a_size(secret):
    assert len(read_environment({f"{LINK}_FILE": secret("x" * LONGEST_SECRET)}).link_token) == LONGEST_SECRET
    with pytest.raises(UnusableEnvironmentError, match="larger"):
        read_environment({f"{LINK}_FILE": secret("x" * (LONGEST_SECRET + 1))})


@pytest.mark.parametrize("token", ["pässwort", "a\tb", "a\x00b", "a\x7fb", "a\udcffb", "a\nb", "a\r\nX-Evil: 1"])
def test_a_token_that_cannot_stand_in_a_field_is_refused_without_being_shown(token, secret):
    for environ in (
        {LINK: token},
        {f"{LINK}_FILE": secret(token.encode("utf-8", "surrogateescape"))},
        {"VX11_SIDECAR_ADMIN_TOKEN": token},
    ):
        with pytest.raises(UnusableEnvironmentError, match="printable ASCII") as raised:
            read_environment(environ)
        assert token not in str(raised.value)


@pytest.mark.parametrize("text", ["a,pässwort", "a\tb", "a\x00"])
def test_one_bad_token_spoils_the_list(text):
    with pytest.raises(UnusableEnvironmentError, match=MORE):
        read_environment({MORE: text})


@pytest.mark.parametrize(
    ("value", "mode"),
    [
        (None, None),
        ("", None),
        ("off", "off"),
        ("OFF", "token"),
        ("token", "token"),
        ("jwt", "token"),
        ("off ", "token"),
    ],
)
def test_exactly_off_opens(value, mode):
    environ = {} if value is None else {"VX11_AUTH_MODE": value}
    assert read_environment(environ).auth_mode == mode


def test_addresses_are_taken_as_they_are_and_an_empty_one_is_none():
    environ = {"VX11_SIDECAR_GATEWAY_URL": "http://g:1", "VX11_SWITCH_URL": "", "VX11_MADRE_URL": "http://m:2"}
    said = read_environment(environ)
    assert (said.gateway, said.switch, said.madre) == ("http://g:1", None, "http://m:2")


def test_a_policy_may_name_a_variable_or_a_file(secret):
    assert secret_from("env X", {"X": " x "}) == "x"
    assert secret_from("env X", {"X_FILE": secret("y\n")}) == "y"
    assert secret_from(f"file {secret('z' + chr(10))}", {}) == "z"


@pytest.mark.parametrize(
    "origin", ["env X", "file {empty}", "file {absent}", "file {lines}", "file {binary}", "file a\0b"]
)
def test_a_secret_that_is_not_there_or_is_none_is_an_error(origin, secret, tmp_path):
    places = {
        "empty": secret("", "e"),
        "lines": secret("a\nb", "l"),
        "binary": secret(b"a\xff", "b"),
        "absent": tmp_path / "no",
    }
    with pytest.raises(UnusableEnvironmentError):
        secret_from(origin.format_map(places), {"X": " "})
