"""A feature set's plan and commits in a folder of their own, looked through before anything is believed of them.

The same goes for what is about to be pushed and what was pulled: who pushes sees what the others will see.
"""

from collections.abc import Mapping
from pathlib import Path

from emocache.care.findings import Finding
from emocache.care.verify_commits import read_commits, stored_arrays
from emocache.care.verify_plan import check_plan
from emocache.errors import CacheError, NewerFormat, ShareError
from emocache.manifest import fit
from emocache.store import Features
from emocache.store.card import read_card
from emocache.store.layout import FORMAT, Paths, read_sealed


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
    except (CacheError, ValueError, OSError, OverflowError, EOFError, SyntaxError, MemoryError, RecursionError) as error:
        text = str(error).replace(f"{root}/", "")
        raise ShareError(f"{where}: cannot be trusted ({text[:300]}); nothing was changed") from None


def _check(paths: Paths) -> None:
    """CacheError for whatever does not fit together."""
    card = read_card(paths.card)
    read_sealed(paths.card)
    if card.key.format != FORMAT:
        raise CacheError(f"has format {card.key.format}; `emocache migrate` it before it is pushed")
    plan = check_plan(paths, card)
    if plan.faults:
        raise CacheError(f"{plan.faults[0].path}: {plan.faults[0].what}")
    if not plan.generations:
        raise CacheError("plan: missing")
    for generation in plan.generations:
        if unfit := next((name for name in generation.names if not fit(name)), None):
            raise CacheError(f"plan: {unfit[:80]!a} can be no utterance's id")
    findings: list[Finding] = []
    seen: set[tuple[str, int]] = set()
    for commit in read_commits(paths, findings):
        generation = plan.generation_of(commit.id[1])
        if generation is None:
            raise CacheError(f"{commit.path}: its unit is not planned")
        arrays = stored_arrays(commit, generation, plan, card, findings)
        if lost := set(commit.arrays) - set(arrays):
            findings.append(Finding("entry", commit.path, f"the rows of {min(lost)} are not planned"))
        if twice := {(name, commit.id[1]) for name in arrays} & seen:
            findings.append(Finding("entry", commit.path, f"{min(twice)[0]} is committed twice"))
        seen |= {(name, commit.id[1]) for name in arrays}
    if findings:
        raise CacheError(f"{findings[0].path}: {findings[0].what}")
