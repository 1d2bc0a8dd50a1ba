"""Troubles that every check of a service can meet, VX11's known errors among them: what each means and what mends it."""

from __future__ import annotations

from sidecar.core.vocabulary import Reason
from sidecar.doctor.asking import Heard, Trouble
from sidecar.doctor.examination import Service
from sidecar.doctor.result import Result, fail, took
from sidecar.edge.admin.advice import advice

SLOW = 1.0  # seconds for an answer that takes no thinking
LOG = "look at its log, and restart it if it does not come back"


def no_answer(service: Service, heard: Heard) -> Result:
    """``heard`` has a trouble."""
    seen, cause, remedy = _WORDS[heard.trouble or Trouble.PROTOCOL]
    words = {
        "name": service.name,
        "place": service.place,
        "host": service.place.rpartition(":")[0],
        "stated": service.stated,
        "took": took(heard.seconds),
        "log": LOG,
        "off": ", or off by power policy" if service.name == "switch" else "",
        "window": ", or open a power window at madre" if service.name == "switch" else "",
    }
    return fail(seen.format(**words), cause.format(**words), remedy.format(**words))


def denied(service: Service, status: int) -> Result:
    """401 or 403 to the token we send."""
    if status == 401 and service.name == "switch":
        cause = "the switch expects another token, or got none: it says 401 to both"
    elif status == 401:
        cause = f"no token reached {service.name}, or an empty one"
    else:
        cause = f"{service.name} expects another token than the one it got"
    remedy = (
        "give VX11_TENTACULO_LINK_TOKEN the same value here and in every service of VX11, and restart those that read it at start; "
        "for a target with a token of its own see targets[].token_from in the policy"
    )
    return fail(f"{service.name} at {service.place} answers {status} to our token", cause, remedy)


def server_error(service: Service, status: int) -> Result:
    return fail(
        f"{service.name} at {service.place} answers {status}",
        f"{service.name} fails on its own: a 5xx is its own fault, and says nothing about the request",
        LOG,
    )


def degraded(primary: str, reason: object) -> tuple[str, str]:
    """Cause and remedy for a chat that ``primary`` did not answer in full, as the status page has them."""
    words = advice(Reason(reason)) if isinstance(reason, str) and reason in set(Reason) else None
    more = "see chat.switch and chat.madre"
    if words is None:
        return f"{primary} did not answer", more
    return f"{primary}: {words.means}", f"{words.do.replace(' below', '')} ({more})"


_WORDS = {
    Trouble.DNS: (
        "{name}: the name {host} does not resolve",
        "no such name here: names of containers exist only in their network, and only while the container runs",
        "run the doctor where the sidecar runs, start the container, or correct the address ({stated})",
    ),
    Trouble.REFUSED: (
        "{name}: {place} refuses connections",
        "nothing listens there: the service is down{off}, or has another address",
        "start it{window}, or correct the address ({stated})",
    ),
    Trouble.CONNECT: (
        "{name}: no connection to {place} ({took})",
        "the machine is not reachable from here: a wrong address, another network, or a firewall that drops packets",
        "correct the address ({stated}), or the route to it",
    ),
    Trouble.NO_SOCKET: (
        "{name}: the system gives the doctor no socket to ask {place} with",
        "no file descriptor is left, of this process or of the machine",
        "raise the limit (ulimit -n), or end what takes them",
    ),
    Trouble.TIMEOUT: (
        "{name} at {place} takes the request and gives no answer ({took})",
        "it hangs or is too busy: the switch answers one request at a time, and madre waits for a switch that hangs",
        "{log}; meanwhile the sidecar leaves it alone after a few failures and answers by the next target",
    ),
    Trouble.RESET: (
        "{name} at {place} closed the connection without a whole answer",
        "it crashed or was restarted while it answered, or something between us cut the connection",
        "{log}",
    ),
    Trouble.PROTOCOL: (
        "{name}: what listens at {place} does not speak HTTP",
        "another program has that port, or it speaks HTTPS: inside VX11 everything is plain HTTP",
        "correct the address ({stated})",
    ),
    Trouble.TOO_LARGE: (
        "{name} at {place} gives an answer that is far too large",
        "it is another program than the one expected, or it is broken",
        "correct the address ({stated})",
    ),
}
