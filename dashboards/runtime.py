"""Runtime: utilisation, saturation and errors of the process, and everything it relays."""

from __future__ import annotations

from dashboards import observed
from dashboards.board import board
from dashboards.colours import (
    BAD,
    GOOD,
    KINDS,
    NEUTRAL,
    PERCENTILES,
    REFUSED,
    RELAY_ERRORS,
    RELOADS,
    SHED,
    STATUS_CLASSES,
    WARN,
)
from dashboards.expressions import counted, counted_if_seen, increase, metric, quantile, rate, rate_if_seen, total
from dashboards.panels import Query, bars, figure, listing, series, shares

_EACH = "{{instance}} {{worker}}"  # the second where one instance has several


def made() -> str:
    panels = [
        "The process",
        _builds(),
        _uptime(),
        _descriptors(),
        _cpu(),
        _memory(),
        _lag(),
        _stalls(),
        _collector(),
        _freed(),
        _losses(),
        _restarts(),
        "Connections and load",
        _connections(),
        _inflight(),
        _shed(),
        _refused(),
        "Relay: everything that is not chat",
        _relayed(),
        _relay_latency(),
        _relay_errors(),
        _relay_bytes(),
        _usage(),
        _kinds(),
        *observed.row(),
        "Policy files",
        _reloads(),
        _age(),
    ]
    text = "Utilisation, saturation and errors of the sidecar's process, and of everything it relays."
    return board("runtime", "Runtime", text, panels)


def _builds() -> object:
    text = "Which build runs where. Two versions for longer than a roll-out takes: one was forgotten."
    columns = {"instance": "sidecar", "version": "version", "python": "Python"}
    query = Query(metric("build_info"), _EACH, instant=True)
    return listing("Builds", text, "none", query, empty="no sidecar is scraped", columns=columns)


def _uptime() -> object:
    text = (
        "Time since the process started. A start nobody ordered: the log's last lines say why it ended. Overrides, "
        "windows and budgets begin anew with a process."
    )
    query = Query(f"time() - {metric('process_start_time_seconds')}", _EACH, instant=True)
    return figure(
        "Up for", text, "dtdurations", query, empty="no sidecar is scraped", steps=((None, WARN), (600, GOOD))
    )


def _descriptors() -> object:
    text = (
        "Open file descriptors, of those the process may have. Each client connection takes one, each relayed "
        "request another. Above 75 %: raise the limit of the service (LimitNOFILE, ulimits), or find who leaves "
        "connections open. At 100 % new connections are closed at once."
    )
    exhausted = metric("descriptors_exhausted")  # then nobody can count them
    expr = f"{metric('process_open_fds')} / {metric('process_max_fds')} or {exhausted} > 0"
    steps = ((None, GOOD), (0.75, WARN), (0.9, BAD))
    query = Query(expr, _EACH, instant=True)
    return shares(
        "File descriptors in use",
        text,
        "percentunit",
        query,
        empty="no sidecar is scraped",
        steps=steps,
        width=6,
        height=5,
    )


def _cpu() -> object:
    text = (
        "Processor time per second; the loop is one thread, so 100 % is all there is. Above 70 % latency grows for "
        "everybody: run a second sidecar, or find out on the usage panel who asks so much."
    )
    query = Query(rate("process_cpu_seconds_total"), _EACH)
    steps = ((None, "transparent"), (0.7, WARN), (1, BAD))
    return series("CPU", text, "percentunit", query, empty="no sidecar is scraped", steps=steps)


def _memory() -> object:
    text = (
        "Resident memory. It grows with open connections and remembered sessions, and levels off. Growth without "
        "end over days is a leak: report it with this picture."
    )
    query = Query(metric("process_resident_memory_bytes"), _EACH)
    return series("Memory", text, "bytes", query, empty="no sidecar is scraped")


def _lag() -> object:
    text = (
        "How late the loop was at most in the last half second: how late it serves everybody. Above 50 ms for long: too little CPU, or "
        "too many connections for one process. Single peaks at a reload are normal."
    )
    query = Query(metric("event_loop_lag_seconds"), _EACH)
    steps = ((None, "transparent"), (0.05, WARN), (0.25, BAD))
    return series("Event loop lag", text, "s", query, empty="no sidecar is scraped", steps=steps)


