"""Requests that wait are answered together, without waiting for more: while a thread works on some, others gather.

A single thread answers all endpoints but those that stand apart, which have one of their own: who only reads does not
wait until another's event is on the disk. The event loop reads and writes meanwhile.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from tenfold.errors import ArtifactError, DataError, OptionError, OutputError, StateError, TenfoldError, UnknownIdError
from tenfold.serving.service import Endpoint, Refused

AT_ONCE = 256  # requests of one endpoint answered together
STATUS = {ArtifactError: 422, DataError: 422, OptionError: 422, UnknownIdError: 404, StateError: 409, OutputError: 507}


class _Lane:
    """A thread, and what waits for it."""

    def __init__(self, name: str) -> None:
        self.waiting: dict[str, list[tuple[Endpoint, Any, asyncio.Future[Any]]]] = {}
        self.working, self.thread = False, ThreadPoolExecutor(1, thread_name_prefix=name)


class Batcher:
    def __init__(self, most: int) -> None:
        """most: requests that may wait; one more is refused (503)."""
        self.most, self.count = most, 0
        self.lanes = {False: _Lane("serving"), True: _Lane("serving apart")}

    def ask(self, endpoint: Endpoint, request: Any) -> "asyncio.Future[Any]":
        """The answer, a Refused among them, as a future. Raises Refused where too many wait."""
        if self.count >= self.most:
            raise Refused(503, f"{self.count:,} requests wait already; ask again in a moment")
        loop, lane = asyncio.get_running_loop(), self.lanes[endpoint.apart]
        future: asyncio.Future[Any] = loop.create_future()
        lane.waiting.setdefault(endpoint.name, []).append((endpoint, request, future))
        self.count += 1
        if not lane.working:
            lane.working = True
            loop.call_soon(self._hand_over, loop, lane)  # after what else has arrived by now
        return future

    def _hand_over(self, loop: asyncio.AbstractEventLoop, lane: _Lane) -> None:
        taken, lane.waiting = lane.waiting, {}
        work = loop.run_in_executor(lane.thread, _work, list(taken.values()))
        work.add_done_callback(partial(self._deliver, lane))

    def _deliver(self, lane: _Lane, done: "asyncio.Future[Any]") -> None:
        for future, answer in done.result():
            self.count -= 1
            if not future.done():  # else its client has gone
                future.set_result(answer)
        if lane.waiting:
            self._hand_over(asyncio.get_running_loop(), lane)
        else:
            lane.working = False

    async def finish(self) -> None:
        """Answers what waits, and ends the threads."""
        while self.count:
            await asyncio.sleep(0.01)
        for lane in self.lanes.values():
            lane.thread.shutdown()


def _work(groups: list[list[tuple[Endpoint, Any, Any]]]) -> list[tuple[Any, Any]]:
    answered = []
    for group in groups:
        for some in (group[start : start + AT_ONCE] for start in range(0, len(group), AT_ONCE)):
            answers = answers_of(some[0][0], [request for _, request, _ in some])
            answered += list(zip((future for *_, future in some), answers, strict=True))
    return answered


def answers_of(endpoint: Endpoint, requests: Sequence[Any]) -> list[Any]:
    """As many answers; where all together fail, each request by itself."""
    try:
        return list(endpoint.answer(requests))
    except Exception as error:
        if len(requests) > 1:
            return [answers_of(endpoint, [request])[0] for request in requests]
        return [refusal(error)]


def refusal(error: Exception) -> Refused:
    if isinstance(error, Refused):
        return error
    if isinstance(error, TenfoldError):
        return Refused(next((code for kind, code in STATUS.items() if isinstance(error, kind)), 500), str(error))
    return Refused(500, f"the service failed: {type(error).__name__}: {error}")
