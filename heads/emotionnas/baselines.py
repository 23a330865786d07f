"""The five networks made by hand that EmotionNAS compares with, on images [batch, frames, bands].

The paper names them and prints none of their sizes; what is built here is what is known of their own papers, and GUESSES says in words
what is not. Of the parts, `rows` makes rows in time of an image, and a readout says the class: from what a recurrent layer ends with,
by CTC, or by an extreme learning machine.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

Network = Literal["rnn-elm", "cnn-lstm", "cnn-gru", "ctc-rnn", "pcnse-sadrn-ctc"]
GUESSES: Mapping[str, str] = {
    "rnn-elm": "rnn-elm (Lee and Tashev 2015): each frame learns the class of its utterance, without the paper's states of no emotion; "
    "two bidirectional LSTM layers of 128 and 120 random units are from memory; spectrogram instead of 32 features",
    "cnn-lstm": "cnn-lstm (Satt et al. 2017): three convolutions of 16, 24 and 32 channels and a bidirectional LSTM of 128 are from "
    "memory; one image of 8 s instead of segments of 3 s",
    "cnn-gru": "cnn-gru (Ma et al. 2018): three convolutions of 16, 32 and 64 channels and a bidirectional GRU of 128 are our choice; "
    "8 s with zeros behind an end instead of variable lengths",
    "ctc-rnn": "ctc-rnn (Han et al. 2018): two bidirectional LSTM layers of 128 are our choice, and the label to align is the class once; "
    "spectrogram instead of the paper's low-level descriptors",
    "pcnse-sadrn-ctc": "pcnse-sadrn-ctc (Zhao et al. 2021): parallel convolutions over 10 x 2 and 2 x 8, squeeze-and-excitation by 4, four "
    "residual convolutions over time with dilation 1, 2, 4, 8, self-attention of 4 heads and width 128 are our choice; "
    "the label to align is the class once",
}
"""What of each network EmotionNAS does not print, and where ours is from."""
HIDDEN = 128
RANDOM_UNITS = 120
"""Of the extreme learning machine."""
RIDGE = 1.0
"""Of its least squares, whose inputs are standardised."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a network says: logits [batch, classes], each utterance's own vector, and its loss (None: their cross-entropy)."""

    logits: Float[Tensor, "batch classes"]
    embedding: Float[Tensor, "batch width"]
    loss: Tensor | None = None


