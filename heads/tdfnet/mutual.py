"""The mutual transformer: speech asks text, text asks speech, and both together ask themselves (eq. 6 to 9)."""

from torch import Tensor, nn

from heads.attention import Padded
from heads.tdfnet.config import Config
from heads.tdfnet.layers import Encoder


class Mutual(nn.Module):
    """The parts of U: averages and maxima of C, C_AT and C_TA, and the speaker embedding, 6 width + 192 numbers in all.

    Eq. 9 prints averages alone, and a size that only averages and maxima give.
    """

    def __init__(self, config: Config) -> None:
        """Three encoders, which have no weights in common."""
        super().__init__()
        self.joint, self.speech_asks, self.text_asks = (Encoder(config, config.width) for _ in range(3))

    def forward(self, speech: Padded, text: Padded, speaker: Tensor) -> list[Tensor]:
        """Each [batch, width], but for `speaker`, which is [batch, dim] and taken as it is."""
        found = (self.joint(speech.then(text)), self.speech_asks(speech, text), self.text_asks(text, speech))
        return [*(part for one in found for part in (one.mean(), one.max())), speaker]
