"""Every setting of the papers' tables, and some beside them, with the size of its head.

It is built on the meta device, so no weight is allocated.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch

import heads
from heads.config import CountingHead, override
from heads.data import Input
from heads.emotionnas import fusion
from heads.recipes import every, sizes
from heads.recipes.recipe import Recipe, Row

CLASSES = 4
"""Of settings that no table has."""
FLOPS = ("flops_paper", "flops_macs")
FUSION: dict[str, Any] = {
    "head": "emotionnas", "setting": "fusion", "trained_as": "fuse", "recipe": None, "rows": [], "needs": [],
    "parameters": fusion.parameters(CLASSES),
}  # fmt: skip
"""What fuses two branches; it has no features of its own."""


def settings() -> list[dict[str, Any]]:
    """One object for each row: head, setting, table, parameters (null where the head is not built yet), and what it needs.

    Then one for each setting that a paper's system has, with `trained_as`, which is what `train` calls the head, and the `rows` of
    tables that have it, if any; `needs` are those of the first. Where the paper counts FLOPs, those of one utterance are there by
    its count and by a proper one, with what is to be known of its count.
    """
    return [*_rows(), *_systems(), *_others(), FUSION]


def _rows() -> Iterator[dict[str, Any]]:
    """Every row of every table."""
    for recipe in every():
        for row in () if recipe.shows else recipe.rows:
            yield {
                "head": row.head,
                "setting": row.name,
                "recipe": recipe.name,
                "search": row.search,
                **_size(recipe.trained(row), row, recipe.classes),
            }


def _systems() -> Iterator[dict[str, Any]]:
    """Every setting of every paper's system, once."""
    named: dict[tuple[str, str], list[tuple[Recipe, Row]]] = {}
    for recipe in every():
        for row in recipe.rows:
            if row.setting:
                named.setdefault((recipe.system, row.setting), []).append((recipe, row))
    for (system, setting), rows in named.items():
        recipe, row = rows[0]
        about = {"head": system, "setting": setting, "trained_as": row.head, "recipe": recipe.name, "notes": list(row.deviations)}
        yield about | {"rows": [f"{of.name}/{one.name}" for of, one in rows]} | _size(recipe.trained(row), row, recipe.classes)


def _others() -> Iterator[dict[str, Any]]:
    """Settings that no table has."""
    for system, row in sizes():
        about = {"head": system, "setting": row.setting, "trained_as": row.head, "recipe": None, "rows": [], "notes": list(row.deviations)}
        yield about | _size((row,), row, CLASSES)


def _size(trained: Sequence[Row], row: Row, classes: int) -> dict[str, Any]:
    """Parameters and FLOPs of a row, and what it needs; parameters of a combination are of the heads that are `trained` for it."""
    built = all(one.head in heads.HEADS and one.search != "spectrogram" for one in trained)
    extra = fusion.parameters(classes) if row.head == FUSION["head"] else 0
    needs = [{"encoder": one.encoder, "level": one.level, "layers": list(one.layers), "dim": one.dim} for one in row.sources]
    size = {"parameters": sum(parameters(one, classes) for one in trained) + extra if built else None}
    return size | (_flops(row, classes) if row.head in heads.HEADS else {}) | {"needs": needs}


def parameters(row: Row, classes: int = CLASSES) -> int:
    """How many weights the head of a row has, with the paper's inputs."""
    head = heads.head(row.head)
    with torch.device("meta"):
        return sum(weight.numel() for weight in head.build(override(head.Config(), row.settings), _inputs(row), classes).parameters())


def _flops(row: Row, classes: int) -> dict[str, Any]:
    """What the head counts itself, if it does."""
    head = heads.head(row.head)
    if not isinstance(head, CountingHead):
        return {}
    return {**head.costs(override(head.Config(), row.settings), _inputs(row), classes), "flops_notes": list(head.COST_NOTES)}


def _inputs(row: Row) -> list[Input]:
    """The paper's."""
    return [
        Input(name=one.encoder, level=one.level, layers=one.layers, dim=one.dim, text=one.text, encoder=one.encoder) for one in row.sources
    ]
