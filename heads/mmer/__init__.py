"""`mmer`: speech and text fused by cross-modal attention, with CTC, supervised and augmented contrastive losses beside cross-entropy.

Ghosh et al., "MMER: Multimodal Multi-task Learning for Speech Emotion Recognition" (Interspeech 2023). The architecture is that
of the released code, the training that of the paper; where they differ both are settings.
"""

from heads.config import Needs, Paper
from heads.mmer.characters import symbols
from heads.mmer.config import Config
from heads.mmer.model import build
from heads.mmer.remarks import deviations, remarks

__all__ = ["NEEDS", "PAPER", "Config", "build", "deviations", "remarks"]

PAPER = Paper(
    title="MMER: Multimodal Multi-task Learning for Speech Emotion Recognition",
    url="https://arxiv.org/abs/2203.16794",
    protocol="IEMOCAP, 4 classes, leave one session out; the released code chooses the epoch on the session that it tests",
)
NEEDS = Needs(least=1, most=2, buckets=True, views=True, targets=symbols)
