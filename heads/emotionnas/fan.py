"""All edges that leave one state of a cell in the search, each with the weighted sum of the 8 operations (eq. 2), computed together.

What the edges of a state share is computed once: ReLU, both pools with their BatchNorm (which has no weights, so it is the same for
all), and of each kind of convolution one call for all edges. Where all edges are given the same image, a depthwise convolution and the
1x1 after it are one convolution whose weight is the product of theirs, since nothing is between them; parameters, their
beginnings and their gradients are those of the two. The architecture weight of an operation is the scale of the BatchNorm that
comes last in it.

    state [batch, C, h, w]  -- a convolution of each kind -->  [batch, edges C, h, w]  -- sum over kinds -->  edge e: from channel e C on
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from heads.emotionnas.genotype import OPERATIONS

NUMBER = {name: i for i, name in enumerate(OPERATIONS)}
POOLS = ("max_pool_3x3", "avg_pool_3x3")


class SearchNorm(nn.Module):
    """BatchNorm without weights of its own; `scale` is what each channel is multiplied by after it.

    `tracking` says whether training moves the running statistics, which evaluation takes.
    """

    mean: Tensor  # [channels]
    variance: Tensor  # [channels]
    tracking = True

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))

    def forward(self, image: Tensor, scale: Tensor | None = None) -> Tensor:
        """In the shape of the image."""
        bias = None if scale is None else torch.zeros_like(scale)  # cuDNN takes both or neither
        if self.training and not self.tracking:
            return F.batch_norm(image, None, None, scale, bias, training=True)
        return F.batch_norm(image, self.mean, self.variance, scale, bias, self.training)


def uniform(*shape: int, inputs: int) -> nn.Parameter:
    """The weights of a convolution, begun as torch begins those of one with so many inputs to a number."""
    bound = inputs**-0.5
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))


class Depthwise(nn.Module):
    """A depthwise convolution and a 1x1, for each of several edges: [batch, C or edges C, h, w] -> [batch, edges C, h, w].

    `apart`: each edge has its own C channels of what comes in; otherwise all are given the same C.
    """

    def __init__(self, channels: int, edges: int, kernel: int, *, stride: int = 1, dilation: int = 1, apart: bool = False) -> None:
        super().__init__()
        self.alone = uniform(edges, channels, kernel, kernel, inputs=kernel**2)
        self.across = uniform(edges, channels, channels, inputs=channels)
        self.apart = apart
        self.stride, self.dilation, self.padding = stride, dilation, dilation * (kernel // 2)

    def forward(self, image: Tensor) -> Tensor:
        """Without ReLU and BatchNorm."""
        if self.apart:
            edges, channels = self.alone.shape[:2]
            each = F.conv2d(image, self.alone.flatten(0, 1)[:, None], None, self.stride, self.padding, self.dilation, edges * channels)
            return F.conv2d(each, self.across.flatten(0, 1)[:, :, None, None], groups=edges)
        weight = (self.across[:, :, :, None, None] * self.alone[:, None]).flatten(0, 1)
        return F.conv2d(image, weight, None, self.stride, self.padding, self.dilation)


class Halvings(nn.Module):
    """DARTS's factorised reduction for each of several edges, without ReLU and BatchNorm.

    Its two 1x1 convolutions of stride 2, one of them shifted by a place, are two corners of one 2x2 convolution.
    """

    def __init__(self, given: int, channels: int, edges: int) -> None:
        super().__init__()
        self.even = uniform(edges, channels // 2, given, inputs=given)
        self.odd = uniform(edges, channels // 2, given, inputs=given)

    def forward(self, image: Tensor) -> Tensor:
        """Half as high and as wide; a row or column beyond an odd side is zero."""
        zero = torch.zeros_like(self.even)
        corners = [torch.cat([self.even, zero], dim=1), torch.cat([zero, self.odd], dim=1)]
        nothing = torch.zeros_like(corners[0])
        weight = torch.stack([corners[0], nothing, nothing, corners[1]], dim=-1).flatten(0, 1)
        return F.conv2d(F.pad(image, (0, image.shape[3] % 2, 0, image.shape[2] % 2)), weight.reshape(*weight.shape[:2], 2, 2), stride=2)


class Fan(nn.Module):
    """The edges of one state: [batch, C, h, w] and their weights [edges, 8] -> [batch, edges C, h, w]."""

    def __init__(self, channels: int, edges: int, stride: int) -> None:
        """`stride` 2 halves the sides."""
        super().__init__()
        wide = channels * edges
        self.stride, self.channels = stride, channels
        self.first = nn.ModuleDict({f"sep_conv_{k}x{k}": Depthwise(channels, edges, k, stride=stride) for k in (3, 5)})
        self.between = nn.ModuleDict({name: SearchNorm(wide) for name in self.first})
        self.second = nn.ModuleDict({f"sep_conv_{k}x{k}": Depthwise(channels, edges, k, apart=True) for k in (3, 5)})
        self.dilated = nn.ModuleDict({f"dil_conv_{k}x{k}": Depthwise(channels, edges, k, stride=stride, dilation=2) for k in (3, 5)})
        self.halve = Halvings(channels, channels, edges) if stride == 2 else None
        last = [*self.second, *self.dilated, *(["skip_connect"] if self.halve else [])]
        self.last = nn.ModuleDict({name: SearchNorm(wide) for name in last})
        self.pooled = nn.ModuleDict({name: SearchNorm(channels) for name in POOLS})

    def forward(self, state: Float[Tensor, "batch channels h w"], weights: Float[Tensor, "edges operations"]) -> Tensor:
        """`weights` are after the softmax; that of `none` adds nothing."""
        scales = weights.repeat_interleave(self.channels, dim=0)
        answer = self._pools(state, weights)
        active = F.relu(state)
        for name, convolution in self.first.items():
            inner = F.relu(self.between[name](convolution(active)))
            answer = answer + self.last[name](self.second[name](inner), scales[:, NUMBER[name]])
        for name, convolution in self.dilated.items():
            answer = answer + self.last[name](convolution(active), scales[:, NUMBER[name]])
        if self.halve is not None:
            answer = answer + self.last["skip_connect"](self.halve(active), scales[:, NUMBER["skip_connect"]])
        return answer

    def _pools(self, state: Tensor, weights: Tensor) -> Tensor:
        """The pools and, where the side stays, the state itself, mixed for each edge by one 1x1 convolution."""
        names = [*POOLS, *([] if self.halve else ["skip_connect"])]
        largest = F.max_pool2d(state, 3, self.stride, 1)
        mean = F.avg_pool2d(state, 3, self.stride, 1, count_include_pad=False)
        shared = [self.pooled["max_pool_3x3"](largest), self.pooled["avg_pool_3x3"](mean), *([] if self.halve else [state])]
        mixed = weights[:, [NUMBER[name] for name in names]]
        one = torch.eye(self.channels, dtype=mixed.dtype, device=mixed.device)
        weight = torch.kron(mixed, one)[:, :, None, None]
        return F.conv2d(torch.cat(shared, dim=1), weight)
