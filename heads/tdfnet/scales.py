"""The deep-scale transformer: each block halves the width, shortens time, and sends all modalities through the same GRUs.

    A'  512 x 768  --conv 8-->  64 x 384  --GRU 768, GRU 384-->  64 x 384  --encoder-->  D1     (T' 128 x 768 likewise, by 2)
    D1   64 x 384  --conv 2-->  32 x 192  --GRU 384, GRU 192-->  32 x 192  --encoder-->  D2

What is behind the end of an utterance is 0 before a convolution, and a window is real whose first row is: the last one may
be filled up with zeros, by the utterance's own length and by nothing else. GRUs go forward, so what is behind an end never gets before it.
"""

from collections.abc import Mapping

from torch import nn
from torch.nn import functional as F

from heads.attention import Padded
from heads.tdfnet.config import Config
from heads.tdfnet.inputs import Role
from heads.tdfnet.layers import encoders

FIRST_STRIDE: dict[Role, int] = {"speech": 8, "text": 2}
"""Rows that the first block makes one of: 512 rows of speech and 128 of text become 64."""
STRIDE = 2
"""The same of every later block."""
Streams = Mapping[Role, Padded]


class DeepScale(nn.Module):
    """A' and T' by modality, and D_1, H_1, D_2, H_2, ... block by block."""

    def __init__(self, config: Config) -> None:
        """Encoders of the whole width, then `config.scales` blocks."""
        super().__init__()
        self.encoders = encoders(config, config.width)
        self.blocks = nn.ModuleList(Scale(config, i) for i in range(config.scales))

    def forward(self, given: Streams) -> tuple[Streams, list[Streams]]:
        """From A and T."""
        encoded = {name: self.encoders[name](one) for name, one in given.items()}
        found: list[Streams] = []
        for block in self.blocks:
            found.append(block(found[-1] if found else encoded))
        return encoded, found


class Scale(nn.Module):
    """One block."""

    def __init__(self, config: Config, number: int) -> None:
        """The block `number` (from 0)."""
        super().__init__()
        dim = config.width >> number
        strides = {name: STRIDE if number else FIRST_STRIDE[name] for name in config.streams}
        self.narrow = nn.ModuleDict({name: nn.Conv1d(dim, dim // 2, by, stride=by) for name, by in strides.items()})
        self.grus = SharedGrus(dim // 2)
        self.encoders = encoders(config, dim // 2)

    def forward(self, given: Streams) -> Streams:
        """Every modality at half the width."""
        return {name: self.encoders[name](self.grus(shortened(self.narrow[name], one))) for name, one in given.items()}  # type: ignore[arg-type]


class SharedGrus(nn.Module):
    """Two GRUs, dim -> 2 dim -> dim, of one direction; whichever modality goes through, the weights are the same (eq. 1, 2)."""

    def __init__(self, dim: int) -> None:
        """From and to width `dim`."""
        super().__init__()
        self.first = nn.GRU(dim, 2 * dim, batch_first=True)
        self.second = nn.GRU(2 * dim, dim, batch_first=True)

    def forward(self, given: Padded) -> Padded:
        """As long as it was."""
        return given.holding(self.second(self.first(given.values)[0])[0])


def shortened(narrow: nn.Conv1d, given: Padded) -> Padded:
    """A convolution whose windows do not overlap, over the rows that are real and zeros."""
    (stride,) = narrow.stride
    lacking = -given.values.shape[1] % stride
    clean = F.pad(given.values.masked_fill(~given.real[:, :, None], 0), (0, 0, 0, lacking))
    return Padded(narrow(clean.mT).mT, given.real[:, ::stride])
