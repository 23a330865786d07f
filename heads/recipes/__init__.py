"""The papers' tables: `RECIPES` names them, in modules that hold a `RECIPE` or several."""

import importlib
from typing import Any, cast

from emocache.errors import UsageError
from heads.recipes.recipe import Recipe, Row

CORPORA = ("iemocap", "meld", "crema-d")
RECIPES = {
    "multilevel-table1": "heads.recipes.multilevel_table1",
    "multilevel-table2": "heads.recipes.multilevel_table2",
    "multilevel-table3": "heads.recipes.multilevel_table3",
    **{f"mstr-table2-{corpus}": "heads.recipes.mstr_table2:RECIPES" for corpus in CORPORA},
    **{f"mstr-fig3-{corpus}": "heads.recipes.mstr_fig3:RECIPES" for corpus in CORPORA},
    **{f"tdfnet-table{number}": f"heads.recipes.tdfnet_tables:TABLE{number}" for number in range(1, 6)},
    **{f"tdfnet-fig{number}": f"heads.recipes.tdfnet_figures:FIG{number}" for number in range(5, 12)},
    **{f"mmer-{name}": "heads.recipes.mmer:RECIPES" for name in ("table1", "fig2", "grid", "transcripts", "released")},
    **{f"emotionnas-table{number}": "heads.recipes.emotionnas_tables:TABLES" for number in range(1, 5)},
}
"""Name of a recipe -> its module, or a name in it: of a recipe, or of several by name."""

SEVERAL = {whole: tuple(f"{whole}-{corpus}" for corpus in CORPORA) for whole in ("mstr-table2", "mstr-fig3")}
"""A table on several corpora -> the recipe of each."""

SIZES = {"tdfnet": "heads.recipes.tdfnet:SIZES"}
"""A paper's system -> its settings that no table has."""


def recipe(name: str) -> Recipe:
    """The recipe of that name, or a UsageError that lists them all."""
    if name not in RECIPES:
        raise UsageError(f"no recipe {name!r}; there are: {', '.join([*RECIPES, *SEVERAL])}")
    found = _named(RECIPES[name])
    return cast(Recipe, found[name] if isinstance(found, dict) else found)


def parts(name: str) -> tuple[Recipe, ...]:
    """The recipe of that name, or those of a table on several corpora; a UsageError that lists them all."""
    return tuple(recipe(part) for part in SEVERAL.get(name, (name,)))


def every() -> list[Recipe]:
    """All recipes."""
    return [recipe(name) for name in RECIPES]


def sizes() -> list[tuple[str, Row]]:
    """Settings that no table has, as rows, each with the name of its system."""
    return [(system, row) for system, place in SIZES.items() for row in _named(place)]


def _named(place: str) -> Any:
    """What 'module:NAME' names; a module by itself means its RECIPE."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name or "RECIPE")
