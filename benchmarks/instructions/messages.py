"""Messages as VX11's programs send them, whole and literal."""

from __future__ import annotations

TOKEN = "vx11-local-token-0123456789abcdef"
DATE = b"Date: Sat, 28 Nov 2026 16:00:00 GMT"

ASKED = (
    b"GET /operator/api/status?x=1 HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nUser-Agent: curl/8\r\nAccept: */*\r\n"
    b"Accept-Encoding: gzip, br\r\nX-VX11-Token: " + TOKEN.encode() + b"\r\n"
)
HEAD = ASKED + b"X-Request-Id: 1\r\n\r\n"

ANSWER_HEAD = (
    b"HTTP/1.1 200 OK\r\ndate: Sat, 28 Nov 2026 16:00:00 GMT\r\nserver: uvicorn\r\ncontent-length: 1024\r\n"
    b"content-type: application/json\r\n\r\n"
)
ANSWER = ANSWER_HEAD + b'{"status":"ok","modules":"' + b"x" * 996 + b'"}'

ESCAPED = b"/operator/api/v1/events/ma%C3%B1ana%20temprano?from=2026-11-28T16%3A00&limit=20"

CHUNK = b"400\r\n" + b"x" * 1024 + b"\r\n"
CHUNKED = CHUNK * 64 + b"0\r\n\r\n"

QUESTION = (
    b'{"message":"\xc2\xbfQu\xc3\xa9 m\xc3\xb3dulos est\xc3\xa1n activos ahora, y por qu\xc3\xa9 el switch responde m\xc3\xa1s '
    b'lento que ayer?","session_id":"ui-6f1c2b9e-7c1d-4a53-9d0e-2f4b8a6c5d71",'
    b'"metadata":{"source":"operator-ui","task_type":"chat","provider_hint":null}}'
)
SAID = (
    '{"status":"ok","provider":"local","decision":"local",'
    '"content":"[local-7b] Ahora están activos madre, switch y hormiguero; spawner está en reposo.",'
    '"reply":"[local-7b] Ahora están activos madre, switch y hormiguero; spawner está en reposo.",'
    '"latency_ms":312,"engine_used":"general-7b","used_cli":false,"fallback_reason":"cli_unavailable","tokens_used":87}'
).encode()


def unique_heads(number: int) -> list[bytes]:
    """Heads that differ in one line, as of a client that gives each request an id."""
    return [ASKED + b"X-Request-Id: %032d\r\n\r\n" % each for each in range(number)]


def unique_queries(number: int) -> list[bytes]:
    """Heads that differ in the query, as of a client that asks for what came after something."""
    return [ASKED.replace(b"?x=1", b"?after=%032d" % each) + b"\r\n" for each in range(number)]


def unique_answers(number: int) -> list[bytes]:
    """Answers' heads that differ in the second, in the length and in a name that the gateway echoes."""
    named = ANSWER_HEAD[:-2] + b"x-request-id: %032d\r\n\r\n"
    return [
        named.replace(b"16:00:00", b"16:%02d:%02d" % divmod(each, 60)).replace(b"1024", b"%d" % (each + 1)) % each
        for each in range(number)
    ]
