"""Pickled checkpoints, read without running anything in them."""

import pickle
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from emocache.errors import EncoderError
from emocache.files import first_line


def read(path: Path, what: str, plain: Sequence[type] = ()) -> Any:
    """The tensors and plain values of a checkpoint; EncoderError where it needs any other type than torch's own and `plain`.

    `plain` types hold values and run nothing (such as argparse.Namespace); they are allowed for this one file alone.
    """
    try:
        with torch.serialization.safe_globals(list(plain)), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Detected pickle protocol")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        wanted = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"it needs {wanted[1]}, and only tensors and plain values are read" if wanted else "it is damaged, or no checkpoint"
    except (OSError, RuntimeError, EOFError) as error:
        reason = first_line(error)
    raise EncoderError(f"{path}: cannot be read as {what} ({reason})")
