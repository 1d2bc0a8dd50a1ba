"""What a chat takes through the sidecar beyond the switch's own time, with one client and beside a plain aiohttp proxy.

Everybody is a process of their own. Rounds are interleaved, so that what the machine does meanwhile falls on all alike;
their order turns with each round.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import statistics

from benchmarks.parts import Client, chat, quantile, server, sidecar, switch_chat, table

DIRECT, SIDECAR, PROXY = "direct to the switch", "through the sidecar", "through a plain aiohttp proxy"
WARM_UP = 300


def measure(rounds: int, size: int) -> dict[str, list[float]]:
    with contextlib.ExitStack() as stack:
        switch = stack.enter_context(server("switch"))
        places = {
            DIRECT: switch,
            SIDECAR: stack.enter_context(sidecar(switch)),
            PROXY: stack.enter_context(server("proxy", f"http://{switch.address}")),
        }
        clients = {name: stack.enter_context(contextlib.closing(Client(place))) for name, place in places.items()}
        numbers = itertools.count()

        def batch(name: str, count: int) -> list[float]:
            client = clients[name]
            asked = [chat(next(numbers)) if name == SIDECAR else switch_chat() for _ in range(count)]
            return [client.seconds(request) for request in [client.request(*each) for each in asked]]

        for name in places:
            batch(name, WARM_UP)
        samples: dict[str, list[float]] = {name: [] for name in places}
        names = list(places)
        for number in range(rounds):
            for name in names[number % 3 :] + names[: number % 3]:
                samples[name] += batch(name, size)
        return samples


def show(samples: dict[str, list[float]]) -> None:
    own = statistics.median(samples[DIRECT]), quantile(samples[DIRECT], 0.99)
    rows = []
    added = {}
    for name, seconds in samples.items():
        median, high = statistics.median(seconds), quantile(seconds, 0.99)
        added[name] = median - own[0]
        beyond = ["", ""] if name == DIRECT else [f"{(median - own[0]) * 1000:.3f}", f"{(high - own[1]) * 1000:.3f}"]
        rows.append([name, len(seconds), f"{median * 1000:.3f}", f"{high * 1000:.3f}", *beyond])
    table(["milliseconds", "chats", "median", "p99", "median beyond", "p99 beyond"], rows)
    print(f"\nThe sidecar adds {added[SIDECAR] / added[PROXY]:.2f} times what the plain proxy adds (at the median).")
    print(f"Target: at most 1 ms at the median. Measured: {added[SIDECAR] * 1000:.3f} ms.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=45)
    parser.add_argument("--size", type=int, default=100, help="chats of one kind in one round (%(default)s)")
    arguments = parser.parse_args()
    show(measure(arguments.rounds, arguments.size))


if __name__ == "__main__":
    main()
