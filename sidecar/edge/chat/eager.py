"""Tasks that run at once: up to where they first wait, and on in the very moment in which that comes.

A task of asyncio's begins a turn of the loop after it is made, and goes on a turn after what it waits for has come; each of these turns is
a handle, a context and one more question to the system whether something has come meanwhile. A chat waits once, for the answer of its
target, and both its ends are callbacks of a socket. Theory:

* *Begins* within ``start``, in the callback that made it. So it may be over when ``start`` returns.
* *Waits* for a ``Promise``, whose ``settle`` runs it on, so whoever settles one has nothing left to do after it; who has, settles it
  later: when the task that runs has come to where it waits. Or for a future of asyncio's, as everybody does: then it goes on a turn after
  that is done.
* *Is no task of asyncio's*: ``asyncio.current_task`` does not know it, so what asks for that (``asyncio.timeout``) belongs into a task
  that it waits for. A task of asyncio's may wait for a ``Promise`` as it does for a future.
* *Is cancelled* by CancelledError where it waits: at once for a ``Promise``, else when the future it waits for has been. A cancel that
  comes while it runs holds where it waits next.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from typing import Any, Final, Generic, TypeVar, cast

T = TypeVar("T")


class Promise(Generic[T]):
    """A value that comes once, for the one who waits for it."""

    __slots__ = ("_future", "_settled", "_task", "_value")

    def __init__(self) -> None:
        self._settled = False
        self._value: T | None = None
        self._task: EagerTask | None = None
        self._future: asyncio.Future[None] | None = None

    @property
    def settled(self) -> bool:
        return self._settled

    def settle(self, value: T) -> None:
        """Give it its value, and run on who waits for it; what comes after the first is too late."""
        if self._settled:
            return
        self._settled = True
        self._value = value
        task, self._task = self._task, None
        if task is not None:
            task.run_on()
        elif self._future is not None and not self._future.done():
            self._future.set_result(None)

    def settle_later(self, value: T) -> None:
        """As ``settle``, but when whoever runs has come to where it waits: for one that is in the middle of something."""
        now = _now()
        if now.task is None:
            asyncio.get_running_loop().call_soon(self.settle, value)
        else:
            now.later.append(partial(self.settle, value))

    def wake(self, task: EagerTask | None) -> None:
        """Who is to be run on; None: nobody waits any more."""
        self._task = task

    def __await__(self) -> Generator[Any, None, T]:
        if not self._settled:
            if _now().task is not None:
                yield self
            else:
                self._future = asyncio.get_running_loop().create_future()
                yield from self._future
        return cast("T", self._value)


class EagerTask:
    """Runs one coroutine."""

    __slots__ = ("_cancelled", "_done", "_ended", "_loop", "_steps", "_waits")

    def __init__(self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, None, None]) -> None:
        self._loop = loop
        self._steps = coroutine.__await__()
        self._waits: Promise[Any] | asyncio.Future[Any] | None = None
        self._cancelled = False  # while it ran, or when it could not be said to whom it waits for
        self._done = False
        self._ended: asyncio.Future[None] | None = None

    def start(self) -> None:
        """Once."""
        self._step(None)

    def run_on(self) -> None:
        """What it waits for is there."""
        error = asyncio.CancelledError() if self._cancelled else None
        self._cancelled = False
        self._step(error)

    def done(self) -> bool:
        return self._done

    def ended(self) -> asyncio.Future[None]:
        """Done when the task is, whatever came of it. Who gives up waiting cancels the future, and not the task."""
        if self._ended is None or self._ended.cancelled():
            self._ended = self._loop.create_future()
            if self._done:
                self._ended.set_result(None)
        return self._ended

    def cancel(self) -> None:
        """End it where it waits, or is going to; one that is over stays as it is."""
        if self._done:
            return
        waits = self._waits
        if isinstance(waits, Promise):
            waits.wake(None)
            self._step(asyncio.CancelledError())
        elif waits is None or not waits.cancel():
            self._cancelled = True

    def _step(self, error: BaseException | None) -> None:
        now, self._waits = _now(), None
        before, now.task = now.task, self
        try:
            if error is not None:
                self._wait(self._steps.throw(error))
            else:
                # One step. As a loop its end is no exception, which would cost as much as a hundred values.
                for waits in self._steps:
                    self._wait(waits)
                    break
                else:
                    self._end()
        except (StopIteration, asyncio.CancelledError):
            self._end()
        except Exception as failed:  # noqa: BLE001 - of a task that nobody asks there is nobody else to tell
            self._end()
            self._loop.call_exception_handler({"message": "a chat failed", "exception": failed})
        except BaseException:
            self._end()
            raise
        finally:
            now.task = before
            if before is None and now.later:
                now.catch_up()

    def _wait(self, waits: Promise[Any] | asyncio.Future[Any] | None) -> None:
        if isinstance(waits, Promise):
            self._waits = waits
            waits.wake(self)
        elif waits is None:  # a turn of the loop, and no more
            self._loop.call_soon(self.run_on)
        else:
            self._waits = waits
            waits._asyncio_future_blocking = False  # noqa: SLF001 - as whoever waits for a future has to say
            waits.add_done_callback(self._came)
        if self._cancelled and waits is not None:
            self._cancelled = False
            self.cancel()

    def _came(self, _: asyncio.Future[Any]) -> None:
        self.run_on()

    def _end(self) -> None:
        self._done = True
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)


class _Now:
    """Whose turn it is in a thread: of tasks of asyncio's nobody's."""

    __slots__ = ("_catching_up", "later", "task")

    def __init__(self) -> None:
        self.task: EagerTask | None = None
        self.later: deque[Callable[[], None]] = deque()
        self._catching_up = False

    def catch_up(self) -> None:
        """Whatever was to be done later. Not within itself: what is done may bring more of it, and that as long as anybody waits."""
        if self._catching_up:
            return
        self._catching_up = True
        try:
            while self.later:
                self.later.popleft()()
        finally:
            self._catching_up = False


_threads: Final = threading.local()  # an application may have a loop in each of several


def _now() -> _Now:
    now: _Now | None = getattr(_threads, "now", None)
    if now is None:
        now = _threads.now = _Now()
    return now
