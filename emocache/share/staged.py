"""A feature set's plan and commits in a folder of their own, looked through before anything is believed of them.

The same goes for what is about to be pushed and what was pulled: who pushes sees what the others will see.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from emocache.care.findings import Finding
from emocache.care.verify_commits import read_commits, stored_arrays
from emocache.care.verify_plan import PlanCheck, check_plan
from emocache.errors import CacheError, NewerFormat, ShareError
from emocache.manifest import fit
from emocache.store import Features
from emocache.store.card import Card, read_card
from emocache.store.layout import FORMAT, LEVELS, Paths, read_sealed

MOST_ROWS = 1 << 24
"""Most rows of a unit, width of a row, or layers."""


def lay_out(files: Mapping[str, bytes], root: Path, where: str) -> Features:
    """Write the files of a pack below `root` and open what they make; ShareError when that is no sound feature set.

    There are no rows beside it yet.
    """
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    try:
        _check(Paths(root))
        return Features(Paths(root))
    except NewerFormat:
        raise
    except Exception as error:  # noqa: BLE001 - numpy raises whatever the damage leads it to
        text = str(error).replace(f"{root}/", "")
        raise ShareError(f"{where}: cannot be trusted ({text[:300]}); nothing was changed") from None


def _check(paths: Paths) -> None:
    """CacheError for whatever does not fit together."""
    card = read_card(paths.card)
    read_sealed(paths.card)
    if card.key.format != FORMAT:
        raise CacheError(f"has format {card.key.format}; `emocache migrate` it before it is pushed")
    _check_card(card)
    plan = check_plan(paths, card)
    if plan.faults:
        raise CacheError(f"{plan.faults[0].path}: {plan.faults[0].what}")
    if not plan.generations:
        raise CacheError("plan: missing")
    for generation in plan.generations:
        if unfit := next((name for name in generation.names if not fit(name)), None):
            raise CacheError(f"plan: {unfit[:80]!a} can be no utterance's id")
    if findings := list(_commit_findings(paths, card, plan)):
        raise CacheError(f"{findings[0].path}: {findings[0].what}")


def _check_card(card: Card) -> None:
    """CacheError for numbers that no card has, and text that cannot be shown."""
    texts = [value for one in (card, card.key) for value in asdict(one).values() if isinstance(value, str)]
    texts += [text for pair in (*card.levels.items(), *card.made_with.items()) for text in pair]
    if not all(isinstance(text, str) and text.isprintable() for text in texts):
        raise CacheError("card.json: holds text that cannot be shown")
    numbers = [card.unit_rows, *card.dims.values()]
    if not all(type(one) is int and 0 < one <= MOST_ROWS for one in numbers) or card.unit_rows % 256:
        raise CacheError("card.json: holds sizes that cannot be")
    if not set(card.levels) <= set(LEVELS) or not all(type(one) is int and 0 <= one < MOST_ROWS for one in card.layers):
        raise CacheError("card.json: names levels or layers that there are not")


def _commit_findings(paths: Paths, card: Card, plan: PlanCheck) -> Iterator[Finding]:
    """What is wrong with the commit entries."""
    findings: list[Finding] = []
    seen: set[tuple[str, int]] = set()
    for commit in read_commits(paths, findings):
        generation = plan.generation_of(commit.id[1])
        arrays = stored_arrays(commit, generation, plan, card, findings) if generation else {}
        if lost := set(commit.arrays) - set(arrays):
            yield Finding("entry", commit.path, f"the rows of {min(lost)} are not planned")
        if twice := {(name, commit.id[1]) for name in arrays} & seen:
            yield Finding("entry", commit.path, f"{min(twice)[0]} is committed twice")
        sums = [checksum for stored in arrays.values() for _, _, checksum in stored.shards]
        if not all(re.fullmatch("[0-9a-f]{64}", one) for one in sums) or not all(map(_shown, commit.failures.values())):
            yield Finding("entry", commit.path, "holds what is no SHA-256, or text that cannot be shown")
        seen |= {(name, commit.id[1]) for name in arrays}
    yield from findings


def _shown(text: object) -> bool:
    return isinstance(text, str) and text.isprintable()
