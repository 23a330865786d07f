"""A process that extracts and notes its step in shared memory, so that whoever disturbs it knows what was hit."""

import contextlib
import functools
import mmap
import os
import random
import signal
import socket
import struct
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
    """What one writer is at, in memory that it shares with whoever disturbs it."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 16)
        self._held: set[unit.UnitWriter] = set()

    def read(self) -> tuple[int, int, int]:
        """Claims held, step, phase."""
        return struct.unpack_from("3i", self._memory)

    def struck(self) -> int:
        """At which step an error of the disk came up while a claim was held; 0 if none did."""
        return struct.unpack_from("i", self._memory, 12)[0]

    def hold(self, one: unit.UnitWriter, *, held: bool) -> None:
        """A claim was taken, or let go of (again)."""
        (self._held.add if held else self._held.discard)(one)
        struct.pack_into("i", self._memory, 0, len(self._held))

    @contextlib.contextmanager
    def step(self, number: int) -> Iterator[None]:
        """Be at a step; one within another counts as itself."""
        _, *outer = self.read()
        self._enter(number, 0)
        struct.pack_into("2i", self._memory, 4, number, 1)
        try:
            yield
        except OSError:
            if self._held and not self.struck():
                struct.pack_into("i", self._memory, 12, number)
            raise
        self._enter(number, 2)
        struct.pack_into("2i", self._memory, 4, *outer)

    def noted(self, number: int, call: Callable[..., Any], applies: Callable[..., bool] = lambda *_: True) -> Callable[..., Any]:
        """A function that notes its step."""

        @functools.wraps(call)
        def wrapped(*args: Any, **named: Any) -> Any:
            with self.step(number) if applies(*args) else contextlib.nullcontext():
                return call(*args, **named)

        return wrapped

    def _enter(self, number: int, phase: int) -> None:
        struct.pack_into("2i", self._memory, 4, number, phase)
        time.sleep(random.uniform(0, _LINGER_S[number]))


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
        if notes.read()[1] == _PLACE:
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