def _stalls() -> object:
    text = (
        "Ticks of the loop that came more than 250 ms late: moments in which nobody was served. Any that repeat: "
        "look at CPU, then at what else runs on the machine."
    )
    query = Query(counted("event_loop_stalls_total", by="instance, worker"), _EACH)
    return bars("Event loop stalls", text, query, empty="no sidecar is scraped", shades="orange")


def _collector() -> object:
    text = (
        "Runs of Python's garbage collector per second, by generation. Generation 2 more than once a second is churn "
        "worth a report."
    )
    return series(
        "Garbage collection",
        text,
        "ops",
        Query(total(rate("python_gc_collections_total"), "generation"), "generation {{generation}}"),
        empty="no sidecar is scraped",
        colours={f"generation {each}": colour for each, colour in enumerate(("light-blue", "blue", "purple"))},
        width=6,
    )


def _freed() -> object:
    text = (
        "Objects per second that the garbage collector freed: cycles that nobody else lets go of. Thousands for long "
        "with level traffic are worth a report."
    )
    query = Query(total(rate("python_gc_objects_collected_total")), "objects freed")
    colours = {"objects freed": "blue"}
    return series("Objects collected", text, "cps", query, empty="no sidecar is scraped", colours=colours, width=6)


def _losses() -> object:
    text = (
        "Lines that were not written. dropped: nobody took them fast enough, or the disk is full; a journal with "
        "gaps can no longer be replayed exactly. suppressed: left out on purpose by sampling, so that an outage is "
        "no log storm."
    )
    lost = {"log_dropped": "orange", "journal_dropped": "red", "log_suppressed": NEUTRAL}
    return bars(
        "Log and journal lines lost",
        text,
        *(Query(counted(f"{name}_total", by=""), name.replace("_", " ")) for name in lost),
        empty="no sidecar is scraped",
        colours={name.replace("_", " "): colour for name, colour in lost.items()},
    )


def _restarts() -> object:
    text = (
        "Workers that ended and were started again, where one port has several. Any that repeat: the log's line "
        "worker_ended has the exit code. Of one process alone there is nothing here."
    )
    query = Query(counted("worker_restarts_total", by="instance, worker"), _EACH)
    empty = "no worker was started again"
    return bars("Workers started again", text, query, empty=empty, width=24, height=5, shades="red")


def _connections() -> object:
    text = (
        "Open client connections and WebSocket tunnels. A steady climb with level traffic: clients that never "
        "close, see relay.timeouts.idle; at relay.limits.connections new ones get 503."
    )
    return series(
        "Connections",
        text,
        "short",
        Query(total(metric("client_connections")), "client connections"),
        Query(total(metric("websocket_connections")), "WebSockets"),
        empty="no sidecar is scraped",
        colours={"client connections": "blue", "WebSockets": "purple"},
    )


def _inflight() -> object:
    text = (
        "Requests under way: chats, relayed requests, tunnels. Chats that pile up wait for switch or madre: see the "
        "slots on the upstreams board. SSE and WebSockets stay as long as their clients do."
    )
    query = Query(total(metric("inflight_requests"), "kind"), "{{kind}}")
    colours = {"chat": "green", "relay": "blue", "tunnel": "purple"}
    return series("Requests under way", text, "short", query, empty="no sidecar is scraped", colours=colours)


def _shed() -> object:
    text = (
        "Requests answered 503 at once because there was too much to do. chats, relays: too many of them at a time; lag: "
        "the loop is too late. A chat that was shed counts as failed. Short bursts are the protection at work; for "
        "long, run a second sidecar."
    )
    query = Query(counted("shed_requests_total", by="why"), "{{why}}")
    return bars("Shed", text, query, empty="no sidecar is scraped", colours=SHED)


def _refused() -> object:
    text = (
        "Messages on the data port that are not HTTP as it is accepted, by the rule they break. Scanners and "
        "attempts at request smuggling (reds) end here. A rise after a client's update: that client is broken; the log "
        "names the rule, never the content."
    )
    query = Query(counted_if_seen("messages_refused_total", by="why"), "{{why}}")
    return bars("Messages refused", text, query, empty="no message was refused in this range", colours=REFUSED)


