"""Every point at which a writer can be disturbed, one after the other, in processes of their own.

    python -m tests.crash_points kill FOLDER       it ends there, as by kill -9, and another one goes on
    python -m tests.crash_points full FOLDER       the disk is full from there on, then has space again
    python -m tests.crash_points stopped FOLDER    it is stopped there, another one does the same work without heeding locks, it goes on

A point is a call that changes the disk. After each disturbance whatever is committed is read, by content; prints what is
wrong, and last how many points there were.
"""

import errno
import itertools
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import zarr  # noqa: F401 - before the fork, so that it is imported once

from emocache.errors import CacheError
from emocache.store import claims, open_cache, writer
from tests.toy_store import CARD, toy, write

LENGTHS = (3, 300, 256)
DATA, OTHER = toy(LENGTHS), {name: values + 0.5 for name, values in toy(LENGTHS).items()}
"""The same utterances by two writers whose values differ."""
NARROW, WHOLE = {"frames": [1]}, {"frames": [0, 1], "utterance": [0]}
HERE, ELSEWHERE = "n1", "n2"


def disturb(point: int, action: Callable[[int], None]) -> None:
    """Have `action` done before the call number `point` that changes the disk, and before all later ones."""
    calls = itertools.count()

    def counted(function: Callable[..., Any], changes: Callable[..., bool] = lambda *_, **__: True) -> Callable[..., Any]:
        def wrapped(*args: Any, **named: Any) -> Any:
            if changes(*args, **named) and (number := next(calls)) >= point:
                action(number - point)
            return function(*args, **named)

        return wrapped

    def writes(path: Path, mode: str = "r", *_: object, **__: object) -> bool:
        return mode[0] in "wxa"

    for owner, name in [(os, "fsync"), (os, "link"), (Path, "rename"), (Path, "replace"), (Path, "mkdir")]:
        setattr(owner, name, counted(getattr(owner, name)))
    Path.open = counted(Path.open, writes)  # type: ignore[method-assign]


def in_child(work: Callable[[], object]) -> int:
    """Run something in a forked process; its id. It ends with 0, with 2 after the one line of a known error, else with 1."""
    if pid := os.fork():
        return pid
    code = 1
    try:
        work()
        code = 0
    except CacheError as error:
        sys.stderr.write(f"{error}\n")
        code = 2 if "free some space, then repeat" in str(error) else 1
    except BaseException:  # noqa: BLE001 - told to whoever waits
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def ended(pid: int) -> int:
    """Wait for a process; how it ended."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def extract(root: Path, data: dict[str, np.ndarray], wanted: dict[str, list[int]], node: str = HERE, *, lying: bool = False) -> None:
    """One writer."""
    claims.socket.gethostname = lambda: node  # type: ignore[attr-defined]
    writer.WAIT_S = 0.01
    if lying:
        claims.flock = lambda file, operation: True
        claims.locks_exclude = lambda folder: True
    write(root, data, wanted, card=CARD)


def written_by(root: Path) -> dict[tuple[str, int, str], int]:
    """(level, layer, utterance) -> which of the two wrote it, of all that is committed; AssertionError where it is no one's."""
    if not list(root.glob("corpus/toy/commits/*/[0-9]*.json")):
        return {}
    features = open_cache(root).features("corpus", "toy")
    found = {}
    for level in features.levels:
        for layer in features.layers_of(level):
            for name in features.held(level, [layer]):
                rows = features.read(name, level, [layer])[0]
                expected = DATA[name][layer] if level == "frames" else DATA[name][layer].mean(axis=0, keepdims=True)
                by = [i for i in (0, 1) if np.array_equal(rows, (expected + i / 2).astype(np.float16))]
                assert len(by) == 1, f"{level}/{layer} of {name} has other values than its own"
                found[level, layer, name] = by[0]
    return found


def check(root: Path, before: dict[tuple[str, int, str], int], *, complete: bool) -> dict[tuple[str, int, str], int]:
    """What is committed; AssertionError unless it holds what was there before, and all of it if it is to be complete."""
    now = written_by(root)
    assert before.items() <= now.items(), f"lost or changed: {dict(before.items() - now.items())}"
    wanted = {(level, layer, name) for level, layers in WHOLE.items() for layer in layers for name in DATA}
    assert not complete or set(now) >= wanted, f"not complete: {wanted - set(now)}"
    if complete:
        assert not (left := [*root.rglob("parts/*"), *root.rglob("c.*.0.*")]), f"left behind: {left}"
    return now


def kill(root: Path, point: int) -> bool:
    """One writer ends at a point; another one goes on."""
    first = in_child(lambda: (disturb(point, lambda since: os._exit(9)), extract(root, DATA, WHOLE)))
    code = ended(first)
    before = check(root, {}, complete=False)
    assert ended(in_child(lambda: extract(root, OTHER, WHOLE))) == 0
    assert ended(in_child(lambda: extract(root, OTHER, WHOLE))) == 0
    check(root, before, complete=True)
    return code == 9


def full(root: Path, point: int) -> bool:
    """The disk is full from a point on."""

    def refuse(since: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    code = ended(in_child(lambda: (disturb(point, refuse), extract(root, DATA, WHOLE))))
    assert code in {0, 2}, f"ended with {code}"
    before = check(root, {}, complete=False)
    assert ended(in_child(lambda: extract(root, OTHER, WHOLE))) == 0
    assert ended(in_child(lambda: extract(root, OTHER, WHOLE))) == 0
    check(root, before, complete=True)
    return code == 2


def stopped(root: Path, point: int) -> bool:
    """One writer is stopped at a point while another one, that is asked for less, more or the same, does its work."""
    mine, theirs = [(WHOLE, WHOLE), (NARROW, WHOLE), (WHOLE, NARROW)][point % 3]
    node = [HERE, ELSEWHERE][point // 3 % 2]

    def stop(since: int) -> None:
        if not since:
            os.kill(os.getpid(), signal.SIGSTOP)

    first = in_child(lambda: (disturb(point // 6, stop), extract(root, DATA, mine, lying=True)))
    _, status = os.waitpid(first, os.WUNTRACED)
    if not os.WIFSTOPPED(status):
        return mine == NARROW  # it has fewer points than the others
    before = check(root, {}, complete=False)
    assert ended(in_child(lambda: extract(root, OTHER, theirs, node, lying=True))) == 0, "the second writer failed"
    before = check(root, before, complete=False)
    os.kill(first, signal.SIGCONT)
    assert ended(first) == 0, "the first writer failed"
    before = check(root, before, complete=False)
    assert ended(in_child(lambda: extract(root, DATA, WHOLE))) == 0
    assert ended(in_child(lambda: extract(root, DATA, WHOLE))) == 0
    check(root, before, complete=True)
    return True


def main(mode: str, folder: Path, every: int = 1) -> None:
    """All points, or every so manieth."""
    play = {"kill": kill, "full": full, "stopped": stopped}[mode]
    for point in itertools.count(0, every):
        root = folder / str(point)
        try:
            if not play(root, point):
                break
        except AssertionError as error:
            sys.stdout.write(f"{mode} at point {point}: {error}\n")
        shutil.rmtree(root, ignore_errors=True)
    sys.stdout.write(f"{point} points\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:]))
