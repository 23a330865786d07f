"""`mstr`: a transformer whose frames attend within small windows at several scales of time, and its baseline.

Li et al., "Multi-Scale Temporal Transformer For Speech Emotion Recognition" (Interspeech 2023). What the paper leaves open is a
setting. The printed sizes force utterances of one length, whose padding answers like any frame; on other corpora each utterance is
as long as it is, and padding never changes an answer.
"""

from heads.config import Needs, Paper
from heads.mstr.config import Config, deviations
from heads.mstr.cost import COST_NOTES, costs
from heads.mstr.model import build

__all__ = ["COST_NOTES", "NEEDS", "PAPER", "Config", "build", "costs", "deviations"]

PAPER = Paper(
    title="Multi-Scale Temporal Transformer For Speech Emotion Recognition",
    url="https://arxiv.org/abs/2410.00390",
    protocol="IEMOCAP, 4 classes, leave one session out (also MELD as given and CREMA-D 80/20), 10 seeds; only MELD has a validation part",
    splits=("loso", "given", "random-80-20"),
    reported={"baseline": 70.02, "mstr": 71.60},
)
NEEDS = Needs(least=1, most=1, buckets=True)
