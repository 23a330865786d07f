"""A paper's table on a corpus at hand: every row run, or found, and what of ours is not as the paper's."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from emocache.errors import UsageError
from heads import combine, experiment, fuse, runfolder, searched_rows, stored
from heads.paper_table import PROTOCOL, Line, Ours, Table
from heads.plan import Plan
from heads.recipes.recipe import CELLS, Row
from heads.report import to_json
from heads.views import originals
from heads.wish import Wish, built, config_of, plans

NOT_BUILT = "head not built yet"
NOT_ASKED = "not asked for"
NO_TEXT = "needs --test-text"


def reproduce(wish: Wish, *, jobs: int = 1, quiet: bool = False) -> Table:
    """`plans` and `carry_out`; the same errors, before any training."""
    return carry_out(wish, plans(wish), jobs=jobs, quiet=quiet)


def carry_out(wish: Wish, planned: Mapping[str, Plan], *, jobs: int = 1, quiet: bool = False) -> Table:
    """Run every row that has a plan, in `jobs` processes, or take what an earlier call left in `runs`."""
    recipe = wish.recipe
    rows = {row.name: row for row in recipe.rows}
    ours = {name: _ours(wish, rows[name], one, jobs=jobs, quiet=quiet) for name, one in planned.items()}
    picked = [row for row in recipe.pick(wish.rows) if row.combines and built(recipe, row)]
    ours |= {row.name: _combined(wish, row, [ours[name] for name in row.combines]) for row in picked}
    lines = [Line(row=row, ours=ours.get(row.name), why="" if row.name in ours else _why(wish, row)) for row in recipe.rows]
    return Table(recipe=recipe, corpus=wish.corpus, protocol=wish.protocol, lines=tuple(lines))


def _why(wish: Wish, row: Row) -> str:
    """Why a row was not run."""
    if not built(wish.recipe, row):
        return NOT_BUILT
    return NO_TEXT if row.other_text and not wish.test_text else NOT_ASKED


def _ours(wish: Wish, row: Row, planned: Plan, *, jobs: int, quiet: bool) -> Ours:
    """What we have of a row, run now if there is no whole run of it."""
    reused, target = planned.finished and _whole(planned.target), planned.target
    if row.search:
        target = searched_rows.carry_out(row, planned, wish.settings, wish.cells, jobs=jobs, quiet=quiet)
    elif not reused:
        experiment.carry_out(planned, jobs=jobs, quiet=quiet)
    found: dict[str, Any] = json.loads((target / runfolder.RESULT).read_text(encoding="utf-8"))
    more = tuple(_more(wish, planned))
    deviations = (*_deviations(wish, row), *more, *row.deviations, *found["deviations"])
    return Ours(
        result=found,
        run=target,
        reused=reused,
        others=(*_others(wish, row), *(["utterances"] if more else [])),
        reduced=tuple(_reduced(wish, row, planned, found)),
        deviations=tuple(dict.fromkeys(deviations)),
    )


def _combined(wish: Wish, row: Row, parts: Sequence[Ours]) -> Ours:
    """What we have of a row that combines two others."""
    first, second = parts
    found = (fuse.fuse if row.head == fuse.HEAD else combine.combine)(first.run, second.run, wish.runs)
    return Ours(
        result=to_json(found),
        run=found.path,
        reused=first.reused and second.reused,
        others=tuple(dict.fromkeys([*_others(wish, row), *(name for part in parts for name in part.others)])),
        reduced=tuple(dict.fromkeys(text for part in parts for text in part.reduced)),
        deviations=tuple(dict.fromkeys([*row.deviations, *(text for part in parts for text in part.deviations), *found.deviations])),
    )


def _whole(folder: Path) -> bool:
    """Whether a run folder can be read; one that was damaged is written again, from its checkpoints where these are left."""
    try:
        stored.read(folder)
    except UsageError:
        return False
    return True


def _others(wish: Wish, row: Row) -> Iterator[str]:
    """What the paper had something else for, so that the two numbers are not of one thing."""
    if wish.corpus != wish.recipe.corpus:
        yield "corpus"
    if any((wish.encoder(one), wish.level(one)) != (one.encoder, one.level) for one in row.sources):
        yield "features"
    if wish.protocol not in {None, wish.recipe.protocol_of(row)}:
        yield PROTOCOL
    if wish.settings_of(row):
        yield "settings"


def _more(wish: Wish, planned: Plan) -> Iterator[str]:
    """Where the paper's corpus was prepared with more than the paper has of it."""
    count = len(originals(planned.material.utterances))
    if wish.corpus == wish.recipe.corpus and count > wish.recipe.utterances:
        yield f"{count} utterances; the paper has {wish.recipe.utterances}: see `emocache prepare --scheme`"


def _deviations(wish: Wish, row: Row) -> Iterator[str]:
    """Where what is asked for is not the paper's."""
    if wish.corpus != wish.recipe.corpus:
        yield f"corpus {wish.corpus}; the paper has {wish.recipe.corpus}"
    if wish.protocol not in {None, paper := wish.recipe.protocol_of(row)}:
        yield f"--protocol: {wish.protocol} stands for {paper}"
    for source in row.sources:
        if wish.encoder(source) != source.encoder:
            yield f"--encoders: {wish.encoder(source)} stands for {source.encoder}"
        if wish.level(source) != source.level:
            yield f"--alignment: {wish.level(source)} stands for {source.level}"


def _reduced(wish: Wish, row: Row, planned: Plan, found: Mapping[str, Any]) -> Iterator[str]:
    """What is smaller than in the recipe, in words."""
    recipe = wish.recipe
    sizes = [
        (len(found["seeds"]), len(recipe.seeds), "seeds"),
        (len({run["fold"] for run in found["runs"]}), recipe.folds_of(row), "folds"),
        (planned.config.epochs, config_of(row).epochs, "epochs at most"),
        (len(originals(planned.material.utterances)), recipe.utterances, "utterances"),
    ]
    for one, source in zip(planned.inputs, row.sources, strict=True):
        sizes += [
            (len(one.layers), len(source.layers), f"layers of {one.name}"),
            (one.dim, source.dim, f"dimensions of {one.name}"),
        ]
    if row.search == "recurrent":
        sizes.append((wish.cells, CELLS, "recurrent cells"))
    yield from (f"--set {one}" for one in wish.settings_of(row))
    yield from (f"{ours} of {paper} {what}" for ours, paper, what in sizes if ours < paper)
