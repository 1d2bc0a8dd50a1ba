"""Tasks that run at once: when they begin, when they go on, and what ends them."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import suppress

import pytest

from sidecar.edge.chat.eager import EagerTask, Promise


class Told:
    """What a coroutine has come to, in order."""

    def __init__(self):
        self.words = []

    async def wait(self, what):
        self.words.append("began")
        try:
            self.words.append(await what)
        except asyncio.CancelledError:
            self.words.append("cancelled")
            raise
        finally:
            self.words.append("ended")


def started(coroutine):
    task = EagerTask(asyncio.get_running_loop(), coroutine)
    task.start()
    return task


async def test_what_waits_for_nothing_is_over_when_it_has_started():
    async def at_once():
        words.append("done")

    words = []
    task = started(at_once())
    assert words == ["done"]
    assert task.done()
    await task.ended()


async def test_who_waits_for_a_promise_goes_on_in_the_moment_in_which_it_is_settled():
    told, promise = Told(), Promise()
    task = started(told.wait(promise))
    assert (told.words, task.done()) == (["began"], False)
    promise.settle("here")
    assert (told.words, task.done()) == (["began", "here", "ended"], True)


async def test_only_the_first_word_counts():
    told, promise = Told(), Promise()
    started(told.wait(promise))
    promise.settle("first")
    promise.settle("second")
    assert told.words == ["began", "first", "ended"]
    assert promise.settled


async def test_a_promise_that_is_settled_is_not_waited_for():
    told, promise = Told(), Promise()
    promise.settle(7)
    assert started(told.wait(promise)).done()
    assert told.words == ["began", 7, "ended"]


async def test_who_waits_for_a_future_goes_on_a_turn_later():
    told, future = Told(), asyncio.get_running_loop().create_future()
    task = started(told.wait(future))
    future.set_result("late")
    assert told.words == ["began"]
    await task.ended()
    assert told.words == ["began", "late", "ended"]


async def test_a_turn_of_the_loop_can_be_waited_for():
    async def two():
        words.append(1)
        await asyncio.sleep(0)
        words.append(2)

    words = []
    task = started(two())
    assert words == [1]
    await task.ended()
    assert words == [1, 2]


async def test_a_task_of_asyncios_can_wait_for_a_promise_too():
    told, promise = Told(), Promise()
    task = asyncio.create_task(told.wait(promise))
    await asyncio.sleep(0)
    promise.settle("here")
    assert told.words == ["began"]
    await task
    assert told.words == ["began", "here", "ended"]


async def test_a_task_of_asyncios_that_is_cancelled_is_left_alone_by_its_promise():
    told, promise = Told(), Promise()
    task = asyncio.create_task(told.wait(promise))
    await asyncio.sleep(0)
    task.cancel()
    promise.settle("too late")
    with suppress(asyncio.CancelledError):
        await task
    assert told.words[-1] == "ended"


async def test_inside_one_another_each_is_run_on_by_its_own_promise():
    outer, inner, first, second = Told(), Told(), Promise(), Promise()

    async def both():
        started(inner.wait(second))
        await outer.wait(first)

    started(both())
    second.settle("inner")
    assert (outer.words, inner.words) == (["began"], ["began", "inner", "ended"])
    first.settle("outer")
    assert outer.words == ["began", "outer", "ended"]


async def test_one_that_settles_anothers_promise_goes_on_after_it():
    told, promise, words = Told(), Promise(), []

    async def settling():
        promise.settle("from within")
        words.append(list(told.words))
        await asyncio.sleep(0)

    started(told.wait(promise))
    task = started(settling())
    assert words == [["began", "from within", "ended"]]
    await task.ended()


@pytest.mark.parametrize("kind", ["promise", "future", "turn"])
async def test_it_is_cancelled_where_it_waits(kind):
    loop = asyncio.get_running_loop()
    what = {"promise": Promise, "future": loop.create_future, "turn": lambda: asyncio.sleep(0)}[kind]()
    told = Told()
    task = started(told.wait(what))
    task.cancel()
    await asyncio.wait_for(task.ended(), 1)
    assert told.words == ["began", "cancelled", "ended"]
    task.cancel()  # nothing is left to end
    if kind == "promise":
        what.settle("too late")
    assert told.words == ["began", "cancelled", "ended"]


async def test_a_cancel_that_meets_a_future_that_is_done_holds_all_the_same():
    told, future = Told(), asyncio.get_running_loop().create_future()
    task = started(told.wait(future))
    future.set_result("done")
    task.cancel()
    await task.ended()
    assert told.words == ["began", "cancelled", "ended"]


@pytest.mark.parametrize("kind", ["promise", "future"])
async def test_a_cancel_that_comes_while_it_runs_holds_where_it_waits_next(kind):
    what = Promise() if kind == "promise" else asyncio.get_running_loop().create_future()
    tasks, told, first = [], Told(), Promise()

    async def ending_itself():
        await first
        tasks[0].cancel()
        await told.wait(what)

    tasks.append(started(ending_itself()))
    first.settle(None)
    await asyncio.wait_for(tasks[0].ended(), 1)
    assert told.words == ["began", "cancelled", "ended"]


async def test_who_is_cancelled_may_still_tidy_up():
    promise, gate, words = Promise(), asyncio.get_running_loop().create_future(), []

    async def tidy():
        try:
            await promise
        except asyncio.CancelledError:
            words.append(await gate)
            raise

    task = started(tidy())
    task.cancel()
    assert not task.done()
    gate.set_result("tidied")
    await task.ended()
    assert words == ["tidied"]


async def test_what_goes_wrong_reaches_the_loop_and_nobody_else():
    async def wrong():
        await promise
        raise ValueError("no")

    heard, promise = [], Promise()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: heard.append(context["exception"]))
    task = started(wrong())
    promise.settle(None)
    assert task.done()
    assert [type(error) for error in heard] == [ValueError]


async def test_what_is_to_end_the_process_does():
    async def leaving():
        raise SystemExit(3)

    task = EagerTask(asyncio.get_running_loop(), leaving())
    with pytest.raises(SystemExit):
        task.start()
    assert task.done()
    told, promise = Told(), Promise()
    asyncio.get_running_loop().call_soon(promise.settle, "after it all is as before")
    await told.wait(promise)
    assert told.words[1] == "after it all is as before"


async def test_what_is_settled_later_comes_when_whoever_runs_has_come_to_where_it_waits():
    told, woken, words = Told(), Promise(), []

    async def granting():
        woken.settle_later("granted")
        words.append(list(told.words))
        await first

    first = Promise()
    started(told.wait(woken))
    started(granting())
    assert words == [["began"]]
    assert told.words == ["began", "granted", "ended"]
    first.settle(None)


async def test_settled_later_by_nobodys_task_it_comes_a_turn_later():
    told, woken = Told(), Promise()
    task = started(told.wait(woken))
    woken.settle_later("granted")
    assert told.words == ["began"]
    await task.ended()
    assert told.words == ["began", "granted", "ended"]


async def test_ten_thousand_that_wait_for_each_other_in_a_row_take_no_stack():
    promises, ended = [Promise() for _ in range(10_001)], []

    async def waits(number):
        await promises[number]
        ended.append(number)
        promises[number + 1].settle_later(None)

    for number in range(10_000):
        started(waits(number))
    promises[0].settle(None)
    assert ended == list(range(10_000))


async def test_who_gives_up_waiting_for_its_end_takes_it_from_nobody_else():
    told, promise = Told(), Promise()
    task = started(told.wait(promise))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(task.ended(), 0.01)
    promise.settle("here")
    await asyncio.wait_for(task.ended(), 1)
    assert told.words == ["began", "here", "ended"]


def test_loops_in_several_threads_know_nothing_of_each_other():
    """Each has a task of its own under way while others' tasks of asyncio's wait for promises."""

    async def both():
        for _ in range(300):
            usual, first, second = Told(), Promise(), Promise()
            task = asyncio.create_task(usual.wait(first))
            await asyncio.sleep(0)

            async def settling(first=first, second=second):
                await second
                time.sleep(0.00005)  # noqa: ASYNC251 - in the middle of its turn, so that another thread has one
                first.settle("usual")

            started(settling())
            second.settle("eager")
            await asyncio.wait_for(task, 5)
            assert usual.words == ["began", "usual", "ended"]

    failed = []

    def run():
        try:
            asyncio.run(both())
        except BaseException as error:  # noqa: BLE001 - told below
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
