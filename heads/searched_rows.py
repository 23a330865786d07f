"""Rows of a paper's table whose cell is searched for on the corpus before its network is trained."""

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

import heads
from emocache.store import open_cache
from heads import cell, recurrent_search, searched
from heads.plan import Plan
from heads.recipes.recipe import Row

FOUND = "genotype"
"""The setting that a search finds."""
SIZES = ("layers", "width", "channels")


def carry_out(row: Row, planned: Plan, asked: Sequence[str], recipes: int, *, jobs: int, quiet: bool) -> Path:
    """Search and test; the run folder. `planned` is with a stand-in for the cell, `asked` are settings for all heads."""
    settings = [one for one in planned.ask.settings if _name(one) != FOUND]
    if row.search == "recurrent":
        wish = recurrent_search.Wish(ask=replace(planned.ask, settings=tuple(settings)), recipes=recipes)
        one = recurrent_search.prepare(wish, open_cache(planned.cache), quiet=quiet)
        return recurrent_search.carry_out(one, quiet=quiet).nested.result.path
    assert isinstance(planned.config, cell.Config)
    known = {one.name for one in fields(heads.head("supernet").Config)}
    size = (f"layers={planned.config.layers}", f"channels={planned.config.width}")
    shorter = [one for one in settings if _name(one) == "epochs" and one not in asked]
    of_search = (*size, *(one for one in asked if _name(one) in known), *shorter)
    again = tuple(one for one in settings if _name(one) not in SIZES)
    found = searched.search(
        searched.Wish(ask=replace(planned.ask, head="supernet", settings=of_search), retrain=again), jobs=jobs, quiet=quiet
    )  # fmt: skip
    assert found.derived is not None
    return found.derived.path


def _name(setting: str) -> str:
    """Of a setting."""
    return setting.partition("=")[0]