class Convolutions(nn.Module):
    """Convolutions, each with ReLU and the largest of 2 x 2: -> rows in time [batch, frames', channels x bands']."""

    def __init__(self, channels: Sequence[int], kernels: Sequence[int], bands: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for given, made, kernel in zip([1, *channels[:-1]], channels, kernels, strict=True):
            layers += [
                nn.Conv2d(given, made, kernel, padding=kernel // 2, bias=False),
                nn.BatchNorm2d(made),
                nn.ReLU(),
                nn.MaxPool2d(2, ceil_mode=True),
            ]
            bands = -(-bands // 2)
        self.layers = nn.Sequential(*layers)
        self.width = channels[-1] * bands

    def forward(self, image: Tensor) -> Tensor:
        """A row for each 2^layers frames."""
        return self.layers(image[:, None]).permute(0, 2, 1, 3).flatten(2)  # type: ignore[no-any-return]


class CnnRnn(nn.Module):
    """Convolutions, a bidirectional recurrent layer, and a dense layer on what it ends with in both directions."""

    def __init__(self, rows: Convolutions, cell: type[nn.LSTM] | type[nn.GRU], classes: int) -> None:
        super().__init__()
        self.rows = rows
        self.recurrent = cell(rows.width, HIDDEN, batch_first=True, bidirectional=True)
        self.classify = nn.Linear(2 * HIDDEN, classes)

    def forward(self, image: Tensor, labels: Tensor) -> Said:
        """Cross-entropy."""
        states = self.recurrent(self.rows(image))[0]
        embedding = torch.cat([states[:, -1, :HIDDEN], states[:, 0, HIDDEN:]], dim=1)
        return Said(self.classify(embedding), embedding)


class Ctc(nn.Module):
    """Rows in time, of which CTC makes one class: the logit of a class is the logarithm of its probability."""

    def __init__(self, rows: nn.Module, width: int, classes: int) -> None:
        super().__init__()
        self.rows = rows
        self.classify = nn.Linear(width, classes + 1)

    def forward(self, image: Tensor, labels: Int[Tensor, " batch"]) -> Said:
        """The blank is behind the classes."""
        rows = self.rows(image)
        logits = -class_losses(self.classify(rows).float().log_softmax(2))
        return Said(logits, rows.mean(1), -logits[torch.arange(len(labels)), labels].mean())


def class_losses(shares: Float[Tensor, "batch rows symbols"]) -> Float[Tensor, "batch classes"]:
    """CTC's loss of each class as the only label of an utterance, from log probabilities of the classes and then the blank."""
    batch, rows, blank = shares.shape[0], shares.shape[1], shares.shape[2] - 1
    targets = torch.arange(blank, device=shares.device).repeat(batch)[:, None]
    lengths = torch.full((batch * blank,), rows, device=shares.device)
    repeated = shares.repeat_interleave(blank, dim=0).transpose(0, 1)
    return F.ctc_loss(repeated, targets, lengths, torch.ones_like(lengths), blank=blank, reduction="none").view(batch, blank)


class Lstm(nn.Module):
    """Two bidirectional LSTM layers: [batch, frames, bands] -> [batch, frames, 2 HIDDEN]."""

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.layers = nn.LSTM(bands, HIDDEN, num_layers=2, batch_first=True, bidirectional=True)

    def forward(self, image: Tensor) -> Tensor:
        """A row for each frame."""
        return self.layers(image)[0]  # type: ignore[no-any-return]


class Elm(nn.Module):
    """A recurrent network that says a class for each frame, and an extreme learning machine on statistics of what it says.

    The latter's first layer is random and stays so; its second is solved for by least squares after each epoch, see `ElmLearner`.
    """

    mean: Tensor
    std: Tensor
    first: Tensor
    bias: Tensor
    second: Tensor

    def __init__(self, bands: int, classes: int) -> None:
        super().__init__()
        self.rows, self.classify = Lstm(bands), nn.Linear(2 * HIDDEN, classes)
        self.register_buffer("mean", torch.zeros(4 * classes))
        self.register_buffer("std", torch.ones(4 * classes))
        self.register_buffer("first", torch.randn(4 * classes, RANDOM_UNITS))
        self.register_buffer("bias", torch.randn(RANDOM_UNITS))
        self.register_buffer("second", torch.zeros(RANDOM_UNITS, classes))

    def forward(self, image: Tensor, labels: Int[Tensor, " batch"]) -> Said:
        """The loss is the cross-entropy of frames in training, of the machine's answers otherwise."""
        frames = self.classify(self.rows(image)).float()
        found = statistics(frames.softmax(2))
        logits = self.hidden(found) @ self.second
        if not self.training:
            return Said(logits, found)
        return Said(logits, found, F.cross_entropy(frames.flatten(0, 1), labels.repeat_interleave(frames.shape[1])))

    def hidden(self, found: Tensor) -> Tensor:
        """The random layer."""
        return torch.sigmoid((found - self.mean) / self.std @ self.first + self.bias)

    @torch.no_grad()
    def solve(self, found: Float[Tensor, "utterances statistics"], labels: Int[Tensor, " utterances"]) -> None:
        """The least squares of one-hot classes from the statistics of the training part."""
        self.mean.copy_(found.mean(0))
        self.std.copy_(found.std(0).clamp_min(1e-6))
        hidden = self.hidden(found).double()
        wanted = F.one_hot(labels, self.second.shape[1]).double()
        square = hidden.T @ hidden + RIDGE * torch.eye(RANDOM_UNITS, dtype=torch.float64, device=hidden.device)
        self.second.copy_(torch.linalg.solve(square, hidden.T @ wanted))


def statistics(shares: Float[Tensor, "batch frames classes"]) -> Float[Tensor, "batch statistics"]:
    """Of each class over the frames: the largest, smallest and mean probability, and the share of frames with more than 0.2."""
    return torch.cat([shares.amax(1), shares.amin(1), shares.mean(1), (shares > 0.2).float().mean(1)], dim=1)


class SqueezeExcitation(nn.Module):
    """Each channel times a number in 0..1 that follows from the means of all."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gates = nn.Sequential(nn.Linear(channels, channels // 4), nn.ReLU(), nn.Linear(channels // 4, channels), nn.Sigmoid())

    def forward(self, image: Tensor) -> Tensor:
        """In the shape of the image."""
        return image * self.gates(image.mean((2, 3)))[:, :, None, None]  # type: ignore[no-any-return]


class Parallel(nn.Module):
    """Parallel convolutions with squeeze-and-excitation, then dilated residual convolutions over time and self-attention."""

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.sides = nn.ModuleList(
            nn.Sequential(
                nn.ZeroPad2d((wide // 2 - 1, wide // 2, long // 2 - 1, long // 2)),
                nn.Conv2d(1, 16, (long, wide), bias=False),
                nn.BatchNorm2d(16),
                nn.ReLU(),
                SqueezeExcitation(16),
                nn.MaxPool2d((1, 4)),
            )
            for long, wide in ((10, 2), (2, 8))
        )
        self.narrow = nn.Linear(2 * 16 * (bands // 4), HIDDEN)
        self.dilated = nn.ModuleList(
            nn.Sequential(nn.Conv1d(HIDDEN, HIDDEN, 3, padding=rate, dilation=rate, bias=False), nn.BatchNorm1d(HIDDEN), nn.ReLU())
            for rate in (1, 2, 4, 8)
        )
        self.attention = nn.MultiheadAttention(HIDDEN, 4, batch_first=True)
        self.norm = nn.LayerNorm(HIDDEN)

    def forward(self, image: Tensor) -> Tensor:
        """A row for each frame."""
        sides = torch.cat([side(image[:, None]) for side in self.sides], dim=1)
        rows = self.narrow(sides.permute(0, 2, 1, 3).flatten(2))
        for layer in self.dilated:
            rows = rows + layer(rows.transpose(1, 2)).transpose(1, 2)
        return self.norm(rows + self.attention(rows, rows, rows, need_weights=False)[0])  # type: ignore[no-any-return]


def network(name: Network, bands: int, classes: int) -> nn.Module:
    """The network of that name: (image [batch, frames, bands], labels) -> Said."""
    if name == "cnn-lstm":
        return CnnRnn(Convolutions((16, 24, 32), (7, 5, 5), bands), nn.LSTM, classes)
    if name == "cnn-gru":
        return CnnRnn(Convolutions((16, 32, 64), (5, 3, 3), bands), nn.GRU, classes)
    if name == "ctc-rnn":
        return Ctc(Lstm(bands), 2 * HIDDEN, classes)
    return Elm(bands, classes) if name == "rnn-elm" else Ctc(Parallel(bands), HIDDEN, classes)