def _relayed() -> object:
    text = (
        "Requests relayed to the gateway per second, by class of status; none means there was no answer to give. "
        "5xx are the gateway's own, passed on unchanged."
    )
    query = Query(rate_if_seen("relay_requests_total", by="status_class"), "{{status_class}}")
    empty = "nothing was relayed in this range"
    return series("Relayed requests", text, "reqps", query, empty=empty, colours=STATUS_CLASSES, stacked=True)


def _relay_latency() -> object:
    text = (
        "Time from a relayed request to the end of its answer; streams and WebSockets, which last as long as their "
        "clients stay, are not in it. It is the gateway's pace: if it grows and the loop's lag above does not, look "
        "there."
    )
    name = "relay_duration_seconds"
    return series(
        "Relay latency",
        text,
        "s",
        Query(quantile(0.5, name), "p50"),
        Query(quantile(0.95, name), "p95"),
        Query(quantile(0.99, name), "p99"),
        empty="nothing was relayed in this range",
        colours=PERCENTILES,
    )


def _relay_errors() -> object:
    text = (
        "Relayed requests that went wrong. connect: the gateway is down or elsewhere; timeout: it is silent; reset, "
        "truncated, protocol: it broke off or spoke no HTTP; denied, unauthorised: turned away by policy; "
        "client-gone: the client's own doing."
    )
    query = Query(counted_if_seen("relay_errors_total", by="error"), "{{error}}")
    return bars("Relay errors", text, query, empty="nothing went wrong in this range", colours=RELAY_ERRORS)


def _relay_bytes() -> object:
    text = (
        "Bytes of bodies and tunnels per second, each way. Counted when a request ends: a long stream shows at its end."
    )
    query = Query(total(rate("relay_bytes_total"), "direction"), "{{direction}}")
    colours = {"to_gateway": "blue", "to_client": "green"}
    return series("Relayed bytes", text, "Bps", query, empty="nothing was relayed", colours=colours)


def _usage() -> object:
    text = (
        "Requests by route of the gateway in the chosen range, the twelve most asked. Answers which endpoints "
        "anybody calls; other is everything outside the documented routes. A route that is never here can go."
    )
    query = Query(
        f"topk(12, {total(increase('usage_requests_total', over='$__range'), 'route')} > 0)", "{{route}}", instant=True
    )
    steps: tuple[tuple[float | None, str], ...] = ((None, "blue"),)
    return shares(
        "Usage by route",
        text,
        "locale",
        query,
        empty="nobody asked for anything",
        steps=steps,
        height=11,
        most=None,
        decimals=0,
    )


def _kinds() -> object:
    text = (
        "Relayed requests by kind (plain, SSE, WebSocket) and method. Tells who polls: the UI reads status again "
        "and again, and a script in a loop stands out."
    )
    query = Query(rate_if_seen("relay_requests_total", by="kind, method"), "{{kind}} {{method}}")
    empty = "nothing was relayed in this range"
    made = series("Relayed by kind and method", text, "reqps", query, empty=empty, colours=KINDS, stacked=True)
    return made.height(11)


def _reloads() -> object:
    text = (
        "Times the policy and token files were read again. failed: they cannot be used, the old policy goes on; the "
        "log and /readyz?verbose say what is wrong with file, line and column. Saved, and nothing here: the file is "
        "mounted in a way that never changes."
    )
    query = Query(counted("policy_reloads_total", by="result"), "{{result}}")
    return bars("Reloads", text, query, empty="no sidecar is scraped", colours=RELOADS, width=16, height=6)


def _age() -> object:
    text = (
        "Time since the policy was last read without a problem, and whether the last attempt was one (red). An old "
        "policy is no fault; a red one is: somebody believes to have changed something."
    )
    age = f"time() - {metric('policy_last_reload_success_timestamp_seconds')}"
    taken = metric("policy_last_reload_successful")
    return figure(
        "Age of the policy",
        text,
        "dtdurations",
        Query(f"({age}) and on (job, instance) ({taken} == 1)", f"{_EACH}: taken", instant=True),
        Query(f"({age}) and on (job, instance) ({taken} == 0)", f"{_EACH}: last reload failed", instant=True),
        empty="no sidecar is scraped",
        steps=((None, GOOD),),
        height=6,
        width=8,
        size=32,
    )
