"""Repairing a feature set: what verify condemns is taken out, so that the next extraction makes it again.

Nothing else is undone, and the order is the one of writing, backwards: first the commit entries, so that no reader
believes them, then the plan that they rested on, then the shards that nobody names any more. Killed in between, it is
simply run again.
"""

from dataclasses import dataclass
from pathlib import Path

from emocache.care import litter
from emocache.care.findings import Report
from emocache.care.verify import verify
from emocache.care.verify_commits import without_shards
from emocache.care.verify_plan import file_faults, planned
from emocache.errors import CacheError
from emocache.files import sync_folder, write_whole
from emocache.store.card import Card, read_card
from emocache.store.claims import Use
from emocache.store.index import Index, read_index
from emocache.store.layout import WIDE_SUFFIX, Paths, make_arrays, read_array, stored_dtype
from emocache.store.plan import write_removal
from emocache.store.writer import removed_text, settle


@dataclass(frozen=True, slots=True)
class Repaired:
    """What was found, and what a repair could not bring back, in words."""

    report: Report
    losses: tuple[str, ...] = ()


def repair(paths: Paths) -> Repaired:
    """Verify a feature set and take out what is condemned; CacheError when its card is damaged or somebody is at work on it."""
    with Use(paths.claims, alone=True):
        report = verify(paths)
        if card := report.of("card"):
            raise CacheError(
                f"{card[0].path}: {card[0].what}; put it back from a copy, or `emocache rm {report.name}` and extract again; "
                "nothing was changed"
            )
        paths = report.paths
        for name, unit in {entry for finding in report.findings for entry in finding.entries}:
            (paths.commits(name) / f"{unit}.json").unlink(missing_ok=True)
        for folder in _commit_folders(paths):
            sync_folder(folder)
        losses = _drop_plan(report)
        _describe_removals(report)
        index = read_index(paths)
        _describe_arrays(report, read_card(paths.card), index)
        settle(paths, index)
        litter.sweep(litter.find(paths, index.commits), paths.root)
    return Repaired(report, losses)


def _commit_folders(paths: Paths) -> list[Path]:
    """The folders of commit entries."""
    return sorted(path for path in (paths.root / "commits").glob("*") if path.is_dir())


def _drop_plan(report: Report) -> tuple[str, ...]:
    """Take out the damaged part of the plan; what is lost by that, in words."""
    plan = report.paths.root / "plan"
    for folder in {_under(plan, finding.path, 2) for finding in report.of("level")}:
        if folder.is_dir():
            litter.discard(folder, report.paths.root)
    damaged = [int(_under(plan, finding.path, 1).name) for finding in report.of("generation")]
    return (_drop_generations(report.paths, min(damaged)),) if damaged else ()


def _under(root: Path, path: Path, depth: int) -> Path:
    """The folder so many steps below `root` that a path leads through."""
    return root.joinpath(*path.relative_to(root).parts[:depth])


def _drop_generations(paths: Paths, first: int) -> str:
    """Take out the generations from `first` on; in their stand a removal of every utterance that they are known to have named.

    Without it older rows would be read again of utterances that have newer ones, or were removed. It is written behind
    the others first, so that a kill does not lose it.
    """
    last = planned(paths)
    names = {number: _names(paths, number) for number in range(first, last)}
    ids = list(dict.fromkeys(name for found in names.values() for name in found or ()))
    if ids:
        write_removal(paths, last, ids)
    for number in names:
        if paths.plan(number).exists():
            litter.discard(paths.plan(number), paths.root)
    if ids:
        paths.plan(last).rename(paths.plan(first))
        sync_folder(paths.root / "plan")
    lost = f"plan/{first} is damaged: its {'' if last == first + 1 else 'and later '}units are lost, and extracted again"
    unknown = [f"plan/{number}" for number, found in names.items() if found is None]
    return f"{lost}; if {', '.join(unknown)} removed utterances, remove them once more" if unknown else lost


def _names(paths: Paths, number: int) -> list[str] | None:
    """The utterances of a generation; None when its ids cannot be trusted."""
    folder = paths.plan(number)
    if not folder.is_dir() or any(path.name == "ids.npy" for path, _ in file_faults(folder, ["ids"], paths.format)):
        return None
    try:
        return [name.decode() for name in read_array(folder / "ids.npy").tolist()]
    except (UnicodeDecodeError, AttributeError, TypeError):
        return None


def _describe_removals(report: Report) -> None:
    """Write anew what is damaged beside commit entries."""
    for finding in report.of("removed"):
        write_whole(finding.path, removed_text(sorted(without_shards(report.paths, finding.path.parent))))


def _describe_arrays(report: Report, card: Card, index: Index) -> None:
    """Write `zarr.json` anew where it is damaged and rows depend on it."""
    paths = report.paths
    for finding in report.of("zarr"):
        finding.path.unlink(missing_ok=True)
    for (level, array), shards in index.commits.sha256.items() if report.of("zarr") else ():
        layer, wide = int(array.removesuffix(WIDE_SUFFIX)), array.endswith(WIDE_SUFFIX)
        dtype = stored_dtype(array, card.key.dtype)
        make_arrays(paths, card.cut(level), [layer], max(shards, default=-1) + 1, dtype, wide=wide)
