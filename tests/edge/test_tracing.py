"""Traces: the client's context goes to whoever answers, and with an endpoint there are spans, which never cost a chat."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from contextlib import asynccontextmanager

import pytest
from kitchen import TOKEN, Peer, answering, http, until
from office import BASE as OFFICE_BASE
from office import CANARIES, standing
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from sidecar.core import fact as facts
from sidecar.core.vocabulary import Override, Reason
from sidecar.edge.outlets import tracing
from sidecar.edge.outlets.tracing import ENDPOINTS, PassedOn, UnusableTracingError, exported
from sidecar.wire import trace

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CAME = f"00-{TRACE}-{PARENT}-01"
GOOD = http(json.dumps({"status": "ok", "reply": "hola", "engine_used": "general-7b"}).encode())
MADRE = http(json.dumps({"response": "hola", "status": "DONE", "model": "local"}).encode())
FAILED = http(b'{"detail": "no"}', status="503 Service Unavailable")
BASE = OFFICE_BASE + "overload: {wait: 10s}\n"  # a busy machine turns nobody away here
REPEATED = BASE + "targets: [{name: switch, effects: none}, {name: madre}]\nretry: {backoff: {base: 1ms, max: 2ms}}\n"
MESSAGE, SESSION = "the-message-canary", "the-session-canary"


@pytest.fixture(autouse=True)
def no_endpoint(monkeypatch):
    for name in ENDPOINTS:
        monkeypatch.delenv(name, raising=False)


@asynccontextmanager
async def sidecar(tmp_path, switch, madre=None, text=BASE):
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    places = {"switch": f"127.0.0.1:{switch.port}"} | ({"madre": f"127.0.0.1:{madre.port}"} if madre else {})
    async with standing(path, **places) as office:
        yield office


async def chat(office, **headers):
    url = f"http://{office.sidecar.serving.listen}/operator/api/chat?query=canary"
    said = {"message": MESSAGE, "session_id": SESSION}
    async with office.client.post(url, json=said, headers={"X-VX11-Token": TOKEN} | headers) as got:
        assert got.status == 200
        return await got.json()


def field(request, name):
    """The values of a field in raw bytes."""
    lines = request.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return [value.strip() for key, _, value in (line.partition(":") for line in lines) if key.lower() == name]


# -- without an endpoint -----------------------------------------------------------------------------------------------


async def test_a_valid_context_goes_on_to_every_target_as_it_came(tmp_path):
    async with (
        Peer(answering(FAILED)) as switch,
        Peer(answering(MADRE)) as madre,
        sidecar(tmp_path, switch, madre) as office,
    ):
        await chat(office, traceparent=CAME, tracestate="vendor=1, other=2")
        for peer in (switch, madre):
            (asked,) = [request for request in peer.requests if request.startswith(b"POST")]
            assert field(asked, "traceparent") == [CAME]
            assert field(asked, "tracestate") == ["vendor=1, other=2"]
        (line,) = await office.logged("chat")
        assert (line["trace_id"], line["provider"], line["attempts"]) == (TRACE, "madre", 2)
        assert line["revision"] == (await office.state())["policy"]["revision"]
        assert SESSION not in json.dumps(office.log())


@pytest.mark.parametrize(
    "headers",
    [{}, {"traceparent": CAME.upper()}, {"traceparent": f"ff{CAME[2:]}", "tracestate": "a=1"}, {"tracestate": "a=1"}],
)
async def test_what_is_no_valid_context_goes_nowhere(tmp_path, headers):
    async with Peer(answering(GOOD)) as switch, sidecar(tmp_path, switch) as office:
        await chat(office, **headers)
        (asked,) = switch.requests
        assert field(asked, "traceparent") == field(asked, "tracestate") == []
        (line,) = await office.logged("chat")
        assert line["trace_id"] is None


@pytest.mark.parametrize("value", [CAME, CAME.upper(), "nonsense"])
async def test_what_is_relayed_keeps_its_trace_context_whatever_it_is(tmp_path, value):
    path = tmp_path / "policy.yaml"
    path.write_text(BASE)
    async with Peer(answering(GOOD)) as gateway, standing(path, gateway=f"127.0.0.1:{gateway.port}") as office:
        url = f"http://{office.sidecar.serving.listen}/health"
        async with office.client.get(url, headers={"traceparent": value, "tracestate": "a=1"}) as got:
            assert got.status == 200
        (asked,) = gateway.requests
        assert (field(asked, "traceparent"), field(asked, "tracestate")) == ([value], ["a=1"])


async def test_the_histogram_of_answer_times_leads_to_the_trace(tmp_path):
    async with Peer(answering(GOOD)) as switch, sidecar(tmp_path, switch) as office:
        await chat(office, traceparent=CAME)
        url = f"http://{office.sidecar.serving.admin}/metrics"
        for accept, shown in (("application/openmetrics-text; version=1.0.0", True), ("text/plain", False)):
            async with office.client.get(url, headers={"Accept": accept}) as got:
                assert (f'# {{trace_id="{TRACE}"}}' in await got.text()) is shown


def test_without_an_endpoint_nothing_of_the_library_is_imported():
    code = (
        "import sys\n"
        "from sidecar.edge import process\n"
        "from sidecar.edge.outlets.tracing import exported\n"
        "assert exported({'OTEL_EXPORTER_OTLP_ENDPOINT': ''}, lambda: 0.0) is None\n"
        "assert exported({'OTEL_EXPORTER_OTLP_ENDPOINT': 'http://h:1', 'OTEL_SDK_DISABLED': 'TRUE'}, lambda: 0.0) is None\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_what_is_passed_on_is_what_came():
    context = trace.read([CAME])
    assert PassedOn().begin(1, context) is context
    assert PassedOn().outgoing(1, 1) is None


# -- an endpoint, and no library ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ENDPOINTS)
def test_an_endpoint_without_the_extra_is_refused_with_what_to_install(name, monkeypatch):
    monkeypatch.delitem(sys.modules, "sidecar.edge.outlets.traces", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(
        UnusableTracingError, match=rf"{name} is set, but opentelemetry is not installed: .*vx11-sidecar\[otel\]"
    ):
        exported({name: "http://127.0.0.1:4318"}, lambda: 0.0)


def test_a_fault_of_our_own_is_not_taken_for_a_missing_extra(monkeypatch):
    monkeypatch.delitem(sys.modules, "sidecar.edge.outlets.traces", raising=False)
    monkeypatch.setitem(sys.modules, "sidecar.edge.outlets.traces", None)
    with pytest.raises(ImportError, match="traces"):
        tracing.exported({ENDPOINTS[0]: "http://127.0.0.1:4318"}, lambda: 0.0)


def test_serve_ends_with_exit_code_2_and_says_what_to_install():
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from sidecar.cli import main\n"
        "sys.exit(main(['serve', '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0']))"
    )
    environ = {"PATH": "", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "VX11_TENTACULO_LINK_TOKEN": "t"}
    ran = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == 2
    assert "vx11-sidecar[otel]" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert ran.stdout == ""


# -- spans -------------------------------------------------------------------------------------------------------------


class Collector(Peer):
    """Takes OTLP over HTTP and decodes it."""

    def spans(self):
        found = []
        for request in self.requests:
            assert request.startswith(b"POST /v1/traces ")
            exported = ExportTraceServiceRequest.FromString(request.partition(b"\r\n\r\n")[2])
            for resource in exported.resource_spans:
                assert attributes(resource.resource)["service.name"] == "vx11-sidecar"
                found += [span for scope in resource.scope_spans for span in scope.spans]
        return found

    async def whole(self, names):
        """All spans, once there are as many as expected."""
        await until(lambda: len(self.spans()) >= len(names))
        spans = sorted(self.spans(), key=lambda span: span.start_time_unix_nano)
        assert [span.name for span in spans] == names
        return spans


def attributes(of):
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in of.attributes}


def events(span):
    return [
        (event.name, {key.removeprefix("vx11."): value for key, value in attributes(event).items()})
        for event in span.events
    ]


@pytest.fixture
async def collector(monkeypatch):
    async with Collector(answering(http(b""))) as peer:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", peer.origin)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
        yield peer


async def test_a_chat_is_a_server_span_and_each_attempt_a_client_span_that_the_target_is_told_of(tmp_path, collector):
    began = time.time_ns()
    async with Peer(answering(GOOD)) as switch, sidecar(tmp_path, switch) as office:
        await chat(office, traceparent=CAME, tracestate="vendor=1", **{"X-Correlation-Id": "corr-1"})
        server, attempt = await collector.whole(["chat", "ask switch"])
    ended = time.time_ns()
    assert (server.trace_id.hex(), server.parent_span_id.hex()) == (TRACE, PARENT)
    assert (attempt.trace_id.hex(), attempt.parent_span_id) == (TRACE, server.span_id)
    assert (server.kind, attempt.kind) == (2, 3)  # SERVER, CLIENT
    assert began < server.start_time_unix_nano <= attempt.start_time_unix_nano
    assert attempt.end_time_unix_nano <= server.end_time_unix_nano < ended
    (asked,) = switch.requests
    assert field(asked, "traceparent") == [f"00-{TRACE}-{attempt.span_id.hex()}-01"]
    assert field(asked, "tracestate") == ["vendor=1"]
    told = attributes(server)
    assert told["http.route"] == "/operator/api/chat"
    assert (told["http.response.status_code"], told["vx11.outcome"], told["vx11.provider"]) == (
        200,
        "primary",
        "switch",
    )
    assert (told["vx11.correlation_id"], told["vx11.attempts"], told["vx11.degraded"]) == ("corr-1", 1, False)
    told = attributes(attempt)
    assert (told["vx11.target"], told["vx11.attempt"], told["vx11.verdict"]) == ("switch", 1, "success")
    assert told["http.response.status_code"] == 200


async def test_a_chat_that_came_without_a_trace_begins_one_and_the_log_says_which(tmp_path, collector):
    async with Peer(answering(GOOD)) as switch, sidecar(tmp_path, switch) as office:
        await chat(office)
        server, _ = await collector.whole(["chat", "ask switch"])
        assert server.parent_span_id == b""
        (line,) = await office.logged("chat")
        assert line["trace_id"] == server.trace_id.hex() != "0" * 32


async def test_a_trace_that_nobody_keeps_is_passed_on_and_not_exported(tmp_path, collector):
    async with Peer(answering(GOOD)) as switch, sidecar(tmp_path, switch) as office:
        await chat(office, traceparent=f"{CAME[:-2]}00")
        await chat(office, traceparent=CAME)
        await collector.whole(["chat", "ask switch"])
        first, _ = switch.requests
        (parent,) = field(first, "traceparent")
        assert parent.startswith(f"00-{TRACE}-")
        assert parent.endswith("-00")


async def test_what_happens_on_the_way_is_events_on_the_chat(tmp_path, collector):
    async with (
        Peer(answering(FAILED)) as switch,
        Peer(answering(MADRE)) as madre,
        sidecar(tmp_path, switch, madre, REPEATED) as office,
    ):
        await chat(office)
        server, first, second, third = await collector.whole(["chat", "ask switch", "ask switch", "ask madre"])
        assert [attributes(one)["vx11.attempt"] for one in (first, second, third)] == [1, 2, 3]
        assert [one.status.code for one in (first, second, third)] == [2, 2, 0]  # ERROR, ERROR, UNSET
        assert attributes(second)["http.response.status_code"] == 503
        names = [name for name, _ in events(server)]
        assert names == ["retry", "retry_denied", "fallback"]
        assert events(server)[1][1] == {"target": "switch", "why": "attempts"}
        await chat(office)  # two failures and one more open the breaker
        await chat(office)
        await until(lambda: len(collector.spans()) >= 8)
    happened = [event for span in collector.spans() if span.name == "chat" for event in events(span)]
    moves = [told for name, told in happened if name == "breaker_moved"]
    assert [(told["target"], told["before"], told["after"], told["why"]) for told in moves] == [
        ("switch", "closed", "open", "consecutive")
    ]
    assert ("refused", "open") in [(name, told.get("reason")) for name, told in happened]
    sent = {parent for peer in (switch, madre) for request in peer.requests for parent in field(request, "traceparent")}
    assert {parent.split("-")[2] for parent in sent} == {
        span.span_id.hex() for span in collector.spans() if span.name != "chat"
    }


async def test_nothing_secret_is_in_a_span(tmp_path, collector):
    async with Peer(answering(FAILED)) as switch, sidecar(tmp_path, switch, text=REPEATED) as office:
        await chat(office, traceparent=CAME, Cookie="cookie-canary")
        await until(lambda: any(span.name == "chat" for span in collector.spans()))
    sent = b"".join(collector.requests)
    assert len(sent) > 200
    for canary in (*CANARIES, MESSAGE, SESSION, "query=canary", "cookie-canary"):
        assert canary.encode() not in sent


async def hang(peer, request, writer):
    await asyncio.sleep(60)


@pytest.mark.parametrize("how", ["gone", "hung", "refusing"])
async def test_a_collector_that_does_not_take_spans_costs_no_chat_and_no_end(tmp_path, monkeypatch, how):
    async with Peer(hang if how == "hung" else answering(http(b"no", status="400 Bad Request"))) as peer:
        origin = "http://127.0.0.1:9" if how == "gone" else peer.origin
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{origin}/v1/traces")
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
        monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "16")
        monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8")
        async with Peer(answering(GOOD)) as switch:
            async with sidecar(tmp_path, switch, text=BASE + "guards: {rate_limit: 1000 per 60s}\n") as office:
                for _ in range(100):
                    answer = await chat(office)
                    assert answer["provider"] == "switch"
                began = time.monotonic()
            assert time.monotonic() - began < 10
            assert len(switch.requests) == 100


# -- the sink by itself ------------------------------------------------------------------------------------------------


@pytest.fixture
def kept():
    """A sink, and the spans it has ended."""
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter  # noqa: PLC0415

    from sidecar.edge.outlets.traces import Traces  # noqa: PLC0415

    exporter = InMemorySpanExporter()
    traces = Traces(lambda: 10.0, exporter)

    def spans():
        traces._provider.force_flush()
        return exporter.get_finished_spans()

    traces.spans = spans
    yield traces
    traces.close()


def begun(traces, call=1):
    traces.begin(call, None)
    traces(facts.CallBegan(10.0, call, 4.75, "c", "rev"))


def served(traces, call=1, status=200):
    traces(facts.ChatServed(11.0, call, "c", "local", status, 1.0, 0.1))


def test_an_override_is_an_event_on_every_chat_under_way(kept):
    begun(kept, 1)
    begun(kept, 2)
    kept(facts.Overridden(10.5, "switch", Override.OFF))
    kept(facts.Overridden(10.6, "switch", None))
    served(kept, 1)
    served(kept, 2)
    for span in kept.spans():
        assert [(event.name, event.attributes["vx11.override"]) for event in span.events] == [
            ("override", "off"),
            ("override", "ended"),
        ]


def test_a_breaker_that_no_chat_moved_is_no_chats_event(kept):
    begun(kept)
    kept(facts.DormancyHeard(10.1, frozenset({"switch"})))
    kept(facts.BreakerMoved(10.1, "switch", "open", "half_open", "window_opened", None))
    kept(facts.Refused(10.2, 1, "switch", Reason.OPEN, 3.0))
    kept(facts.BreakerMoved(10.2, "switch", "open", "half_open", "timer", None))
    served(kept)
    (span,) = kept.spans()
    assert [event.name for event in span.events] == ["refused", "breaker_moved"]
    assert span.events[1].attributes["vx11.why"] == "timer"
    assert not kept._calls


def test_times_of_a_span_are_the_times_of_its_facts(kept):
    begun(kept)
    served(kept)
    (span,) = kept.spans()
    assert span.end_time - span.start_time == 1_000_000_000


def test_an_error_of_ours_is_an_error_of_the_span(kept):
    begun(kept)
    served(kept, status=503)
    assert [span.status.status_code.name for span in kept.spans()] == ["ERROR"]


def test_facts_of_a_call_that_was_never_begun_are_nobodys(kept):
    for fact in (
        facts.CallBegan(10.0, 7, 4.75, "c", "rev"),
        facts.FellBack(10.0, 7, "switch", Reason.OPEN),
        facts.ChatServed(11.0, 7, "c", "local", 200, 1.0, 0.1),
    ):
        kept(fact)
    assert kept.outgoing(7, 1) is None
    assert kept.spans() == ()


def test_a_fault_in_the_library_takes_no_chat_along(kept, monkeypatch, caplog):
    def broken(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr(kept._tracer, "start_span", broken)
    came = trace.read([CAME])
    assert kept.begin(1, came) is came
    assert kept.outgoing(1, 1) is None
    assert "no span" in caplog.text


def test_calls_that_never_end_do_not_fill_the_memory(kept, monkeypatch):
    monkeypatch.setattr("sidecar.edge.outlets.traces.MOST_OPEN", 3)
    for call in range(10):
        kept.begin(call, None)
    assert list(kept._calls) == [7, 8, 9]
