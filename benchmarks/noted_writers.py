"""A process that extracts and notes its step in shared memory, so that whoever disturbs it knows what was hit."""

import contextlib
import functools
import mmap
import os
import random
import signal
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zarr  # noqa: F401 - before writers are forked, so that none of them has to import it
from marked_features import WANTED, extract

from emocache.errors import EmocacheError
from emocache.store import claims, unit, writer
from emocache.store.shards import ArrayFile

STEPS = ("between steps (encoding)", "append", "fsync", "rename of a finished shard", "link of the commit entry", "placing shards")
PHASES = ("before", "in", "after")
_APPEND, _FSYNC, _RENAME, _LINK, _PLACE = range(1, len(STEPS))
_LINGER_S = {_APPEND: 0.0002, _FSYNC: 0.0002, _RENAME: 0.002, _LINK: 0.008, _PLACE: 0.004}
"""At most, before and after each step: the rarer one is, the longer, so that all of them are hit."""
ENDED, CRASHED, REFUSED = 0, 1, 2
"""Exit codes of a writer: everything is there; an unknown error; one clear line."""


class Notes:
    """What one writer is at, in memory that it shares with whoever disturbs it: how many of its threads are where."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 4096)
        self._held: set[unit.UnitWriter] = set()
        self._threads = threading.local()
        self._lock = threading.Lock()

    def held(self) -> int:
        """Claims held."""
        return self._memory[0]

    def struck(self) -> int:
        """At which step an error of the disk came up while a claim was held; 0 if none did."""
        return self._memory[1]

    def at(self) -> list[tuple[int, int]]:
        """Every (step, phase) that a thread is at, each once; (0, 1) if none is at any."""
        there = [(step, phase) for step in range(1, len(STEPS)) for phase in range(len(PHASES)) if self._memory[self._place(step, phase)]]
        return there or [(0, 1)]

    def hold(self, one: unit.UnitWriter, *, held: bool) -> None:
        """A claim was taken, or let go of (again)."""
        with self._lock:
            (self._held.add if held else self._held.discard)(one)
            self._memory[0] = len(self._held)

    @contextlib.contextmanager
    def step(self, number: int) -> Iterator[None]:
        """Be at a step; one within another counts as itself."""
        outer = getattr(self._threads, "at", None)
        self._enter((number, 0))
        self._enter((number, 1))
        try:
            yield
            self._enter((number, 2))
        except OSError:
            if self._held and not self.struck():
                self._memory[1] = number
            raise
        finally:
            self._enter(outer)

    def _enter(self, at: tuple[int, int] | None) -> None:
        """Go from where this thread was to a phase of a step, or to none; linger before and after."""
        with self._lock:
            if was := getattr(self._threads, "at", None):
                self._memory[self._place(*was)] -= 1
            if at:
                self._memory[self._place(*at)] += 1
            self._threads.at = at
        if at and at[1] != 1:
            time.sleep(random.uniform(0, _LINGER_S[at[0]]))

    @staticmethod
    def _place(step: int, phase: int) -> int:
        return 2 + step * len(PHASES) + phase

    def at_step(self, number: int) -> bool:
        """Whether this thread is at a step."""
        return (getattr(self._threads, "at", None) or (0, 0))[0] == number

    def noted(self, number: int, call: Callable[..., Any], applies: Callable[..., bool] = lambda *_: True) -> Callable[..., Any]:
        """A function that notes its step."""

        @functools.wraps(call)
        def wrapped(*args: Any, **named: Any) -> Any:
            with self.step(number) if applies(*args) else contextlib.nullcontext():
                return call(*args, **named)

        return wrapped


def note_steps(notes: Notes) -> None:
    """Have this process note its steps; what emocache does stays the same."""
    ArrayFile.append = notes.noted(_APPEND, ArrayFile.append)
    ArrayFile.finish = notes.noted(_APPEND, ArrayFile.finish)
    os.fsync = notes.noted(_FSYNC, os.fsync)
    Path.rename = notes.noted(_RENAME, Path.rename, lambda path, target: path.parent.name == "parts")
    os.link = notes.noted(_LINK, os.link, lambda source, target: "commits" in Path(target).parts)
    unit.place = notes.noted(_PLACE, unit.place)
    replace, begin, close = Path.replace, unit.UnitWriter.__init__, unit.UnitWriter.close

    def slow_replace(path: Path, target: Path) -> Path:
        if notes.at_step(_PLACE):
            time.sleep(random.uniform(0, _LINGER_S[_PLACE] / 4))
        return replace(path, target)

    def noted_begin(self: unit.UnitWriter, *args: Any, **named: Any) -> None:
        notes.hold(self, held=True)
        begin(self, *args, **named)

    def noted_close(self: unit.UnitWriter) -> None:
        close(self)
        notes.hold(self, held=False)

    Path.replace, unit.UnitWriter.__init__, unit.UnitWriter.close = slow_replace, noted_begin, noted_close


@dataclass
class Writer:
    """One of the writers: what it is asked for, and its process, which is another one after each start.

    `lying`: locks keep nobody out. `node`: the machine it believes to be on, if it is not to be this one.
    """

    root: Path
    number: int
    log: Path
    lying: bool = False
    node: str = ""
    notes: Notes = field(default_factory=Notes)
    pid: int = 0
    code: int | None = None

    def start(self, mark: int, pause_s: float) -> None:
        """Fork a process that extracts."""
        self.log.unlink(missing_ok=True)
        self.notes, self.code = Notes(), None
        self.pid = os.fork()
        if self.pid == 0:
            code = CRASHED
            try:
                code = self._work(mark, pause_s)
            finally:
                os._exit(code)

    def alive(self) -> bool:
        """Whether the process runs."""
        if self.pid and self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return bool(self.pid) and self.code is None

    def send(self, number: int) -> None:
        """Send a signal; after SIGKILL the process is waited for."""
        os.kill(self.pid, number)
        if number == signal.SIGKILL:
            self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def said(self) -> str:
        """The error of a process that ended by one."""
        return self.log.read_text().strip() if self.log.exists() else ""

    def _work(self, mark: int, pause_s: float) -> int:
        """What the process does; its exit code. An error of emocache goes to the log as its line, any other with its traceback."""
        random.seed()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        writer.WAIT_S = 0.01
        note_steps(self.notes)
        if self.lying:
            claims.flock = lambda file, operation: True
            claims.locks_exclude = lambda folder: True
        if self.node:
            socket.gethostname = lambda: self.node
        try:
            extract(self.root, WANTED[self.number], mark, pause_s)
        except EmocacheError as error:
            self.log.write_text(f"{error}\n")
            return REFUSED
        except BaseException:  # noqa: BLE001 - it is looked for in the log
            self.log.write_text(traceback.format_exc())
            return CRASHED
        return ENDED
