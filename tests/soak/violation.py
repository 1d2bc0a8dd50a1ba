"""A promise that was not kept."""

from __future__ import annotations

from typing import NoReturn

EPSILON = 1e-6  # seconds or retries: what sums of floats may differ by


class Violation(AssertionError):  # noqa: N818 - it is what a world is accused of, not an error of the program
    """``promise`` is a short name, the same for the same kind of fault; ``call`` is the number of the chat it was seen on."""

    def __init__(self, promise: str, text: str, call: int | None = None) -> None:
        super().__init__(f"{promise}: {text}")
        self.promise = promise
        self.text = text
        self.call = call


def broken(promise: str, text: str, call: int | None = None) -> NoReturn:
    raise Violation(promise, text, call)
