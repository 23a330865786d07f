"""Whether the plan is what was written, fits together, and lies where the rules of the cut say."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emocache.care.findings import reason
from emocache.errors import CacheError
from emocache.store.card import Card, planned_levels
from emocache.store.layout import CHECKSUMS, Level, Paths, read_array, read_sealed
from emocache.store.plan import COLUMN, DIGESTS, Generation, Rows, lay_out
from emocache.store.seal import SEALED

OWN = ("ids", "digests", "units")
ROWS = ("start", "length", "shard")


@dataclass(frozen=True, slots=True)
class Fault:
    """A damaged file of a generation; `level` is None for the generation's own arrays."""

    path: Path
    what: str
    generation: int
    level: str | None = None


@dataclass
class PlanCheck:
    """The generations before the first damaged one, the rows of their levels that are sound, and what is not."""

    generations: list[Generation] = field(default_factory=list)
    rows: dict[tuple[int, str], Rows] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    @property
    def units(self) -> int:
        """How many units can be told apart."""
        return sum(len(generation.unit_numbers) for generation in self.generations)

    def generation_of(self, unit: int) -> Generation | None:
        """The generation of a unit."""
        return next((generation for generation in self.generations if unit in generation.unit_numbers), None)


def check_plan(paths: Paths, card: Card) -> PlanCheck:
    """Look at every generation; units are numbered on from one to the next, so a damaged one ends the check."""
    check = PlanCheck()
    for number in range(planned(paths)):
        if faults := list(_generation_faults(paths, number)):
            check.faults += faults
            break
        ids, digests, units = (read_array(paths.plan(number) / f"{name}.npy") for name in OWN)
        generation = Generation(paths, number, check.units, ids, digests, units)
        check.generations.append(generation)
        if generation.removal:
            continue
        for name in planned_levels(paths, card):
            _check_level(check, generation, card.cut(name))
    return check


def planned(paths: Paths) -> int:
    """How many generations there are, or were: one more than the highest number."""
    folders = (path for path in (paths.root / "plan").glob("[0-9]*") if path.is_dir() and path.name.isdecimal())
    return max((int(path.name) + 1 for path in folders), default=0)


def _generation_faults(paths: Paths, number: int) -> Iterator[Fault]:
    """What is wrong with a generation's own arrays."""
    folder = paths.plan(number)
    if not folder.is_dir():
        yield Fault(folder, "missing", number)
        return
    if faults := list(file_faults(folder, OWN, paths.format)):
        yield from (Fault(path, what, number) for path, what in faults)
    elif unfit := _unfit_generation(*(read_array(folder / f"{name}.npy") for name in OWN)):
        yield Fault(folder, unfit, number)


def _check_level(check: PlanCheck, generation: Generation, cut: Level) -> None:
    """Enter the rows of one level, or what is wrong with them."""
    folder = generation.paths.plan(generation.number) / cut.name
    if not folder.is_dir():
        return
    if faults := list(file_faults(folder, ROWS, generation.paths.format)):
        check.faults += [Fault(path, what, generation.number, cut.name) for path, what in faults]
        return
    rows = Rows(*(read_array(folder / f"{name}.npy") for name in ROWS))
    more = {path: read_array(path) for path in sorted([*folder.glob(f"{COLUMN}*.npy"), *folder.glob(f"{DIGESTS}.npy")])}
    if what := _unfit_rows(rows, more, generation, cut) or _overlap(check, rows, cut):
        check.faults.append(Fault(folder, what, generation.number, cut.name))
    else:
        check.rows[generation.number, cut.name] = rows


def file_faults(folder: Path, names: Sequence[str], format_: int) -> Iterator[tuple[Path, str]]:
    """Files of a plan folder that are missing or not what was written. FORMAT 0 had no checksums."""
    checksums: dict[str, Any] = {}
    if format_ > 0:
        try:
            checksums = read_sealed(folder / CHECKSUMS)
        except CacheError as error:
            yield folder / CHECKSUMS, reason(error, folder / CHECKSUMS)
    there = {path.name for path in folder.glob("*.npy")}
    for name in sorted({*(f"{name}.npy" for name in names), *there, *(set(checksums) - {SEALED})}):
        path = folder / name
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if checksums and digest != checksums.get(name):
                yield path, "is not what was written (its SHA-256 differs)"
            else:
                read_array(path)
        except FileNotFoundError:
            yield path, "missing"
        except (CacheError, OSError) as error:
            yield path, reason(error, path)


def _unfit_generation(ids: NDArray[Any], digests: NDArray[Any], units: NDArray[Any]) -> str | None:
    """What is wrong with ids [n], digests [n, 32] and units [u + 1]; None when they fit."""
    if ids.ndim != 1 or ids.dtype.kind != "S" or digests.shape != (len(ids), 32) or digests.dtype != np.uint8:
        return f"its ids {ids.shape} {ids.dtype} and digests {digests.shape} {digests.dtype} do not fit together"
    if units.ndim != 1 or units.dtype != np.int64 or not len(units) or units[0] != 0:
        return f"its units {units.shape} {units.dtype} do not begin with 0"
    if len(units) > 1 and ((np.diff(units) <= 0).any() or units[-1] != len(ids)):
        return f"its units do not divide {len(ids)} utterances"
    if len(np.unique(ids)) != len(ids):
        return "an utterance stands in it twice"
    try:
        b"\n".join(ids.tolist()).decode()
    except UnicodeDecodeError:
        return "its ids are no text"
    return None


def _overlap(check: PlanCheck, rows: Rows, cut: Level) -> str | None:
    """Which generation has shards that the rows of another one lie in, too."""
    for (number, level), other in check.rows.items():
        if level == cut.name and rows.shard[0] < other.shard[-1] and other.shard[0] < rows.shard[-1]:
            return f"utterances lie in shards of plan/{number}"
    return None


def _unfit_rows(rows: Rows, more: dict[Path, NDArray[Any]], generation: Generation, cut: Level) -> str | None:
    """What is wrong with the rows of a level, or what they stand for; None when they are where the cut puts them."""
    utterances, units = len(generation.ids), len(generation.units)
    found = [(values.shape, values.dtype.name) for values in (rows.start, rows.length, rows.shard)]
    if found != [((utterances,), "int64"), ((utterances,), "int32"), ((units,), "int64")]:
        return "its arrays have other shapes or types than those of its utterances and units"
    if (rows.length < 0).any():
        return "utterances have fewer than no rows"
    expected = lay_out(np.asarray(rows.length), generation.units, cut.shard_rows, int(rows.shard[0]))
    if not (np.array_equal(expected.start, rows.start) and np.array_equal(expected.shard, rows.shard)):
        return "utterances do not lie where the cut puts them"
    total = int(rows.length.sum(dtype=np.int64))
    for path, values in more.items():
        if path.stem == DIGESTS:
            if values.shape != (utterances, 32) or values.dtype != np.uint8:
                return f"{path.name} is not one digest for each of {utterances} utterances"
        elif values.shape != (total,) or (values.dtype != np.int32 and values.dtype.kind != "S"):
            return f"{path.name} is not one number or text for each of {total} rows"
    return None
