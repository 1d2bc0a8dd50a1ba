"""Where a token is looked for: the order of the sources, an empty one that holds none, and how a query is read."""

from __future__ import annotations

from itertools import permutations
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.wire import head, request
from sidecar.wire.credential import bearer, offered, parameter
from sidecar.wire.target import Routes

ALL = ("header", "bearer", "query")
FOUND = {"header": b"in-header", "bearer": b"in-bearer", "query": b"in-query"}


def asked(
    *lines: str, target: str = "/operator/api/chat", sources=ALL, token: bytes = b"x-vx11-token"
) -> tuple[bytes, ...]:
    """The tokens of a whole head."""
    rules = head.rules(Routes(("/operator/api/chat",)), pseudonym=b"p", authority=b"a", token=token, sources=sources)
    read = request.read("\r\n".join((f"POST {target} HTTP/1.1", "Host: h", *lines, "", "")).encode("latin-1"), rules)
    assert isinstance(read, request.Request), read
    return read.tokens


@pytest.mark.parametrize("sources", [order for length in (1, 2, 3) for order in permutations(ALL, length)])
def test_the_first_source_that_holds_a_token_decides(sources):
    for present in [some for length in range(4) for some in permutations(ALL, length)]:
        found = offered(
            sources,
            [FOUND["header"]] if "header" in present else [],
            [b"Bearer " + FOUND["bearer"]] if "bearer" in present else [],
            b"/operator/api/chat" + (b"?token=" + FOUND["query"] if "query" in present else b""),
        )
        holding = [source for source in sources if source in present]
        assert found == ((FOUND[holding[0]],) if holding else ())


@pytest.mark.parametrize(
    ("lines", "target", "found"),
    [
        ((), "/operator/api/chat", ()),
        (("X-VX11-Token: a", "Authorization: Bearer b"), "/operator/api/chat?token=c", (b"a",)),
        (("X-VX11-Token: \t", "Authorization: Bearer b"), "/operator/api/chat?token=c", (b"b",)),
        (("X-VX11-Token:", "Authorization: Bearer"), "/operator/api/chat?token=c", (b"c",)),
        (("X-VX11-Token:", "Authorization: Basic b"), "/operator/api/chat?token=c", (b"c",)),
        (("X-VX11-Token:", "Authorization: Bearer "), "/operator/api/chat?token=", ()),
        (("Proxy-Authorization: Bearer b", "Cookie: token=d", "Referer: http://h/?token=e"), "/operator/api/chat", ()),
        ((), "http://h/operator/api/chat?token=c", (b"c",)),
        ((), "/operator/api/chat%3Ftoken=c", ()),
        ((), "/token=c", ()),
    ],
)
def test_an_empty_one_holds_none_and_the_next_is_looked_at(lines, target, found):
    assert asked(*lines, target=target) == found


def test_only_what_the_policy_names_is_looked_at():
    lines, target = ("Authorization: Bearer b",), "/operator/api/chat?token=c"
    assert asked(*lines, target=target, sources=("header",)) == ()
    assert asked(*lines, target=target, sources=("bearer",)) == (b"b",)
    assert asked("X-VX11-Token: a", *lines, target=target, sources=("query", "header")) == (b"c",)
    assert asked("X-Other: a", *lines, target=target, sources=("header", "bearer"), token=b"x-other") == (b"a",)


@pytest.mark.parametrize("field", ["X-VX11-Token", "Authorization"])
@pytest.mark.parametrize("sources", [("header",), ALL])
def test_two_fields_are_refused_whatever_is_in_them(field, sources):
    rules = head.rules(Routes(("/operator/api/chat",)), pseudonym=b"p", authority=b"a", sources=sources)
    raw = f"POST /operator/api/chat HTTP/1.1\r\nHost: h\r\n{field}: Bearer a\r\n{field}: Bearer a\r\n\r\n".encode()
    assert request.read(raw, rules).why.startswith("repeated_")


@pytest.mark.parametrize(
    ("value", "token"),
    [
        (b"Bearer a", b"a"),
        (b"bearer a", b"a"),
        (b"BEARER   a.b-c_d~e+f/g==", b"a.b-c_d~e+f/g=="),
        (b" \tBearer a\t ", b"a"),
        (b"Bearer a b", b"a b"),
        (b"Bearer a, Bearer b", b"a, Bearer b"),
        (b"Bearer", b""),
        (b"Bearer ", b""),
        (b"Bearer\ta", b""),
        (b"Bearera", b""),
        (b"Basic a", b""),
        (b"a", b""),
        (b"", b""),
    ],
)
def test_the_scheme_is_bearer_in_any_case(value, token):
    assert bearer(value) == token


@pytest.mark.parametrize(
    ("query", "token"),
    [
        (b"token=a", b"a"),
        (b"a=1&token=a&b=2", b"a"),
        (b"token=a&token=b", b"a"),
        (b"token=&token=b", b""),
        (b"token", b""),
        (b"&&token=a", b"a"),
        (b"tok%65n=%61", b"a"),
        (b"token=a+b%20c%2bd", b"a b c+d"),
        (b"token=a%26b%3Dc=d", b"a&b=c=d"),
        (b"token=%2561", b"%61"),  # once
        (b"token=%zz%6", b"%zz%6"),
        (b"token=%C3%B1", "ñ".encode()),
        (b"token=\xc3\xb1", "Ã±".encode()),  # read byte by byte, as the gateway's framework does
        (b"token=%ff", "\ufffd".encode()),
        (b"token=a;token=b", b"a;token=b"),
        (b"token=a?token=b", b"a?token=b"),
        (b"TOKEN=a", b""),
        (b"token%00=a", b""),
        (b"xtoken=a&token_=b", b""),
        (b"", b""),
    ],
)
def test_a_query_is_read_as_the_gateway_reads_it(query, token):
    assert parameter(query) == token


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(TEXT, st.lists(st.tuples(TEXT.filter(lambda name: name != "token"), TEXT), max_size=3), st.booleans())
def test_any_token_arrives_as_it_was_meant(token, before, plus):
    how = quote_plus if plus else quote
    pairs = [f"{how(name)}={how(value)}" for name, value in (*before, ("token", token), ("token", "other"))]
    assert parameter("&".join(pairs).encode()) == token.encode()
