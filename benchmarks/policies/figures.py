"""What is read off a run: shares and times by the client, attempts by the sidecar's own metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.parts import quantile
from benchmarks.policies.client import Chat
from benchmarks.policies.scrape import Scrape


def share(chats: Sequence[Chat], wanted: Callable[[Chat], bool]) -> float:
    """Per cent of the chats; of none, 0."""
    return 100 * sum(map(wanted, chats)) / len(chats) if chats else 0.0


def by_switch(chat: Chat) -> bool:
    return chat.status == 200 and chat.provider == "switch"


def answered(chats: Sequence[Chat]) -> dict[str, float]:
    """Who answered. Raises RuntimeError for a chat that got no answer of the ladder: no scene asks for more than the sidecar takes."""
    lost = [chat for chat in chats if chat.status != 200]
    if lost:
        raise RuntimeError(f"{len(lost)} of {len(chats)} chats got no answer: {lost[0].status} {lost[0].trouble}")
    return {
        "by the switch %": share(chats, by_switch),
        "degraded %": share(chats, lambda chat: chat.degraded),
    }


def times(chats: Sequence[Chat]) -> dict[str, float]:
    """How long clients waited."""
    seconds = [chat.seconds for chat in chats]
    return {f"p{round(share * 100)} ms": 1000 * quantile(seconds, share) for share in (0.5, 0.95, 0.99)}


def attempts(scrape: Scrape, chats: Sequence[Chat]) -> dict[str, float]:
    """Requests to the switch for each chat, since the start."""
    return {"attempts a chat": scrape.counted("upstream_attempts_total", target="switch") / len(chats)}
