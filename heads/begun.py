"""A run that is under way, in one safetensors file: what it takes to go on after its last whole epoch, with the same result.

runs/.NAME.DIGEST.part/0-3.begun    fold 0 with seed 3; gone when the run is done and lies beside it
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

SUFFIX = ".begun"


@dataclass(frozen=True, slots=True)
class Begun:
    """Where it is kept, and the digest of everything that decides the run's numbers."""

    path: Path
    digest: str

    def save(self, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
        """Write it, whole or not at all."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_suffix(f"{SUFFIX}.part")
        data = {name: one.detach().cpu().clone().contiguous() for name, one in tensors.items()}
        part.write_bytes(to_bytes(data, {"digest": self.digest, "about": json.dumps(dict(about))}))
        part.replace(self.path)

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """What was saved; None when it is not there, damaged, or of another run."""
        try:
            with safe_open(self.path, "pt") as file:
                said: Mapping[str, str] = file.metadata() or {}
                if said.get("digest") != self.digest:
                    return None
                return {name: file.get_tensor(name) for name in file.keys()}, json.loads(said["about"])  # noqa: SIM118
        except (OSError, SafetensorError, ValueError, KeyError):
            return None

    def remove(self) -> None:
        """Once the run is done."""
        self.path.unlink(missing_ok=True)


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under `prefix/`."""
    return {f"{prefix}/{name}": one for name, one in tensors.items()}


def of(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What `under` put there."""
    return {name.removeprefix(f"{prefix}/"): one for name, one in tensors.items() if name.startswith(f"{prefix}/")}
