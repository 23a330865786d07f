"""The papers' tables: `RECIPES` names them, one module each that holds a `RECIPE`."""

import importlib

from emocache.errors import UsageError
from heads.recipes.recipe import Recipe

RECIPES = {
    "multilevel-table1": "heads.recipes.multilevel_table1",
    "multilevel-table2": "heads.recipes.multilevel_table2",
    "multilevel-table3": "heads.recipes.multilevel_table3",
}
"""Name of a recipe -> its module."""


def recipe(name: str) -> Recipe:
    """The recipe of that name, or a UsageError that lists them all."""
    if name not in RECIPES:
        raise UsageError(f"no recipe {name!r}; there are: {', '.join(RECIPES)}")
    found: Recipe = importlib.import_module(RECIPES[name]).RECIPE
    return found


def every() -> list[Recipe]:
    """All recipes."""
    return [recipe(name) for name in RECIPES]
