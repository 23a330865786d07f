"""Every setting of every paper table with the size of its head, built on the meta device: no weight is allocated."""

from collections.abc import Iterator
from typing import Any

import torch

import heads
from heads.config import override
from heads.data import Input
from heads.recipes import every
from heads.recipes.recipe import Recipe, Row, Source

CLASSES = 4


def settings() -> list[dict[str, Any]]:
    """One object for each row: head, setting, table, parameters (null where the head is not built yet), and what it needs.

    Then one for each setting that a paper's system has in its tables, with `trained_as`, which is what `train` calls the head,
    and the `rows` that have it; `needs` are those of the first.
    """
    return [*_rows(), *_systems()]


def _rows() -> Iterator[dict[str, Any]]:
    """Every row of every table."""
    for recipe in every():
        for row in recipe.rows:
            yield {"head": row.head, "setting": row.name, "recipe": recipe.name, **_size(recipe, row)}


def _systems() -> Iterator[dict[str, Any]]:
    """Every setting of every paper's system, once."""
    named: dict[tuple[str, str], list[tuple[Recipe, Row]]] = {}
    for recipe in every():
        for row in recipe.rows:
            if row.setting:
                named.setdefault((recipe.system, row.setting), []).append((recipe, row))
    for (system, setting), rows in named.items():
        recipe, row = rows[0]
        about = {"head": system, "setting": setting, "trained_as": row.head, "recipe": recipe.name}
        yield about | {"rows": [f"{of.name}/{one.name}" for of, one in rows]} | _size(recipe, row)


def _size(recipe: Recipe, row: Row) -> dict[str, Any]:
    """Parameters of a row, and what it needs; those of a combination are of the heads that are trained for it."""
    trained = recipe.trained(row)
    built = all(one.head in heads.HEADS for one in trained)
    return {
        "parameters": sum(map(parameters, trained)) if built else None,
        "needs": [{"encoder": one.encoder, "level": one.level, "layers": list(_layers(one)), "dim": one.dim} for one in row.sources],
    }


def parameters(row: Row, classes: int = CLASSES) -> int:
    """How many weights the head of a row has, with the paper's inputs."""
    head = heads.head(row.head)
    inputs = [
        Input(name=one.encoder, level=one.level, layers=_layers(one), dim=one.dim, text=one.text, encoder=one.encoder)
        for one in row.sources
    ]
    with torch.device("meta"):
        return sum(weight.numel() for weight in head.build(override(head.Config(), row.settings), inputs, classes).parameters())


def _layers(one: Source) -> tuple[int, ...]:
    """The outputs of all blocks."""
    return tuple(range(1, one.blocks + 1))
