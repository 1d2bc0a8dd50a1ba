"""Large bodies through the sidecar: how fast beside direct, and what of them it keeps in memory.

A body is never gathered, so the sidecar's resident memory must not follow its size, nor a reader or an upstream that is
slower than the other side. Every byte is checked by length and CRC-32.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import time
import zlib
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from benchmarks.gateway import PIECE
from benchmarks.parts import Running, running, sidecar, table
from benchmarks.proc import Watch

MOST_GROWTH = 16.0  # MiB
MIB = 1 << 20


class Moved(NamedTuple):
    """``whole`` is whether the receiver got every byte; ``growth`` and ``kept`` are MiB beyond what it began with: at most, and after."""

    name: str
    size: int
    seconds: float
    whole: bool
    growth: float = 0.0
    kept: float = 0.0

    @property
    def rate(self) -> float:
        """MiB a second."""
        return self.size / MIB / self.seconds


def _crc(size: int) -> int:
    crc = 0
    for _ in range(size // len(PIECE)):
        crc = zlib.crc32(PIECE, crc)
    return zlib.crc32(PIECE[: size % len(PIECE)], crc)


def _head(place: Running, method: str, target: str, *lines: str) -> bytes:
    return "\r\n".join(
        (f"{method} {target} HTTP/1.1", f"Host: {place.address}", "Connection: close", *lines, "", "")
    ).encode()


def download(place: Running, size: int, framing: str, rate: float = 0.0) -> tuple[float, bool]:
    """Seconds, and whether it was whole. ``rate`` is what we read at most, in bytes a second; 0 is all we can."""
    with socket.create_connection((place.host, place.port), timeout=60) as connection:
        began = time.perf_counter()
        connection.sendall(_head(place, "GET", f"/body?bytes={size}&framing={framing}"))
        with connection.makefile("rb", buffering=MIB) as reader:
            assert b" 200 " in reader.readline()
            chunked = length = crc = 0
            while (line := reader.readline()) != b"\r\n":
                chunked |= line.lower() == b"transfer-encoding: chunked\r\n"
            left = 0 if chunked else size
            while left or chunked:
                if chunked and not left:
                    left = int(reader.readline(), 16)
                    if not left:
                        break
                piece = reader.read1(min(left, MIB))
                if not piece:
                    break
                left -= len(piece)
                length += len(piece)
                crc = zlib.crc32(piece, crc)
                if chunked and not left:
                    reader.readline()
                if rate:
                    time.sleep(max(0.0, began + length / rate - time.perf_counter()))
        return time.perf_counter() - began, (length, crc) == (size, _crc(size))


def upload(place: Running, size: int, framing: str, rate: float = 0.0) -> tuple[float, bool]:
    """As ``download``; ``rate`` is what the upstream reads at most."""
    chunked = framing == "chunked"
    with socket.create_connection((place.host, place.port), timeout=120) as connection:
        began = time.perf_counter()
        line = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
        connection.sendall(_head(place, "POST", f"/sink?rate={rate:.0f}", line))
        left = size
        while left:
            piece = PIECE[:left]
            left -= len(piece)
            connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        if chunked:
            connection.sendall(b"0\r\n\r\n")
        answer = bytearray()
        while data := connection.recv(65_536):
            answer += data
        said = json.loads(answer[answer.index(b"{") : answer.rindex(b"}") + 1])
        return time.perf_counter() - began, said == {"bytes": size, "crc": _crc(size)}


def measure(size: int, slow: int, rate: float) -> list[tuple[Moved, Moved | None]]:
    """Each transfer through, beside the same one direct; ``slow`` bytes at ``rate`` bytes a second where one side is slow."""
    rows: list[tuple[Moved, Moved | None]] = []
    with contextlib.ExitStack() as stack:
        origin = stack.enter_context(running("-m", "benchmarks.gateway"))
        place = stack.enter_context(sidecar(origin))
        download(place, MIB, "length")  # what is loaded with the first request is no growth
        upload(place, MIB, "chunked")
        for move in (download, upload):
            for framing in ("length", "chunked"):
                name = f"{move.__name__} by {framing}"
                direct = Moved(name, size, *move(origin, size, framing))
                rows.append((_watched(name, place, size, partial(move, place, size, framing)), direct))
        for move, name in ((download, "to a slow reader"), (upload, "to a slow upstream")):
            for framing in ("length", "chunked"):
                slowly = partial(move, place, slow, framing, rate)
                rows.append((_watched(f"{move.__name__} {name}, {framing}", place, slow, slowly), None))
    return rows


def _watched(name: str, place: Running, size: int, move: Callable[[], tuple[float, bool]]) -> Moved:
    with Watch(place.pid, 0.01) as watch:
        seconds, whole = move()
    return Moved(name, size, seconds, whole, watch.growth, watch.after - watch.before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1024, help="MiB of a fast transfer (%(default)s)")
    parser.add_argument("--slow", type=int, default=128, help="MiB of a slow one (%(default)s)")
    parser.add_argument("--rate", type=int, default=16, help="MiB a second of a slow one (%(default)s)")
    arguments = parser.parse_args()
    rows = []
    moves = measure(arguments.size * MIB, arguments.slow * MIB, arguments.rate * MIB)
    for through, direct in moves:
        beside = [f"{direct.rate:.0f}", f"{through.rate / direct.rate:.0%}"] if direct else ["", ""]
        memory = [f"{through.growth:.1f}", f"{through.kept:.1f}", "yes" if through.whole else "NO"]
        rows.append([through.name, through.size // MIB, f"{through.rate:.0f}", *beside, *memory])
    table(["", "MiB", "MiB/s through", "direct", "share", "RSS growth, most", "after", "whole"], rows)
    most = max(through.growth for through, _ in moves)
    print(f"\nTarget: RSS grows by less than {MOST_GROWTH:.0f} MiB. Measured: {most:.1f} MiB.")


if __name__ == "__main__":
    main()
