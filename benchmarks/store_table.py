"""Interleaved repeats, and the Markdown table made of them."""

import datetime
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TypeVar

import numpy as np

Name = TypeVar("Name")
Figure = TypeVar("Figure")
PACKAGES = ("numpy", "zarr", "h5py", "torch")
HEAD = "| measured | how | unit | median | min-max | ratio |\n|---|---|---|---|---|---|"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: a figure per round; `ratio` to the yardstick, whose own is 1."""

    what: str
    how: str
    unit: str
    values: Sequence[float]
    ratio: float | None = None

    def __str__(self) -> str:
        span = f"{figure(min(self.values))}-{figure(max(self.values))}" if len(self.values) > 1 else ""
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}" if self.ratio >= 0.1 else f"{self.ratio:.1g}"
        return f"| {self.what} | {self.how} | {self.unit} | {figure(median(self.values))} | {span} | {ratio} |"


def interleaved(tasks: Mapping[Name, Callable[[int], Figure]], rounds: int) -> dict[Name, list[Figure]]:
    """Every task once a round, which it is told, in an order of the round's own, so that whatever drifts meets all of them."""
    found: dict[Name, list[Figure]] = {name: [] for name in tasks}
    for number in range(rounds):
        for which in np.random.default_rng(number).permutation(len(tasks)).tolist():
            name = list(tasks)[which]
            found[name].append(tasks[name](number))
    return found


def compared(what: str, unit: str, found: Mapping[str, Sequence[float]], yardstick: str) -> list[Row]:
    """Rows of one comparison, the yardstick first; a ratio is the median over rounds of the ratios within a round."""
    return [
        Row(what, name, unit, values, median(one / other for one, other in zip(values, found[yardstick], strict=True)))
        for name, values in sorted(found.items(), key=lambda pair: pair[0] != yardstick)
    ]


def figure(value: float) -> str:
    """Three digits, or all of a whole number."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def table(rows: Sequence[Row], about: Sequence[str], folder: Path) -> str:
    """The whole report."""
    return "\n".join([machine(folder), *about, "", HEAD, *map(str, rows), ""])


def machine(folder: Path) -> str:
    """Where this was measured, without saying whose machine it is."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{datetime.datetime.now(datetime.UTC).date()}; {os.cpu_count()} cores ({_processor()}), {memory:.0f} GiB; "
        f"Linux {platform.release()}, {_file_system(folder)}; Python {platform.python_version()}, {packages}."
    )


def _processor() -> str:
    """What kind of processor it is."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.split(": ", 1)[1] for line in lines if line.startswith("model name")), platform.machine())


def _file_system(folder: Path) -> str:
    """The kind of file system that holds a folder."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    return max((len(point), kind) for point, kind in mounts if folder.resolve().is_relative_to(point))[1]
