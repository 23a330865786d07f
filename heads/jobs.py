"""Several processes that share the runs of an experiment: each leaves what it finished in the folder, and the parent waits.

A process is `python -m heads.worker`. It is told on its standard input what to do, and ends when that is closed, so that it never
outlives its parent. What it has to say comes on its standard error.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tqdm import tqdm

from emocache.errors import EmocacheError
from heads.memory import SHARERS

POLL_S = 0.2
"""Seconds between two looks at the processes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """What one process is told (`about`, in JSON), its threads, and how many processes share the memory of its device."""

    about: Mapping[str, Any]
    threads: int
    sharers: int


@dataclass(frozen=True, slots=True)
class _Worker:
    """A process at work, and what it says."""

    process: "subprocess.Popen[bytes]"
    said: IO[bytes]


def spread(tasks: Sequence[Task], folders: Sequence[Path], total: int, *, quiet: bool) -> None:
    """Do the tasks side by side, and count the files of finished runs in `folders` meanwhile, of `total`.

    Raises EmocacheError with what the first process that fails says; the others are stopped then, as they are at an interruption.
    """
    workers: list[_Worker] = []
    try:
        workers.extend(map(_start, tasks))
        with tqdm(total=total, desc="training", unit="run", delay=1, disable=quiet) as bar:
            while any(worker.process.poll() is None for worker in workers):
                _check(workers)
                bar.update(min(total, _finished(folders)) - bar.n)
                time.sleep(POLL_S)
        _check(workers)
    finally:
        for worker in workers:
            worker.process.kill()
            worker.process.communicate()
            worker.said.close()


def _start(task: Task) -> _Worker:
    """Begin one process."""
    environment = os.environ | {"OMP_NUM_THREADS": str(task.threads), SHARERS: str(task.sharers)}
    environment["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, sys.path))
    said = tempfile.TemporaryFile()  # noqa: SIM115
    command = [sys.executable, "-P", "-m", "heads.worker"]  # -P: modules come from where the parent has them, not from the current folder
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=said, stdout=said, env=environment)
    assert process.stdin
    process.stdin.write(json.dumps(task.about, default=str).encode() + b"\n")
    process.stdin.flush()
    return _Worker(process, said)


def _check(workers: Sequence[_Worker]) -> None:
    """EmocacheError for a process that failed."""
    for worker in workers:
        if worker.process.poll():
            worker.said.seek(0)
            lines = worker.said.read().decode(errors="replace").strip().splitlines()
            text = lines[-1].removeprefix("emocache: ") if lines else f"a process of --jobs ended with {worker.process.returncode}"
            raise EmocacheError(
                f"{text} (in one of {len(workers)} jobs; what is finished is kept, and the same command goes on from there)"
            )


def _finished(folders: Sequence[Path]) -> int:
    """How many runs are done."""
    return len({path.name for folder in folders for path in folder.glob("*.safetensors")})
