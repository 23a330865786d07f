"""Three writers of one feature set, disturbed at random moments; every utterance is checked by content all the while.

    python benchmarks/killed_writers.py --mode kill     killed with -9 and started again
    python benchmarks/killed_writers.py --mode full     on a small file system that fills up (needs root: it is mounted)
    python benchmarks/killed_writers.py --mode stop     stopped with SIGSTOP for a while, and continued
    python benchmarks/killed_writers.py --mode lying    killed or stopped, where locks keep nobody out

A round is one feature set, from nothing until it is complete. It counts if a signal hit a writer that held a claim (with
--mode full: if one ran out of space while it held a claim); hits are printed by the step that the writer was at, several
where several of its threads were at different ones.
"""

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from marked_features import MARKS, WANTED, Checker
from noted_writers import ENDED, PHASES, REFUSED, STEPS, Notes, Writer

SIGNALS = MARKS - len(WANTED)
"""Of a round, at most: a writer that is killed starts again with a mark of its own."""
ROUND_S = 60.0
"""After so long a round is stuck."""
DISK_BYTES, DISK_FILES = 16 << 20, 2048
"""The small file system."""
SPACE = "free some space"
"""What the one line must say where the disk is full."""


@dataclass
class Tally:
    """What came of all rounds. `failed` are crashes, unclear errors and sets that were not completed."""

    rounds: int = 0
    counted: int = 0
    hits: Counter[tuple[int, int]] = field(default_factory=Counter)
    signals: int = 0
    idle: int = 0
    readings: int = 0
    corrupt: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    left: Counter[str] = field(default_factory=Counter)

    def hit(self, notes: Notes) -> None:
        """Enter what a writer was at when a signal hit it."""
        self.signals += 1
        if notes.held():
            self.hits.update(notes.at())
        else:
            self.idle += 1

    def table(self, mode: str) -> str:
        """The figures as Markdown."""
        lines = ["| a writer that held a claim was hit at | " + " | ".join(PHASES) + " |", "|---|" + "---|" * len(PHASES)]
        for i, step in enumerate(STEPS):
            lines.append("| " + " | ".join([step, *(str(self.hits[i, phase]) for phase in range(len(PHASES)))]) + " |")
        return "\n".join(lines) + (
            f"\n\n{mode}: {self.counted} rounds that count, of {self.rounds}; {self.signals - self.idle} hits on a writer with a claim, "
            f"{self.idle} on one without; {self.readings} readings: {len(self.corrupt)} corrupt, {len(self.lost)} lost, "
            f"{len(self.failed)} failed; left behind in complete sets: "
            + (", ".join(f"{number} {kind}" for kind, number in self.left.items()) or "nothing")
        )


