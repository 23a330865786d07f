"""What a head is given besides features: targets made of transcripts, and views of utterances."""

from collections.abc import Sequence

import torch

from emocache.store import Features
from heads.config import Beside, Needs
from heads.data import Input
from heads.material import Material
from heads.protocols import Fold
from heads.ragged import Ragged
from heads.views import originals


def targets(needs: Needs, material: Material, device: torch.device) -> Ragged | None:
    """The target of every utterance's transcript, for a head that learns these."""
    if needs.targets is None:
        return None
    return Ragged.of([needs.targets(one.transcript or "") for one in material.utterances], device)


def beside(needs: Needs, material: Material, sets: Sequence[Features], inputs: Sequence[Input], folds: Sequence[Fold]) -> Beside:
    """What there is to say of it; rows are those of the first input that is made from sound."""
    own = originals(material.utterances)
    spoken = [pair for pair in zip(sets, inputs, strict=True) if not pair[1].text][:1]
    rows = [features.outline(one.level, one.layers[0], [u.id for u in own])[0] for features, one in spoken]
    made = needs.targets or (lambda text: ())
    return Beside(
        rows=tuple(int(count) for edges in rows for count in edges[1:] - edges[:-1]),
        targets=tuple(tuple(made(one.transcript or "")) for one in own),
        viewed=tuple(len({shown for _, shown in fold.views}) for fold in folds),
    )
