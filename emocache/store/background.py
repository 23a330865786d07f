"""A thread that does the disk's work in order, so that whoever encodes never waits for it: one writes, another commits."""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from types import TracebackType
from typing import Self, TypeVar

WAITING_BYTES = 1 << 29
"""Most bytes that wait to be written; whoever has more to write then waits."""

THREADS = 4
"""Arrays that a job writes, or syncs, at the same time."""

Job = Callable[[], None]
Thing = TypeVar("Thing")
Result = TypeVar("Result")


class Background:
    """Jobs done one after the other by a thread of its own.

    After a job has failed the later ones are dropped, and the next `submit` or `finish` raises its error. Left by an
    error, it drops what waits; left otherwise, it finishes.
    """

    def __init__(self, limit: int = WAITING_BYTES) -> None:
        self._limit = limit
        self._jobs: deque[tuple[Job, int]] = deque()
        self._waiting = 0
        self._busy = False
        self._closed = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._helpers = ThreadPoolExecutor(THREADS)
        self._thread = threading.Thread(target=self._run, name="emocache-writer", daemon=True)
        self._thread.start()

    def submit(self, job: Job, size: int = 0) -> None:
        """Have a job done that holds on to `size` bytes until then."""
        with self._changed:
            self._changed.wait_for(lambda: self._error or not self._waiting or self._waiting + size <= self._limit)
            self._raise()
            self._jobs.append((job, size))
            self._waiting += size
            self._changed.notify_all()

    def check(self) -> None:
        """Raise the error of a job that failed."""
        with self._changed:
            self._raise()

    def finish(self) -> None:
        """Wait until every job is done."""
        with self._changed:
            self._changed.wait_for(lambda: self._error or not (self._jobs or self._busy))
            self._raise()

    def for_all(self, do: Callable[[Thing], Result], things: Iterable[Thing]) -> list[Result]:
        """Within a job: the results for several things, done by several threads; all have ended before an error is raised."""
        doing = [self._helpers.submit(do, thing) for thing in things]
        wait(doing)
        return [one.result() for one in doing]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                self.finish()
        finally:
            with self._changed:
                self._jobs.clear()
                self._closed = True
                self._changed.notify_all()
            self._thread.join()
            self._helpers.shutdown()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._jobs or self._closed)
                if not self._jobs:
                    return
                job, size = self._jobs.popleft()
                self._busy = True
            try:
                job()
            except BaseException as error:  # noqa: BLE001 - raised again where the caller is
                with self._changed:
                    self._error = error
                    self._jobs.clear()
            with self._changed:
                self._waiting = self._waiting - size if self._error is None else 0
            del job
