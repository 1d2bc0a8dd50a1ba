"""The stand-in for ``ssl``: what it knows, and that everything else, and everybody afterwards, gets the real one."""

from __future__ import annotations

import ssl
import subprocess
import sys

import pytest

from sidecar.cli import no_tls
from sidecar.cli.no_tls import speaks_tls


def said(code):
    """What a process prints in which nobody had imported ``ssl`` before the stand-in."""
    begin = "import sys; from sidecar.cli import no_tls; no_tls.install(); import ssl; stand_in = ssl\n"
    return subprocess.run(
        [sys.executable, "-c", begin + code], capture_output=True, text=True, check=True
    ).stdout.split()


def test_whoever_takes_what_libraries_take_loads_no_openssl():
    assert said("import asyncio, uvloop; print('_ssl' in sys.modules, sys.modules['ssl'] is stand_in)") == [
        "False",
        "True",
    ]


def test_a_loop_of_such_a_process_serves():
    code = """
import asyncio, uvloop
async def main():
    async def answer(reader, writer):
        writer.write(await reader.readline()); writer.close()
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"heard\\n")
    print((await reader.read()).decode(), "_ssl" in sys.modules)
    writer.close(); server.close()
for factory in (asyncio.new_event_loop, uvloop.new_event_loop):
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())
"""
    assert said(code) == ["heard", "False"] * 2


@pytest.mark.parametrize("asked", ["OPENSSL_VERSION", "SSLSession", "create_default_context().verify_mode"])
def test_who_asks_for_more_gets_the_real_module_and_so_does_everybody(asked):
    code = f"stand_in.{asked}\nimport ssl\n"
    code += "print(ssl is not stand_in, ssl.SSLContext is stand_in.SSLContext, ssl.TLSVersion.TLSv1_2.name)"
    assert said(code) == ["True", "True", "TLSv1_2"]


def test_a_name_that_nobody_has_is_an_attribute_error():
    assert said("print(hasattr(ssl, 'no_such_thing'), hasattr(ssl, '__no_such_thing__'))") == ["False", "False"]


def test_where_the_real_one_is_already_it_stays():
    no_tls.install()
    assert sys.modules["ssl"] is ssl


def test_numbers_are_those_of_the_real_one_and_errors_are_of_the_same_kinds():
    for name, known in no_tls._KNOWN.items():
        real = getattr(ssl, name)
        if isinstance(known, int):
            assert known == int(real)
        elif isinstance(known, type) and issubclass(known, Exception):
            assert {base.__name__ for base in known.__mro__} == {base.__name__ for base in real.__mro__}


@pytest.mark.parametrize(
    ("environ", "speaks"),
    [
        ({}, False),
        ({"PATH": "/bin", "OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector"}, True),
        ({"VX11_SIDECAR_REDIS_URL": "rediss://somewhere"}, True),
        ({"VX11_SIDECAR_REDIS_URL_FILE": "/run/secrets/redis"}, True),
        ({"VX11_SIDECAR_TOKENS": "t"}, False),
    ],
)
def test_who_may_want_tls_is_told_by_what_is_set_up(environ, speaks):
    assert speaks_tls(environ) is speaks
