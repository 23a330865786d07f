"""What MSTR costs for one utterance, by the paper's own count and by a proper one; both in multiplications with addition."""

from collections.abc import Sequence

from emocache.errors import UsageError
from heads.data import Input
from heads.mstr.config import Config

COST_NOTES = (
    "flops_paper follows the paper, which counts every weight once and not once for each frame (27.0 M weights, 892.2 M and 33.5 M FLOPs): "
    "so it has 96.25, 93.11 and 86.81 % fewer FLOPs for MSTR on IEMOCAP, MELD and CREMA-D, where flops_macs has 11.1, 7.9 and 5.4 %",
    "eq. 6 has p^2 operations for each frame; windows of p need p for each product, and so the printed 33.5 M are counted (p^2: 57.2 M)",
)
"""Where the paper's count is not what is computed."""


def costs(config: Config, inputs: Sequence[Input], classes: int) -> dict[str, int]:
    """`flops_paper` and `flops_macs` of one utterance of `frames` frames; UsageError without a number of frames."""
    (one,) = inputs
    if not config.frames:
        raise UsageError("FLOPs are of utterances of one length: give --set frames=326 or another number of frames")
    width = config.width_of(one)
    project = width * one.dim if config.width else 0
    frame = project + config.blocks * (4 * width**2 + 2 * width * config.ffn_of(width))
    classify = classifier_weights(width, classes)
    attended = config.blocks * attention(config, width)
    return {"flops_paper": frame + classify + attended, "flops_macs": config.frames * frame + classify + attended}


def classifier_weights(width: int, classes: int) -> int:
    """Weights of the three layers of the classifier, without biases."""
    half, quarter = max(1, width // 2), max(1, width // 4)
    return width * half + half * quarter + quarter * classes


def attention(config: Config, width: int) -> int:
    """Both products of the attention of a block: T^2 in each for the baseline, p frames for each frame of every scale for MSTR."""
    if config.attention == "vanilla":
        return 2 * config.frames**2 * width
    frames, total = config.frames, 0
    for _ in range(config.levels):
        total += -(-frames // config.p) * config.p
        frames //= config.p
    return 2 * config.p * total * width
