"""Runs an action on a feature set and is killed with -9 at one of its steps, as often as asked.

    python -m tests.killed ACTION < lines of "STEP CACHE" > "EXIT-CODE STEPS DECISIVE-STEPS"

A step is whatever changes names on disk or waits for the disk; decisive ones rename from or to a hidden name. Every line
is a process of its own, forked.
"""

import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import zarr  # noqa: F401  # before forking

from emocache.care import litter
from emocache.care.gc import beside, collect, compact
from emocache.care.migrate import migrate
from emocache.care.remove import remove_arrays, remove_sets, remove_utterances
from emocache.care.repair import repair
from emocache.store.layout import Paths

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


def _die_at(step: int) -> tuple["count[int]", list[int]]:
    """Have the process killed before its step of that number; a counter of steps, and the decisive ones so far."""
    steps, decisive = count(), []

    def counting(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            number = next(steps)
            if number == step:
                os.kill(os.getpid(), signal.SIGKILL)
            if name == "rename" and any(os.path.basename(path).startswith(".") for path in args):  # noqa: PTH119
                decisive.append(number)
            return real(*args, **more)

        return call

    for name in STEPS:
        setattr(os, name, counting(name, getattr(os, name)))
    return steps, decisive


def main() -> None:
    """See above."""
    for line in sys.stdin:
        step, root = line.split()
        if not (child := os.fork()):
            steps, decisive = _die_at(int(step))
            ACTIONS[sys.argv[1]](Paths(Path(root) / "corpus/toy"))
            print(0, next(steps), *decisive, flush=True)  # noqa: T201
            os._exit(0)
        if status := os.waitpid(child, 0)[1]:
            print(os.waitstatus_to_exitcode(status), step, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
