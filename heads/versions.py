"""What computes a run, and what computed those that lie in a folder: a command that trains nothing again changes none of it."""

import platform
from collections.abc import Mapping, Sequence

import numpy as np
import torch

import emocache


def of_now() -> dict[str, str]:
    """The versions of what is at work."""
    return {"emocache": emocache.__version__, "torch": torch.__version__, "numpy": np.__version__, "python": platform.python_version()}


def together(each: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Name -> version, or all of them where the runs have several."""
    names = dict.fromkeys(name for one in each for name in one)
    return {name: ", ".join(dict.fromkeys(one[name] for one in each if name in one)) for name in names}
