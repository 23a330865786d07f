"""MMER as a head: speech and text -> logits, and in training the losses of three auxiliary tasks beside cross-entropy."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from emocache.errors import UsageError
from heads.attention import Padded
from heads.blocks import cross_entropy
from heads.data import Batch, Input, Output, PackedTensor
from heads.mmer.bank import Bank
from heads.mmer.characters import VOCABULARY
from heads.mmer.config import Config
from heads.mmer.layers import Rows, adapter, projector
from heads.mmer.losses import SCL, acl, ctc
from heads.mmer.network import Fusion


class Mmer(nn.Module):
    """What weights of 0 leave unused is not built. In evaluation there is cross-entropy alone, which epochs are chosen by.

    Two kinds of parameters learn nothing, here as in the released code: the biases of attention's keys, and the last bias of what
    the views go through, since each adds the same to all scores of a softmax.
    """

    def __init__(self, config: Config, inputs: Sequence[Input], classes: int) -> None:
        """One input of speech and one of text, in any order; the baselines take one alone too."""
        super().__init__()
        self.config = config
        self.speech_at, self.text_at = places(config, inputs)
        self.speech, self.text = _rows(config, inputs, self.speech_at), _rows(config, inputs, self.text_at)
        self.adapter = adapter(config) if self.speech else nn.Identity()
        self.fusion = Fusion(config) if config.network == "fusion" else None
        beside, other = (one.width if one else 0 for one in (self.speech, self.text))
        self.beside = beside
        self.classify = nn.Linear(beside + other, classes)
        self.drop = nn.Dropout(config.dropout)
        self.characters = nn.Linear(beside, len(VOCABULARY)) if config.alpha else None
        compared = beside + other if config.contrast == "classified" else other
        self.original = projector(compared, config.width) if config.beta or config.gamma else None
        self.augmented = projector(compared, config.width) if config.gamma else None
        self.originals, self.views = Bank(config.bank, config.width), Bank(config.bank, config.width)

    def forward(self, batch: Batch) -> Output:
        """Losses come with their weights; the embedding is what the classifier is given."""
        u, speech = self.represent(batch.inputs)
        logits = self.classify(u)[None]
        losses = {"cross_entropy": cross_entropy(logits, batch)}
        if self.training:
            losses |= {name: loss[None] for name, loss in self.auxiliary(batch, u, speech).items()}
        return Output(logits, losses, u[None])

    def represent(self, inputs: Sequence[PackedTensor]) -> tuple[Float[Tensor, "batch width"], Padded | None]:
        """Of every utterance u, and its adapted rows of speech."""
        speech = None if self.speech is None else self.adapter(self.speech(inputs[self.speech_at or 0]))
        text = None if self.text is None else self.text(inputs[self.text_at or 0])
        if self.fusion is not None and speech is not None and text is not None:
            return torch.cat([speech.max(), self.fusion(speech, text)], 1), speech
        return torch.cat([one.max() for one in (speech, text) if one is not None], 1), speech

    def auxiliary(self, batch: Batch, u: Tensor, speech: Padded | None) -> dict[str, Tensor]:
        """The weighted losses of the auxiliary tasks, as far as the batch has what they need."""
        config, found = self.config, dict[str, Tensor]()
        if self.characters is not None and speech is not None and batch.targets is not None:
            spoken = speech.holding(self.characters(self.drop(speech.values)))
            found["ctc"] = config.alpha * ctc(spoken, batch.targets)
        if self.original is None:
            return found
        z = self.original(self._compared(u))
        if config.beta:
            found["scl"] = config.beta * SCL[config.scl](z, batch.labels, *self.originals.behind(z, batch.labels))
        if self.augmented is not None and batch.views is not None:
            theirs, of = self.augmented(self._compared(self.represent(batch.views.inputs)[0])), batch.views.of
            found["acl"] = config.gamma * acl(z[of], self.views.behind(theirs, batch.labels[of])[0])
        return found

    def _compared(self, u: Tensor) -> Tensor:
        """What contrastive losses take of u."""
        return u if self.config.contrast == "classified" else u[:, self.beside :]


def _rows(config: Config, inputs: Sequence[Input], at: int | None) -> Rows | None:
    """What makes rows of an input; those that nothing but the maxima are taken of keep their width."""
    if at is None:
        return None
    one = inputs[at]
    wide = config.network == "fusion" or (config.adapter != "none" and not one.text)
    return Rows(one, config.width if wide else one.dim, None if one.text else config.audio_frames)


def places(config: Config, inputs: Sequence[Input]) -> tuple[int | None, int | None]:
    """Where speech and text lie among the inputs. UsageError for inputs that the network has no place for."""
    told = ", ".join(f"{one.name} {one.level} ({'text' if one.text else 'speech'})" for one in inputs)
    kinds = [one.text for one in inputs]
    if len(set(kinds)) < len(kinds) or (config.network == "fusion" and len(kinds) != 2):
        raise UsageError(f"mmer takes speech in time and text, once each (network=pooled takes one of them too); given: {told}")
    if several := [one for one in inputs if len(one.layers) != 1]:
        raise UsageError(f"mmer takes one layer of each encoder, and {several[0].name} has {len(several[0].layers)}; give --layers last")
    if config.alpha and False not in kinds:
        raise UsageError("CTC is learnt from speech, and none is given; set alpha=0")
    if config.network == "pooled" and config.contrast == "fused":
        raise UsageError("network=pooled fuses nothing, so contrast=fused has nothing to compare; leave one of them out")
    return (kinds.index(False) if False in kinds else None), (kinds.index(True) if True in kinds else None)


def build(config: Config, inputs: Sequence[Input], classes: int) -> Mmer:
    """The head: 35,466,276 parameters for wav2vec2-base, RoBERTa-base and 4 classes without the adapter, 42,554,148 with it."""
    return Mmer(config, inputs, classes)
