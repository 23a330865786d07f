"""The papers' tables: `RECIPES` names them, and their modules hold a `RECIPE` each, or `RECIPES` by name where they hold several."""

import importlib

from emocache.errors import UsageError
from heads.recipes.recipe import Recipe

CORPORA = ("iemocap", "meld", "crema-d")
RECIPES = {
    "multilevel-table1": "heads.recipes.multilevel_table1",
    "multilevel-table2": "heads.recipes.multilevel_table2",
    "multilevel-table3": "heads.recipes.multilevel_table3",
    **{f"mstr-table2-{corpus}": "heads.recipes.mstr_table2" for corpus in CORPORA},
    **{f"mstr-fig3-{corpus}": "heads.recipes.mstr_fig3" for corpus in CORPORA},
    **{f"mmer-{name}": "heads.recipes.mmer" for name in ("table1", "fig2", "grid", "transcripts", "released")},
}
"""Name of a recipe -> its module."""
SEVERAL = {whole: tuple(f"{whole}-{corpus}" for corpus in CORPORA) for whole in ("mstr-table2", "mstr-fig3")}
"""A table on several corpora -> the recipe of each."""


def recipe(name: str) -> Recipe:
    """The recipe of that name, or a UsageError that lists them all."""
    if name not in RECIPES:
        raise UsageError(f"no recipe {name!r}; there are: {', '.join([*RECIPES, *SEVERAL])}")
    module = importlib.import_module(RECIPES[name])
    found: Recipe = module.RECIPES[name] if hasattr(module, "RECIPES") else module.RECIPE
    return found


def parts(name: str) -> tuple[Recipe, ...]:
    """The recipe of that name, or those of a table on several corpora; a UsageError that lists them all."""
    return tuple(recipe(part) for part in SEVERAL.get(name, (name,)))


def every() -> list[Recipe]:
    """All recipes."""
    return [recipe(name) for name in RECIPES]
