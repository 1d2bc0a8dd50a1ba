"""The body of a chat, read as FastAPI would read it, and what it says about one that is none; ids and patience of the client.

The expected answers were taken from FastAPI itself, but for those under "deliberate differences".
"""

from __future__ import annotations

import json
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.edge.chat import request
from sidecar.edge.chat.reply import Caller, invalid
from sidecar.edge.chat.request import Chat, Invalid, correlation_id, patience, read_chat

JSON = "application/json"
CORPUS = json.loads((Path(__file__).parent.parent / "corpus" / "json_bodies.json").read_text())["cases"]
NO_OBJECT = "Input should be a valid dictionary or object to extract fields from"
UNPARSED = Invalid(400, "There was an error parsing the body")


def item(kind, loc, msg, given, **more):
    return {"type": kind, "loc": ["body", *loc], "msg": msg, "input": given, **more}


def not_json(position, why):
    return Invalid(422, [item("json_invalid", [position], "JSON decode error", {}, ctx={"error": why})])


def no_object(given):
    return Invalid(422, [item("model_attributes_type", [], NO_OBJECT, given)])


def nested(levels, before=b"", after=b""):
    return before + b"[" * levels + b"]" * levels + after


# -- what passes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "chat"),
    [
        (b'{"message":"hola"}', Chat(message="hola")),
        (b'{"message":""}', Chat(message="")),
        (b' \r\n{"message":"x"}\t', Chat(message="x")),
        (b'{"message":"x","session_id":null,"metadata":null}', Chat(message="x")),
        (b'{"message":"x","session_id":""}', Chat(message="x", session_id="")),
        (b'{"message":"x","metadata":{"a":[1,{"b":null}]}}', Chat(message="x", metadata={"a": [1, {"b": None}]})),
        (b'{"message":"x","correlation_id":7}', Chat(message="x", correlation_id=7)),
        (b'{"message":"x","future":1,"__proto__":{}}', Chat(message="x")),
        (b'{"message":"first","message":"last"}', Chat(message="last")),
        (b'{"message":1,"message":"last"}', Chat(message="last")),
        (b'{"message":"\\ud83d\\ude00"}', Chat(message="\U0001f600")),
        (b'{"message":"a\\u0000b"}', Chat(message="a\0b")),
        (b'\xef\xbb\xbf{"message":"x"}', Chat(message="x")),
        (b'{"message":"x","metadata":{"n":123456789012345678901234567890}}', Chat(message="x", metadata={"n": 123456789012345678901234567890.0})),
    ],
)  # fmt: skip
def test_a_chat_is_read(body, chat):
    assert read_chat(body, JSON) == chat


@pytest.mark.parametrize(
    "content_type",
    [
        None, "", "application/json", "application/JSON", "application/json; charset=utf-8", "application/json;charset=latin-1",
        "application/json ;x", "application/vnd.x+json", "application/a+b+json", "application/x_y+json", "application/+json",
    ],
)  # fmt: skip
def test_json_by_any_of_its_names_is_read(content_type):
    assert read_chat(b'{"message":"x"}', content_type) == Chat(message="x")


# -- what does not, in FastAPI's words ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp", "application/json+x",
        "text/json", "json", "application/json, text/plain", " ", "application/ json", "x application/json",
    ],
)  # fmt: skip
def test_a_body_of_another_type_is_a_string(content_type):
    assert read_chat(b'{"message":"x"}', content_type) == no_object('{"message":"x"}')


@pytest.mark.parametrize("content_type", [None, JSON, "text/plain"])
def test_an_empty_body_is_missing(content_type):
    assert read_chat(b"", content_type) == Invalid(422, [item("missing", [], "Field required", None)])


@pytest.mark.parametrize(
    ("body", "given"),
    [
        (b"null", None),
        (b"[]", []),
        (b'"s"', "s"),
        (b"5", 5),
        (b"true", True),
        (b'[{"message":"x"}]', [{"message": "x"}]),
    ],
)
def test_what_is_no_object_cannot_be_a_chat(body, given):
    assert read_chat(body, JSON) == no_object(given)


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        (b"{}", [("missing", "message", "Field required", {})]),
        (b'{"session_id":"s"}', [("missing", "message", "Field required", {"session_id": "s"})]),
        (b'{"message":42}', [("string_type", "message", "Input should be a valid string", 42)]),
        (b'{"message":null}', [("string_type", "message", "Input should be a valid string", None)]),
        (b'{"message":true}', [("string_type", "message", "Input should be a valid string", True)]),
        (b'{"message":{}}', [("string_type", "message", "Input should be a valid string", {})]),
        (b'{"message":"x","session_id":7}', [("string_type", "session_id", "Input should be a valid string", 7)]),
        (b'{"message":"x","metadata":[1]}', [("dict_type", "metadata", "Input should be a valid dictionary", [1])]),
        (
            b'{"metadata":7,"session_id":[],"message":1}',
            [
                ("string_type", "message", "Input should be a valid string", 1),
                ("string_type", "session_id", "Input should be a valid string", []),
                ("dict_type", "metadata", "Input should be a valid dictionary", 7),
            ],
        ),
    ],
)
def test_every_member_of_a_wrong_type_is_named(body, problems):
    assert read_chat(body, JSON) == Invalid(422, [item(kind, [at], msg, given) for kind, at, msg, given in problems])


