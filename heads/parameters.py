"""Every setting of every paper table with the size of its head, built on the meta device: no weight is allocated."""

from collections.abc import Mapping
from typing import Any

import torch

import heads
from heads.config import CountingHead, override
from heads.data import Input
from heads.recipes import every
from heads.recipes.recipe import Recipe, Row

FLOPS = ("flops_paper", "flops_macs")


def settings() -> list[dict[str, Any]]:
    """One object for each row: head, setting, table, parameters (null where the head is not built yet), and what it needs.

    Where the paper counts FLOPs, those of one utterance by its count and by a proper one, and what is wrong with its count.
    """
    return [
        {
            "head": row.head,
            "setting": row.name,
            "recipe": recipe.name,
            "parameters": parameters(recipe, row) if row.head in heads.HEADS else None,
            **(_flops(recipe, row) if row.head in heads.HEADS else {}),
            "needs": [
                {"encoder": one.encoder, "level": one.level, "layers": list(recipe.layers_of(one)), "dim": one.dim} for one in row.sources
            ],
        }
        for recipe in every()
        for row in recipe.rows
    ]


def parameters(recipe: Recipe, row: Row) -> int:
    """How many weights the head of a row has, with the paper's inputs."""
    head = heads.head(row.head)
    with torch.device("meta"):
        built = head.build(override(head.Config(), row.settings), _inputs(recipe, row), recipe.classes)
    return sum(weight.numel() for weight in built.parameters())


def _flops(recipe: Recipe, row: Row) -> Mapping[str, Any]:
    """What the head counts itself, if it does."""
    head = heads.head(row.head)
    if not isinstance(head, CountingHead):
        return {}
    counted = head.costs(override(head.Config(), row.settings), _inputs(recipe, row), recipe.classes)
    return {**counted, "flops_notes": list(head.COST_NOTES)}


def _inputs(recipe: Recipe, row: Row) -> list[Input]:
    """The paper's."""
    return [
        Input(name=one.encoder, level=one.level, layers=recipe.layers_of(one), dim=one.dim, text=one.text, encoder=one.encoder)
        for one in row.sources
    ]
