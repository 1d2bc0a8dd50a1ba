"""What libraries log, as lines of ours: where it was said and the type of the error, without the text, which may quote a request.

Python keeps weak references to handlers. Classes that mypyc compiles do not tell those when an instance goes, so this one stays as it is.
"""

from __future__ import annotations

import logging
import traceback
from typing import Protocol


class Warn(Protocol):
    def __call__(self, event: str, /, **fields: str | None) -> None: ...


class Libraries(logging.Handler):
    def __init__(self, warn: Warn) -> None:
        super().__init__()
        self._warn = warn

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        where = traceback.extract_tb(error.__traceback__)[-1:] if error else []
        self._warn(
            "library",
            logger=record.name,
            error=type(error).__name__ if error else None,
            at=f"{where[0].filename}:{where[0].lineno}" if where else f"{record.pathname}:{record.lineno}",
        )
