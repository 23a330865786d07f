"""Which frames lie together at every scale of a batch: windows of p frames, each of which is one frame of the next scale.

time     0 1 2 | 3 4 5 | 6 7        scale 1: eight frames in windows of p = 3
           0       1      2         scale 2: floor(8 / 3) = 2 frames as printed, or 3 of them, the last the mean of two
"""

from dataclasses import dataclass
from itertools import pairwise

from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, slots=True)
class Scale:
    """One scale: `frames` of them, followed by what fills the last window up.

    `absent` is true for what no frame may attend to: padding. `share` is what each frame counts in the mean of its window.
    The first dimension is 1 where all utterances are of one length.
    """

    frames: int
    absent: Bool[Tensor, "batch windows p"]
    share: Float[Tensor, "batch windows p 1"]

    @property
    def time(self) -> int:
        """Frames with the filling."""
        return self.absent.shape[1] * self.absent.shape[2]


def scales_of(real: Bool[Tensor, "batch time"], p: int, levels: int, *, floor: bool) -> tuple[Scale, ...]:
    """The scales of a batch, `real` where it is no padding.

    With `floor` what is left over at the end has no frame at the next scale, as printed; otherwise it has one, the mean of less
    than p frames.
    """
    found = []
    for _ in range(levels):
        frames = real.shape[1]
        windows = -(-frames // p)
        here = F.pad(real, (0, windows * p - frames)).view(-1, windows, p)
        found.append(Scale(frames, ~here, (here / here.sum(2, keepdim=True).clamp(min=1))[..., None]))
        real = here[:, : frames // p if floor else windows].any(2)
    return tuple(found)


def mixed(found: list[Tensor], scales: tuple[Scale, ...]) -> Float[Tensor, "batch time dim"]:
    """Frames of every scale, each as often as it lasts, added up (eq. 3 and 4): [batch, time of the scale, dim] each."""
    if any(fine.absent.shape[1] != coarse.frames for fine, coarse in pairwise(scales)):
        return _stretched(found, scales)
    total = found[-1]
    for fine, coarse in zip(found[-2::-1], scales[:0:-1], strict=True):
        windows = fine.view(len(fine), coarse.frames, -1, fine.shape[2])
        total = (windows + total[:, : coarse.frames, None]).flatten(1, 2)
    return total[:, : scales[0].frames]


def _stretched(found: list[Tensor], scales: tuple[Scale, ...]) -> Tensor:
    """Torch's nearest frame where the scales do not divide each other: frame t of T takes frame floor(t n / T) of n.

    It computes that in float32, so where t n / T is whole it may take the frame before, at some T (none of the paper's).
    """
    total = found[0][:, : scales[0].frames]
    for coarse, scale in zip(found[1:], scales[1:], strict=True):
        wanted = (scales[0].frames, coarse.shape[2])
        total = total + F.interpolate(coarse[:, None, : scale.frames], size=wanted, mode="nearest")[:, 0]
    return total
