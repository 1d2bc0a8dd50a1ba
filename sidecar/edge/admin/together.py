"""The desk of a sidecar with several workers: whichever takes a request asks all of them, and tells of the whole.

Policy, page, forward auth and health are the same with every worker and answered by the one that was met. A worker that does not answer is
named, and the others' answers are told all the same; an order is carried out by all, or it is said who did not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

from sidecar.edge.admin import sums
from sidecar.edge.admin.colleagues import Answers, Colleagues, Told
from sidecar.edge.admin.control import Done, Order
from sidecar.edge.admin.desk import Desk, Office, as_json
from sidecar.edge.admin.trend import Trend
from sidecar.edge.outlets.telemetry.labelled import labelled

_PASSED_ON = ("Host", "Accept", "X-VX11-Admin-Token")
_OF_SOME = frozenset({"/overrides/release", "/chaos/stop"})  # done where there was something to end

Views = dict[int, dict[str, Any]]


class Together(Desk):
    def __init__(self, office: Office, colleagues: Colleagues, now: Callable[[], float]) -> None:
        """``now`` is the clock of facts, in seconds."""
        super().__init__(office)
        self._colleagues = colleagues
        self._now = now
        self.metrics = self._metrics

    async def _metrics(self, request: web.Request) -> web.Response:
        """Every series of everybody, with its worker. Of one that does not answer there is none."""
        told = (await self._ask(request)).told
        good = {number: each for number, each in told.items() if each.status == 200}
        if not good:
            return _first_of(told) or as_json({"detail": "no worker answers"}, 503)
        kind = next(iter(good.values())).kind
        text = labelled({number: each.content.decode() for number, each in good.items() if each.kind == kind})
        answer = web.Response(body=text.encode(), headers={"Content-Type": kind})
        answer.enable_compression()
        return answer

    async def readyz(self, request: web.Request) -> web.Response:
        """That of the worker that was met: it serves, or it would not have been. ``?verbose`` adds everybody's notes."""
        mine = await super().readyz(request)
        if "verbose" not in request.query:
            return mine
        answers = await self._ask(request, "/state")
        assert isinstance(mine.body, bytes)  # noqa: S101 - JSON
        notes = sums.notes(_good(answers).values(), answers.silent, self._absent())
        return as_json(orjson.loads(mine.body) | {"notes": notes}, mine.status)

    async def state(self, request: web.Request) -> web.Response:
        answers = await self._ask(request)
        return self._whole(answers, lambda views: sums.state(views, answers.silent, self._absent()))

    async def usage(self, request: web.Request) -> web.Response:
        return self._whole(await self._ask(request), lambda views: sums.usage(list(views.values())))

    async def trend(self, request: web.Request) -> web.Response:
        return self._whole(await self._ask(request, "/trend?steps"), self._trend)

    async def calls(self, request: web.Request) -> web.Response:
        return self._whole(await self._ask(request), sums.calls)

    async def call(self, request: web.Request) -> web.Response:
        """From whoever remembers it."""
        return self._whole(
            await self._ask(request), lambda views: next({"worker": number, **view} for number, view in views.items())
        )

    async def carry_out(self, order: Callable[[Order], Done], request: web.Request, body: bytes) -> web.Response:  # noqa: ARG002
        """By everybody who serves; one who begins to serve follows what is in force by then."""
        answers = await self._ask(request, body=body)
        if answers.silent or not answers.told:
            return as_json({"detail": f"{_named(answers.silent)} did not answer: give the order again"}, 502)
        worst = min if request.path in _OF_SOME else max
        return _passed(worst(answers.told.values(), key=lambda each: each.status))

    # -- asking -----------------------------------------------------------------------------------------------------

    async def _ask(self, request: web.Request, target: str = "", body: bytes = b"") -> Answers:
        """The same of everybody; ``target`` instead of the one that was asked for."""
        fields = {name: ",".join(request.headers.getall(name)) for name in _PASSED_ON if name in request.headers}
        return await self._colleagues.ask(request.method, target or request.rel_url.raw_path_qs, fields, body)

    def _whole(self, answers: Answers, add: Callable[[Views], object]) -> web.Response:
        """What good answers come to; ``add`` gets one at least. One that is no good is told as it is: to all it is the same."""
        views = _good(answers)
        if views:
            return as_json(add(views))
        return _first_of(answers.told) or as_json({"detail": f"{_named(answers.silent)} did not answer"}, 503)

    def _trend(self, views: Views) -> dict[str, object]:
        whole = Trend(self._now)
        for view in views.values():
            whole.add(view["steps"])
        return whole.view()

    def _absent(self) -> int:
        """How many do not serve now."""
        return max(self._colleagues.workers - len(self._colleagues.desks), 0)


def _good(answers: Answers) -> Views:
    return {number: orjson.loads(each.content) for number, each in answers.told.items() if each.status == 200}


def _first_of(told: dict[int, Told]) -> web.Response | None:
    return next((_passed(each) for each in told.values()), None)


def _passed(told: Told) -> web.Response:
    return web.Response(status=told.status, body=told.content, content_type="application/json")


def _named(numbers: tuple[int, ...]) -> str:
    return f"worker {', '.join(map(str, numbers))}" if numbers else "no worker"
