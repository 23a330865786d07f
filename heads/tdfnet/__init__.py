"""`tdfnet`: speech and text by a deep-scale transformer with shared GRUs, a mutual transformer with the speaker, and gated fusion.

Zhao et al., "TDFNet: Transformer-Based Deep-Scale Fusion Network for Multimodal Emotion Recognition" (TASLP 2023). What its
equations leave open or contradict is a setting of its own, with the literal reading beside the one that its sizes force.
"""

from heads.config import Needs, Paper
from heads.tdfnet.config import Config, deviations
from heads.tdfnet.model import build

__all__ = ["NEEDS", "PAPER", "Config", "build", "deviations"]

PAPER = Paper(
    title="TDFNet: Transformer-Based Deep-Scale Fusion Network for Multimodal Emotion Recognition",
    url="https://doi.org/10.1109/TASLP.2023.3316458",
    protocol="IEMOCAP, 4 classes, leave one session out (also leave one person out, and ten shuffles); how validation is drawn is not said",
    splits=("loso", "lopo", "ra"),
    reported={"loso": 77.04, "lopo": 79.97, "ra": 82.57},
)
NEEDS = Needs(least=1, most=3, buckets=True)
