"""Representations of earlier batches, to contrast with when a batch is small: a memory bank (Wang et al. 2020, Cross-Batch Memory)."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class Bank(nn.Module):
    """The last `size` representations that were added in training, and their labels; they carry no gradient and are not saved."""

    values: Tensor
    labels: Tensor

    def __init__(self, size: int, dim: int) -> None:
        """Empty; with `size` 0 it stays so."""
        super().__init__()
        self.size = size
        self.register_buffer("values", torch.zeros(0, dim), persistent=False)
        self.register_buffer("labels", torch.zeros(0, dtype=torch.int64), persistent=False)

    def behind(
        self, z: Float[Tensor, "batch dim"], labels: Int[Tensor, " batch"]
    ) -> tuple[Float[Tensor, "all dim"], Int[Tensor, " all"]]:  # fmt: skip
        """The batch with the bank behind it; then the bank has the batch too, and forgets its oldest."""
        found = torch.cat([z, self.values.to(z.dtype)]), torch.cat([labels, self.labels])
        if self.size:
            self.values = torch.cat([self.values, z.detach().float()])[-self.size :]
            self.labels = torch.cat([self.labels, labels])[-self.size :]
        return found
