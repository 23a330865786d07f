"""The auxiliary losses of MMER: CTC, supervised contrastive (SCL) and augmented contrastive (ACL).

Representations are not normalised, but for `supcon`. As `contrasted` others may stand behind those of the batch, which are
compared with and learn nothing: earlier ones, see `bank`.
"""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from heads.attention import Padded
from heads.mmer.characters import BLANK
from heads.ragged import Ragged

TAU = 0.07
NOWHERE = -1e9
"""A score that takes no part in a softmax, and keeps an utterance that is alone from dividing by zero."""
Scl = Literal["release", "supcon", "paper"]


def ctc(frames: Padded, targets: Ragged) -> Tensor:
    """The sum over the batch of -log p(transcript), from the logits of each frame [batch, time, 32], not divided by any length.

    Utterances without a target, or with more of it than frames can say, count 0.
    """
    log_probabilities = frames.values.float().log_softmax(-1).transpose(0, 1)
    each = F.ctc_loss(
        log_probabilities, targets.values, frames.real.sum(1), targets.lengths, blank=BLANK, reduction="none", zero_infinity=True
    )  # fmt: skip
    return each[targets.lengths > 0].sum()


def release(
    z: Float[Tensor, "batch dim"], labels: Int[Tensor, " batch"], contrasted: Float[Tensor, "all dim"], theirs: Int[Tensor, " all"]
) -> Tensor:
    """-1 / (tau N) sum of log softmax_j(z_i z_j) over the N pairs of one label, i = j included: tau only multiplies the loss."""
    pairs = labels[:, None] == theirs
    return -(z @ contrasted.T).float().log_softmax(1)[pairs].mean() / TAU


def paper(
    z: Float[Tensor, "batch dim"], labels: Int[Tensor, " batch"], contrasted: Float[Tensor, "all dim"], theirs: Int[Tensor, " all"]
) -> Tensor:
    """Algorithm 1: tau inside the softmax, i = j included; what it divides by is not defined, here it is the number of pairs."""
    pairs = labels[:, None] == theirs
    return -((z @ contrasted.T).float() / TAU).log_softmax(1)[pairs].mean()


def supcon(
    z: Float[Tensor, "batch dim"], labels: Int[Tensor, " batch"], contrasted: Float[Tensor, "all dim"], theirs: Int[Tensor, " all"]
) -> Tensor:
    """Khosla et al. 2020, eq. 2: normalised, without i = j, a mean over each anchor's pairs, then over the anchors that have any."""
    near = (F.normalize(z, dim=1) @ F.normalize(contrasted, dim=1).T).float() / TAU
    itself = torch.eye(*near.shape, dtype=torch.bool, device=z.device)
    pairs = (labels[:, None] == theirs) & ~itself
    shares = near.masked_fill(itself, NOWHERE).log_softmax(1).masked_fill(~pairs, 0)
    counts = pairs.sum(1)
    return -(shares.sum(1) / counts.clamp_min(1)).sum() / (counts > 0).sum().clamp_min(1)


SCL: dict[Scl, Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]] = {"release": release, "supcon": supcon, "paper": paper}
"""How SCL is read -> loss of the batch; the first of `contrasted` are the batch itself."""


def acl(z: Float[Tensor, "batch dim"], contrasted: Float[Tensor, "all dim"]) -> Tensor:
    """Cross-entropy of each utterance's own view among all: rows of z z'^T / tau against the diagonal, in one direction."""
    return F.cross_entropy((z @ contrasted.T).float() / TAU, torch.arange(len(z), device=z.device))
