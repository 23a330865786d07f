"""Every setting of every paper table with the size of its head, built on the meta device: no weight is allocated."""

from typing import Any

import torch

import heads
from heads.config import override
from heads.data import Input
from heads.recipes import every
from heads.recipes.recipe import Recipe, Row

CLASSES = 4


def settings() -> list[dict[str, Any]]:
    """One object for each row: head, setting, table, parameters (null where the head is not built yet), and what it needs."""
    return [
        {
            "head": row.head,
            "setting": row.name,
            "recipe": recipe.name,
            "parameters": parameters(recipe, row) if row.head in heads.HEADS else None,
            "needs": [
                {"encoder": one.encoder, "level": one.level, "layers": list(recipe.layers_of(one)), "dim": one.dim} for one in row.sources
            ],
        }
        for recipe in every()
        for row in recipe.rows
    ]


def parameters(recipe: Recipe, row: Row, classes: int = CLASSES) -> int:
    """How many weights the head of a row has, with the paper's inputs."""
    head = heads.head(row.head)
    inputs = [
        Input(name=one.encoder, level=one.level, layers=recipe.layers_of(one), dim=one.dim, text=one.text, encoder=one.encoder)
        for one in row.sources
    ]
    with torch.device("meta"):
        return sum(weight.numel() for weight in head.build(override(head.Config(), row.settings), inputs, classes).parameters())
