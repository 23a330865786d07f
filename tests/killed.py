"""Runs an action on a feature set and is killed with -9 at one of its steps, as often as asked.

    python -m tests.killed ACTION < lines of "STEP CACHE" > exit codes and steps made

A step is whatever changes names on disk or waits for the disk. Every line is a process of its own, forked.
"""

import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import zarr  # noqa: F401  # before forking

from emocache.store import litter
from emocache.store.gc import beside, collect, compact
from emocache.store.layout import Paths
from emocache.store.migrate import migrate
from emocache.store.remove import remove_arrays, remove_sets, remove_utterances
from emocache.store.repair import repair

ACTIONS: dict[str, Callable[[Paths], object]] = {
    "compact": compact,
    "migrate": migrate,
    "repair": repair,
    "collect": collect,
    "remove": lambda paths: remove_sets(paths.root, [paths]),
    "remove-layer": lambda paths: remove_arrays(paths, [("frames", 1)]),
    "remove-utterances": lambda paths: remove_utterances(paths, ["u1"]),
    "sweep": lambda paths: litter.sweep(beside(paths.root.parents[1]), paths.root.parents[1]),
}
STEPS = ("rename", "replace", "unlink", "rmdir", "link", "mkdir", "fsync")


def _die_at(step: int) -> "count[int]":
    """Have the process killed before its step of that number; a counter of steps."""
    steps = count()

    def counting(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            if next(steps) == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **more)

        return call

    for name in STEPS:
        setattr(os, name, counting(getattr(os, name)))
    return steps


def main() -> None:
    """See above."""
    for line in sys.stdin:
        step, root = line.split()
        if not (child := os.fork()):
            steps = _die_at(int(step))
            ACTIONS[sys.argv[1]](Paths(Path(root) / "corpus/toy"))
            print(0, next(steps), flush=True)  # noqa: T201
            os._exit(0)
        if status := os.waitpid(child, 0)[1]:
            print(os.waitstatus_to_exitcode(status), step, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
