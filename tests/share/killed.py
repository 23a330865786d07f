"""Pushes and pulls that are killed with -9 at random moments, and what somebody else sees after each.

push, killed   ->  whoever pulls has all that is listed, to the byte, or is told that there is nothing yet
push again     ->  arrives
pull, killed   ->  what the cache shows is sound and right, to the byte; a set that is new is there whole or not at all
pull again     ->  has everything
"""

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import zarr  # noqa: F401  # before forking

import emocache.care.verify
import emocache.corpora  # noqa: F401
from emocache.errors import ShareError
from emocache.share.address import parse_address
from emocache.share.pull import pull
from emocache.share.push import Consent, push
from emocache.share.wish import Wish
from emocache.store.layout import Paths
from tests.share import small

PART = Wish(layers="last", sessions=("0",))
LENGTHS = (3, 70, 256, 1, 40, 199, 130, 25)


@dataclass
class Count:
    """What happened in how many rounds."""

    rounds: int = 0
    push_killed: int = 0
    nothing_listed: int = 0
    pull_killed: int = 0
    nothing_there: int = 0
    part_there: int = 0
    torn: int = 0


def rounds(folder: Path, count: int, seed: int = 0) -> Count:
    """So many rounds, each with a cache of its own; in every other one the pull adds to a part that is there."""
    rng, found = random.Random(seed), Count()
    pushing, pulling = _seconds(folder / "timed")
    for number in range(count):
        found.rounds += 1
        here, part = folder / str(number), number % 2 == 1
        well = [_done(_make, here, number)]
        found.push_killed += _killed(rng.uniform(0, pushing), _push, here)
        found.nothing_listed += not (here / "remote/latest.json").exists()
        well += [_done(_check_remote, here), _done(_push, here)]
        if part:
            well.append(_done(_pull, here, PART))
        found.pull_killed += _killed(rng.uniform(0, pulling), _pull, here, Wish())
        there = (here / "c/corpus/toy/card.json").exists()
        found.nothing_there += not there
        found.part_there += there and part
        well.append(not there or _done(_check_cache, here, not part))
        well += [_done(_pull, here, Wish()), _done(_check_cache, here, True)]
        found.torn += not all(well)
        shutil.rmtree(here)
    return found


def _seconds(here: Path) -> tuple[float, float]:
    """How long a push and a pull take."""
    assert _done(_make, here, 0)
    return _time(_push, here), _time(_pull, here, Wish())


def _make(here: Path, seed: int) -> None:
    here.mkdir(parents=True)
    small.make(here / "cache", LENGTHS, seed=seed)


def _push(here: Path) -> None:
    push(parse_address(f"{here / 'remote'}@v1"), [Paths(here / "cache/corpus/toy")], here / "data", Consent())


def _pull(here: Path, wish: Wish) -> None:
    pull(parse_address(str(here / "remote")), here / "c", wish, None)


def _check_remote(here: Path) -> None:
    """Whatever is listed comes whole."""
    try:
        pull(parse_address(str(here / "remote")), here / "looked", Wish(), None)
    except ShareError as error:
        if "is no shared cache" in str(error):
            return
        raise
    assert small.rows(here / "looked") == small.rows(here / "cache")


def _check_cache(here: Path, whole: bool) -> None:
    """Whatever the cache shows is right."""
    mine, true = small.rows(here / "c"), small.rows(here / "cache")
    assert all(true[key] == rows for key, rows in mine.items())
    assert not whole or mine == true
    assert small.sound(here / "c")


def _killed(after_s: float, work: Callable[..., None], *given: object) -> bool:
    """Do something in a process that is killed after so long; whether it still ran."""
    if not (child := os.fork()):
        _work(work, *given)
    time.sleep(after_s)
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def _done(work: Callable[..., None], *given: object) -> bool:
    """Do something in a process of its own, to its end; whether it went well."""
    if not (child := os.fork()):
        _work(work, *given)
    return os.waitpid(child, 0)[1] == 0


def _time(work: Callable[..., None], *given: object) -> float:
    """The seconds that something takes."""
    since = time.perf_counter()
    assert _done(work, *given)
    return time.perf_counter() - since


def _work(work: Callable[..., None], *given: object) -> None:
    code = 1
    try:
        work(*given)
        code = 0
    finally:
        os._exit(code)
