"""The papers' tables: `RECIPES` names them, and their modules hold a `RECIPE` each, or `RECIPES` by name where they hold several."""

import importlib

from emocache.errors import UsageError
from heads.recipes.recipe import Recipe

RECIPES = {
    "multilevel-table1": "heads.recipes.multilevel_table1",
    "multilevel-table2": "heads.recipes.multilevel_table2",
    "multilevel-table3": "heads.recipes.multilevel_table3",
    **{f"mmer-{name}": "heads.recipes.mmer" for name in ("table1", "fig2", "grid", "transcripts", "released")},
}
"""Name of a recipe -> its module."""


def recipe(name: str) -> Recipe:
    """The recipe of that name, or a UsageError that lists them all."""
    if name not in RECIPES:
        raise UsageError(f"no recipe {name!r}; there are: {', '.join(RECIPES)}")
    module = importlib.import_module(RECIPES[name])
    found: Recipe = module.RECIPES[name] if hasattr(module, "RECIPES") else module.RECIPE
    return found


def every() -> list[Recipe]:
    """All recipes."""
    return [recipe(name) for name in RECIPES]
