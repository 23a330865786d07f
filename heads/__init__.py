"""Light heads trained on cached features: `HEADS` names them, and a head's module is imported only when it is used."""

import importlib
from typing import cast

from emocache.errors import UsageError
from heads.config import HeadModule

HEADS = {
    "linear": "heads.linear",
    "late": "heads.late",
    "transformer": "heads.transformer",
    "coattention": "heads.coattention",
    "concatenation": "heads.concatenation",
    "mstr": "heads.mstr",
    "tdfnet": "heads.tdfnet",
    "mmer": "heads.mmer",
    "supernet": "heads.supernet",
    "cell": "heads.cell",
    "handmade": "heads.handmade",
}
"""Name of a head -> its module, which holds Config, PAPER, NEEDS, build and deviations (`heads.config.HeadModule`)."""


def head(name: str) -> HeadModule:
    """The module of a head, or a UsageError that lists them all."""
    if name not in HEADS:
        raise UsageError(f"no head {name!r}; there are: {', '.join(HEADS)}")
    return cast(HeadModule, importlib.import_module(HEADS[name]))
