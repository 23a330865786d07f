"""A floor to hold results against: a head that learns labels which tell nothing of the features."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from heads.data import Examples


def with_permuted_labels(examples: Examples, parts: Sequence[Sequence[str]], where: str) -> Examples:
    """The examples with the labels of each of these `parts` (ids) permuted within the part; all others keep theirs.

    So every part has as many of each class as before. `where` names fold and seed and decides the permutation.
    """
    labels, draw = examples.labels.clone(), torch.Generator().manual_seed(int.from_bytes(where.encode()) % 2**63)
    for part in parts:
        at = examples.indices(part)
        order = torch.randperm(len(at), generator=draw).to(at.device)
        labels[at] = examples.labels[at[order]]
    return replace(examples, labels=labels)