class Round:
    """One feature set, its writers and its checker."""

    def __init__(self, folder: Path, logs: Path, tally: Tally, mode: str) -> None:
        self.tally = tally
        self.mode = mode
        self.checker = Checker(folder / "cache")
        lying = mode == "lying"
        nodes = ("node0", "node1", "node2") if lying and random.random() < 0.5 else ("", "", "")
        self.writers = [Writer(folder / "cache", i, logs / f"{i}.log", lying, node) for i, node in enumerate(nodes)]
        self.pause_s = random.choice([0, 0.002, 0.005])
        self.marks = iter(range(MARKS))
        self.deadline = time.monotonic() + ROUND_S

    def start(self) -> None:
        """Start the writers that did not end well."""
        for one in self.writers:
            if one.code != ENDED:
                one.start(next(self.marks), self.pause_s)

    def look(self) -> None:
        """Read what is there."""
        self.checker.look()
        self.tally.readings += 1

    def disturb(self) -> None:
        """Send signals at random moments to random writers, and read after each."""
        for _ in range(SIGNALS):
            time.sleep(random.uniform(0, 0.12))
            if random.random() < 0.7:
                self._await_claim()
            running = [one for one in self.writers if one.alive()]
            if not running:
                return
            victim = random.choice([one for one in running if one.notes.held()] or running)
            if self.mode == "stop" or (self.mode == "lying" and random.random() < 0.5):
                self._pause(victim)
            else:
                victim.send(signal.SIGKILL)
                self.tally.hit(victim.notes)
                self.look()
                victim.start(next(self.marks), self.pause_s)

    def fill(self, folder: Path) -> Path:
        """At a random moment, take all but a little of the space, or of the files, that the file system has."""
        time.sleep(random.uniform(0, 0.4))
        filler = folder / "filler"
        filler.mkdir()
        there = os.statvfs(folder)
        if random.random() < 0.3:
            for i in range(max(0, there.f_ffree - random.randrange(60))):
                with contextlib.suppress(OSError):
                    (filler / str(i)).touch()
        else:
            with contextlib.suppress(OSError), (filler / "bytes").open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, max(1, there.f_bavail - random.randrange(80)) * there.f_frsize)
        return filler

    def strike(self) -> None:
        """Wait for the writers on a full file system; each ends, or says in one line what to do."""
        self.wait((ENDED, REFUSED))
        for one in self.writers:
            step = one.notes.struck()
            self.tally.signals += one.code == REFUSED
            self.tally.idle += one.code == REFUSED and not step
            self.tally.hits[step, 1] += bool(step)
            if one.code == REFUSED and (SPACE not in one.said() or "\n" in one.said()):
                self.fail(f"writer {one.number} says: {one.said()}")

    def wait(self, allowed: tuple[int, ...] = (ENDED,)) -> None:
        """Wait for all writers to end, and read what is there."""
        while [one for one in self.writers if one.alive()]:
            if time.monotonic() > self.deadline:
                self.fail(f"stuck: {[one.notes.at() for one in self.writers]}")
                self.close()
            time.sleep(0.002)
        self.look()
        for one in self.writers:
            if one.code not in allowed:
                self.fail(f"writer {one.number} ended with {one.code}: {one.said()[-300:]}")

    def finish(self) -> None:
        """Whoever extracts again has nothing to encode; all is there and in its place."""
        self.wait()
        ended = [one for one in self.writers if one.code == ENDED]
        for one in ended[:1]:
            one.start(MARKS - 1, 0)
        self.wait()
        for one in ended:
            if not self.checker.complete(WANTED[one.number]):
                self.fail(f"writer {one.number} ended, but what it was asked for is not complete")
        self.tally.left += self.checker.left_behind()
        self.tally.corrupt += [f"round {self.tally.rounds}: {line}" for line in self.checker.corrupt]
        self.tally.lost += [f"round {self.tally.rounds}: {line}" for line in self.checker.lost]

    def fail(self, line: str) -> None:
        """Note what must not happen."""
        self.tally.failed.append(f"round {self.tally.rounds}: {line}")

    def close(self) -> None:
        """End every writer, whatever happened."""
        for one in self.writers:
            if one.alive():
                one.send(signal.SIGKILL)

    def _await_claim(self) -> None:
        """Wait until a writer holds a claim, and a moment longer."""
        while (running := [one for one in self.writers if one.alive()]) and not any(one.notes.held() for one in running):
            time.sleep(0.001)
        time.sleep(random.uniform(0, 0.02))

    def _pause(self, victim: Writer) -> None:
        """Stop a writer for a while, in which the others go on."""
        victim.send(signal.SIGSTOP)
        time.sleep(0.001)
        self.tally.hit(victim.notes)
        for _ in range(random.randint(1, 3)):
            time.sleep(random.uniform(0, 0.1))
            self.look()
        victim.send(signal.SIGCONT)


def play(folder: Path, logs: Path, tally: Tally, mode: str) -> None:
    """One round."""
    before = sum(tally.hits.values())
    with contextlib.closing(Round(folder, logs, tally, mode)) as one:
        one.start()
        if mode == "full":
            filler = one.fill(folder)
            one.strike()
            shutil.rmtree(filler)
            one.start()
        else:
            one.disturb()
        one.finish()
    tally.rounds += 1
    tally.counted += sum(tally.hits.values()) > before


@contextlib.contextmanager
def place_of(work: Path, mode: str) -> Iterator[Path]:
    """The folder that caches are made in: for `full` a small file system of its own."""
    folder = work / "disk"
    folder.mkdir()
    if mode != "full":
        yield folder
        return
    image = work / "image"
    with image.open("wb") as file:
        file.truncate(DISK_BYTES)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", "-N", str(DISK_FILES), str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def main() -> None:
    """Rounds until enough of them count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", choices=["kill", "full", "stop", "lying"], default="kill")
    parser.add_argument("--rounds", type=int, default=300, help="rounds that count")
    parser.add_argument("--work", type=Path, help="a folder for the caches; by default a temporary one")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    random.seed(options.seed)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # not without unmounting
    tally = Tally()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(dir=options.work) as name, place_of(Path(name), options.mode) as folder:
        while tally.counted < options.rounds and tally.rounds < 3 * options.rounds:
            play(folder, Path(name), tally, options.mode)
            shutil.rmtree(folder / "cache")
    print(tally.table(options.mode), f"({time.monotonic() - begin:.0f} s)")
    for line in [*tally.corrupt, *tally.lost, *tally.failed][:20]:
        print("!", line)
    sys.exit(1 if tally.corrupt or tally.lost or tally.failed else 0)


if __name__ == "__main__":
    main()
