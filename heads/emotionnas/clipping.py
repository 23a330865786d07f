"""A learner that keeps the gradient of all weights together short, as DARTS's code does."""

from dataclasses import dataclass

from torch import nn

from heads.config import Training
from heads.learner import Learner


@dataclass(frozen=True, kw_only=True)
class NormClipping(Training):
    """Training with a limit on the length of the gradient."""

    clip: float = 0.0
    clip_norm: float = 5.0
    """Largest length of the gradient of all weights together; 0 leaves it as it is."""

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        super().__post_init__()
        self.expect(0, 1_000_000, "clip_norm")


class NormClipped(Learner):
    """Clips the length of the gradient before each update."""

    _config: NormClipping

    def _step(self) -> None:
        """One update."""
        if self._config.clip_norm:
            nn.utils.clip_grad_norm_(self.model.parameters(), self._config.clip_norm)
        super()._step()
