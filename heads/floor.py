"""A floor to hold results against: a head that learns labels which tell nothing of the features."""

import random
from collections.abc import Sequence
from dataclasses import replace

from heads.data import Examples


def with_permuted_labels(examples: Examples, parts: Sequence[Sequence[str]], where: str) -> Examples:
    """The examples with the labels of each of these `parts` (ids) permuted within the part; all others keep theirs.

    So every part has as many of each class as before. `where` names fold and seed and decides the permutation.
    """
    labels, draw = examples.labels.clone(), random.Random(where)
    for part in parts:
        at = examples.indices(part)
        labels[at] = examples.labels[at[draw.sample(range(len(at)), len(at))]]
    return replace(examples, labels=labels)