@pytest.mark.parametrize(
    ("body", "position", "why"),
    [
        (b" ", 1, "Expecting value"),
        (b"\xef\xbb\xbf", 0, "Expecting value"),
        (b"nope", 0, "Expecting value"),
        (b"'a'", 0, "Expecting value"),
        (b"{", 1, "Expecting property name enclosed in double quotes"),
        (b"{bad", 1, "Expecting property name enclosed in double quotes"),
        (b"\xef\xbb\xbf{bad", 1, "Expecting property name enclosed in double quotes"),
        (b'{"message":}', 11, "Expecting value"),
        (b'{"message":"x"} x', 16, "Extra data"),
        (b'{"message":"x",}', 15, "Expecting property name enclosed in double quotes"),
        ('{"message":"é",}'.encode(), 15, "Expecting property name enclosed in double quotes"),
        (b'{"message":"x"/**/}', 14, "Expecting ',' delimiter"),
        (b'{"message" "x"}', 11, "Expecting ':' delimiter"),
        (b'{"message":"x" "y":1}', 15, "Expecting ',' delimiter"),
        (b'{"message":"a\tb"}', 13, "Invalid control character at"),
        (b'{"message":"\\x"}', 12, "Invalid \\escape"),
        (b'{"message":"\\u12"}', 13, "Invalid \\uXXXX escape"),
        (b'{"message":"x', 11, "Unterminated string starting at"),
        (b"[1,]", 3, "Expecting value"),
    ],
)
def test_what_is_no_json_is_told_where_and_why(body, position, why):
    assert read_chat(body, JSON) == not_json(position, why)


@pytest.mark.parametrize(
    "body",
    [
        b"\xff",
        b'{"message":"\xff"}',
        b'{"message":"\xed\xa0\x80"}',
        b'{"message":"\xc0\x80"}',
        '{"message":"x"}'.encode("utf-16"),
    ],
)
def test_what_is_no_utf_8_is_a_400(body):
    assert read_chat(body, JSON) == UNPARSED


# -- deliberate differences --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b'{"message":"\\ud800"}',
        b'{"message":"x\\udc00x"}',
        b'{"message":"x","metadata":{"\\ud800":1}}',
        b'{"message":"x","metadata":{"a":["\\ud800"]}}',
        b'{"message":"x","session_id":"\\ud800"}',
        b'{"message":"x","correlation_id":"\\ud800"}',
        b'{"message":"x","\\ud800":1}',
        b'{"message":"x","metadata":{"a":NaN}}',
        b'{"message":"x","metadata":{"a":-Infinity}}',
        b'{"message":"x","metadata":{"a":1e999}}',
    ],
)
def test_what_python_reads_but_nobody_else_could_is_a_422(body):
    assert read_chat(body, JSON) == not_json(0, "NaN, Infinity and lone surrogates are not JSON")


@pytest.mark.parametrize(
    ("body", "given"),
    [
        (b'{"message":1,"session_id":"\\ud800"}', 1),
        (b'{"message":["\\ud800"]}', "['\\ud800']"),
        (b'{"message":{"\\udfff":1}}', "{'\\udfff': 1}"),
        (b'{"message":-1e999}', None),
        (b'{"message":1,"metadata":{"n":NaN}}', 1),
    ],
)
def test_an_echo_that_cannot_be_written_is_written_otherwise(body, given):
    said = read_chat(body, JSON)
    assert orjson.loads(orjson.dumps(said.detail))[0]["input"] == given


def test_an_integer_beyond_64_bits_is_echoed_as_text():
    said = read_chat(b'{"message":' + b"1" * 400 + b"}", JSON)
    assert said.detail[0]["input"] == "1" * 200


def test_a_number_too_long_to_be_read_is_a_422():
    assert read_chat(b'{"message":' + b"1" * 5000 + b"}", JSON) == not_json(
        0, "Too deeply nested, or a number that is too long"
    )


@pytest.mark.parametrize("levels", [201, 252, 254, 255, 900, 1020, 1500, 30_000])
@pytest.mark.parametrize("place", [(b"", b""), (b'{"message":"x","metadata":{"a":', b"}}"), (b'{"metadata":{"a":', b"}}"), (b'{"message":"x","a":', b"}"), (b'{"message":"\\ud800","a":', b"}")])  # fmt: skip
def test_what_is_nested_too_deep_is_a_422(place, levels):
    said = read_chat(nested(levels, *place), JSON)
    assert (said.status, said.detail[0]["type"], said.detail[0]["loc"]) == (422, "json_invalid", ["body", 0])
    assert said.detail[0]["ctx"]["error"].startswith("Too deeply nested")


