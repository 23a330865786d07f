"""The operations of the DARTS space as modules, and what stands before a cell: shapes are [batch, channels, height, width].

As in DARTS's code, but that a side of odd length can be halved too: the row or column beyond the end is zero. `affine` says whether a
BatchNorm has weights: in a derived network it has, in the network of the search it has none.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Norm = nn.BatchNorm2d


class Halving(nn.Module):
    """DARTS's factorised reduction: half of the channels from places (0, 0), (2, 2), ..., the others from (1, 1), (3, 3), ..."""

    def __init__(self, given: int, channels: int, *, affine: bool = True) -> None:
        """`channels` is even."""
        super().__init__()
        self.even = nn.Conv2d(given, channels // 2, 1, stride=2, bias=False)
        self.odd = nn.Conv2d(given, channels // 2, 1, stride=2, bias=False)
        self.norm = Norm(channels, affine=affine)

    def forward(self, image: Tensor) -> Tensor:
        """Half as high and as wide."""
        image = F.relu(image)
        shifted = F.pad(image, (0, image.shape[3] % 2, 0, image.shape[2] % 2))[:, :, 1:, 1:]
        return self.norm(torch.cat([self.even(image), self.odd(shifted)], dim=1))  # type: ignore[no-any-return]


class Zero(nn.Module):
    """`none`: nothing but zeros."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, image: Tensor) -> Tensor:
        """Zeros in the shape of the answer."""
        return image[:, :, :: self.stride, :: self.stride] * 0


def adapted(given: int, channels: int, *, affine: bool = True) -> nn.Sequential:
    """ReLU, a 1x1 convolution and BatchNorm: makes an earlier cell's output as wide as the cell."""
    return nn.Sequential(nn.ReLU(), nn.Conv2d(given, channels, 1, bias=False), Norm(channels, affine=affine))


def _depthwise(channels: int, kernel: int, stride: int, dilation: int, *, affine: bool) -> list[nn.Module]:
    """ReLU, a convolution of each channel by itself, one across channels, BatchNorm."""
    padding = dilation * (kernel // 2)
    alone = nn.Conv2d(channels, channels, kernel, stride, padding, dilation, groups=channels, bias=False)
    return [nn.ReLU(), alone, nn.Conv2d(channels, channels, 1, bias=False), Norm(channels, affine=affine)]


def separable(kernel: int) -> Callable[[int, int, bool], nn.Module]:
    """A depthwise separable convolution twice, of which the first has the stride."""
    return lambda channels, stride, affine: nn.Sequential(
        *_depthwise(channels, kernel, stride, 1, affine=affine), *_depthwise(channels, kernel, 1, 1, affine=affine)
    )


def dilated(kernel: int) -> Callable[[int, int, bool], nn.Module]:
    """A depthwise separable convolution with dilation 2."""
    return lambda channels, stride, affine: nn.Sequential(*_depthwise(channels, kernel, stride, 2, affine=affine))


def _skip(channels: int, stride: int, affine: bool) -> nn.Module:
    """What it is given, or where the side is halved, a factorised reduction."""
    return nn.Identity() if stride == 1 else Halving(channels, channels, affine=affine)


MODULES: dict[str, Callable[[int, int, bool], nn.Module]] = {
    "none": lambda channels, stride, affine: Zero(stride),
    "max_pool_3x3": lambda channels, stride, affine: nn.MaxPool2d(3, stride, 1),
    "avg_pool_3x3": lambda channels, stride, affine: nn.AvgPool2d(3, stride, 1, count_include_pad=False),
    "skip_connect": _skip,
    "sep_conv_3x3": separable(3),
    "sep_conv_5x5": separable(5),
    "dil_conv_3x3": dilated(3),
    "dil_conv_5x5": dilated(5),
}
"""Name -> what makes it, of channels, stride and whether BatchNorm has weights."""
