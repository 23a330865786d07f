"""The multimodal dynamic fusion network.

    T --dropout, S--> t ----query----> D <--key, value-- pD(A)       gives Q
    pB(A) --query--> B <--key, value-- t                             gives P
    t ----query----> C <--key, value-- P                             gives R
    Q <- sigmoid(Wg [R; Q] + b) * Q;   u = [mp(A); l(mp([R; Q]))];   logits = W u + b

A are rows of speech, T of text, mp is the maximum over an utterance's own rows (the released code puts -9999.9999 where there is
none), 1536-dimensional u is what the classifier is given. Text rows are all tokens, those that begin and end a sentence too.
"""

import torch
from torch import Tensor, nn

from heads.attention import Padded
from heads.mmer.config import Config
from heads.mmer.layers import Block


class Fusion(nn.Module):
    """Speech and text -> the fused vector [batch, width] that stands beside speech's own maxima."""

    def __init__(self, config: Config) -> None:
        """31,893,504 parameters in the released size, the classifier and CTC not counted."""
        super().__init__()
        width = config.width
        self.config = config
        self.drop = nn.Dropout(config.dropout)
        self.own_text = Block(config) if config.text_layer else nn.Identity()
        self.for_d, self.for_b = (nn.Linear(width, width) if config.audio_projections else nn.Identity() for _ in range(2))
        self.speech_by_text, self.text_by_speech, self.text_by_both = (Block(config) for _ in range(3))
        self.gate, self.narrow = nn.Linear(2 * width, width), nn.Linear(2 * width, width)

    def forward(self, speech: Padded, text: Padded) -> Tensor:
        """Blocks D, B and C, the gate, and the maxima."""
        t: Padded = self.own_text(text.holding(self.drop(text.values)))
        q = self.speech_by_text(t, speech.holding(self.for_d(speech.values))).values
        p: Padded = self.text_by_speech(speech.holding(self.for_b(speech.values)), t)
        r = self.text_by_both(t, p).values
        q = self.gate(torch.cat([r, q], -1)).sigmoid() * q
        joined = text.holding(torch.cat([r, q] if self.config.order == "RQ" else [q, r], -1))
        if self.config.projection == "before":
            return text.holding(self.narrow(joined.values)).max()
        narrow: Tensor = self.narrow(joined.max())
        return narrow