def test_nesting_that_can_be_written_again_passes():
    said = read_chat(nested(197, b'{"message":"x","metadata":{"a":', b"}}"), JSON)
    assert isinstance(said, Chat)
    assert orjson.dumps({"messages": [], "metadata": said.metadata})
    refused = read_chat(nested(199), JSON)
    assert orjson.loads(invalid(Caller("c"), 422, refused.detail).body)["detail"][0]["input"] == orjson.loads(
        nested(199)
    )


def test_many_brackets_side_by_side_are_not_deep():
    body = b'{"message":"' + b"[" * 300 + b'","metadata":{"a":[' + b"[]," * 300 + b"{}]}}"
    assert isinstance(read_chat(body, JSON), Chat)


# -- whatever comes ----------------------------------------------------------------------------------------------------


def encodable(said):
    """An answer can be written, and so can everything of a chat that goes on."""
    if isinstance(said, Invalid):
        assert said.status in (400, 422)
        return invalid(Caller("c"), said.status, said.detail).body
    return orjson.dumps(
        {"messages": [{"content": said.message}], "session": said.session_id, "metadata": said.metadata}
    )


@pytest.mark.parametrize("case", CORPUS, ids=[case["id"] for case in CORPUS])
def test_the_corpus_ends_as_it_may(case):
    said = read_chat(case["body"].encode(), JSON)
    encodable(said)
    assert (200 if isinstance(said, Chat) else said.status) in case["expect"]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(st.characters()), below, max_size=4),
    max_leaves=12,
)
names = st.sampled_from(["message", "session_id", "metadata", "correlation_id"])
types = st.sampled_from([None, JSON, "text/plain", "application/x+json"]) | st.text(max_size=30)


@given(st.binary(max_size=200), types)
def test_no_bytes_make_it_raise(body, content_type):
    encodable(read_chat(body, content_type))


@given(st.dictionaries(names | st.text(max_size=5), anything, max_size=6), st.booleans(), types)
def test_no_json_makes_it_raise(value, ascii_only, content_type):
    body = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    encodable(read_chat(body, content_type))


@given(
    st.text(),
    st.none() | st.text(),
    st.none() | st.dictionaries(st.text(), st.integers(-(2**63), 2**63) | st.text(), max_size=3),
)
def test_every_chat_that_can_be_written_is_read_as_it_was(message, session_id, metadata):
    wanted = {"message": message, "session_id": session_id, "metadata": metadata}
    assert read_chat(json.dumps(wanted).encode(), JSON) == Chat(**wanted)


@given(st.dictionaries(names | st.text(max_size=5), anything, max_size=6) | anything)
def test_what_pydantic_is_not_asked_about_it_would_have_said_the_same_of(value):
    plain = request._plain(value)
    if plain is not None:
        assert plain == request._shaped(value)


# -- the id and the patience of a client -------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["a", "A-b_c.9", "x" * 128, "018f6c2e-0000-4000-8000-000000000000"])
def test_a_plain_id_is_taken(text):
    assert correlation_id(text, None) == correlation_id(None, text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "x" * 129,
        "a b",
        "a\nb",
        "a\n",
        "c\r\nx: y",
        "é",
        "a\x85",
        "\u2028",
        "\ud800",
        "{}",
        "a;b",
        7,
        None,
        ["a"],
        {"a": 1},
        b"a",
    ],
)
def test_any_other_id_is_not(text):
    assert correlation_id(None, text) is None
    assert correlation_id(text if isinstance(text, str) else None, None) is None


def test_the_header_comes_before_the_body():
    assert correlation_id("header", "body") == "header"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 4.75),
        ("2000", 1.75),
        ("5000", 4.75),
        ("9000", 4.75),
        ("999999999", 4.75),
        ("500", 0.25),
        ("499", 0.2495),
        ("100", 0.05),
        ("1", 0.0005),
        ("0002000", 1.75),
        ("0", 4.75),
        ("000", 4.75),
        ("", 4.75),
        ("-1", 4.75),
        ("+2000", 4.75),
        ("2000.5", 4.75),
        ("2e3", 4.75),
        ("2_000", 4.75),
        (" 2000", 4.75),
        ("2s", 4.75),
        ("²", 4.75),
        ("\uff12\uff10", 4.75),
        ("1" * 10, 4.75),
        ("1" * 10_000, 4.75),
        ("nan", 4.75),
        ("2000, 1000", 4.75),
    ],
)
def test_the_answer_leaves_before_the_shorter_patience_ends(header, seconds):
    assert patience(header, 5.0, 0.25) == pytest.approx(seconds)


@given(st.none() | st.text(max_size=12) | st.integers(-5, 10**10).map(str))
def test_there_is_always_some_time_and_never_more_than_the_policy_gives(header):
    assert 0 < patience(header, 5.0, 0.25) <= 4.75
