"""Every setting of the papers' tables, and some beside them, with the size of its head.

It is built on the meta device, so no weight is allocated.
"""

from typing import Any

import torch

import heads
from heads.config import override
from heads.data import Input
from heads.recipes import every, sizes
from heads.recipes.recipe import Row

CLASSES = 4


def settings() -> list[dict[str, Any]]:
    """One object for each row: head, setting, recipe (null in none), parameters (null where the head is not built yet), and needs."""
    listed = [(recipe.name, row) for recipe in every() if not recipe.shows for row in recipe.rows]
    return [
        {
            "head": row.head,
            "setting": row.name,
            "recipe": name,
            "parameters": parameters(row) if row.head in heads.HEADS else None,
            "needs": [{"encoder": one.encoder, "level": one.level, "layers": list(one.layers), "dim": one.dim} for one in row.sources],
        }
        for name, row in [*listed, *((None, row) for row in sizes())]
    ]


def parameters(row: Row, classes: int = CLASSES) -> int:
    """How many weights the head of a row has, with the paper's inputs."""
    head = heads.head(row.head)
    inputs = [
        Input(name=one.encoder, level=one.level, layers=one.layers, dim=one.dim, text=one.text, encoder=one.encoder) for one in row.sources
    ]
    with torch.device("meta"):
        return sum(weight.numel() for weight in head.build(override(head.Config(), row.settings), inputs, classes).parameters())
