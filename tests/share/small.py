"""A small cache to pass on: two sessions, levels frames and utterance, two layers of each, with labels beside them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from emocache import manifest
from emocache.store import open_cache
from emocache.store.layout import Paths
from emocache.types import Corpus, Utterance
from tests import toy_store

LENGTHS = (3, 70, 256, 1, 40, 199, 130, 25, 300, 90, 12, 61, 410, 33)
WANTED = {"frames": [0, 1], "utterance": [0, 1]}


def corpus(data: Mapping[str, np.ndarray], share: str = "free") -> Corpus:
    """The utterances with labels, speakers, sessions and what was said."""
    utterances = tuple(
        Utterance(
            id=name, path=f"wavs/{name}.wav", emotion=("sad", "hap")[i // 2 % 2], speaker=f"s{i % 4}", session=str(i % 2),
            transcript=f"secret words {i}", audio_sha256=f"{i:064x}",
        )
        for i, name in enumerate(data)
    )  # fmt: skip
    return Corpus(
        name="corpus", reader="csv", scheme="as-is", audio_root=Path("/home/somebody/wavs"), utterances=utterances, licence="CC BY 4.0",
        share=share,
    )  # fmt: skip


def make(
    root: Path,
    lengths: Sequence[int] = LENGTHS,
    *,
    wanted: Mapping[str, Sequence[int]] = WANTED,
    name: str = "toy",
    share: str = "free",
    seed: int = 0,
    fail: str = "",
) -> dict[str, np.ndarray]:
    """A cache with one feature set; its rows."""
    data = toy_store.toy(lengths, seed)
    toy_store.write(root, data, wanted, name=name, fail=fail)
    manifest.save(corpus(data, share), root)
    return data


def rows(root: Path, name: str = "toy") -> dict[tuple[str, int, str], bytes]:
    """The bytes of everything that can be read of a feature set: by level, layer and utterance."""
    features = open_cache(root).features("corpus", name)
    return {
        (level, layer, one): features.read(one, level, [layer]).tobytes()
        for level in features.levels
        for layer in features.layers_of(level)
        for one in features.held(level, [layer])
    }


def sound(root: Path, name: str = "toy") -> bool:
    """Whether verify finds nothing."""
    from emocache.care.verify import verify

    return not verify(Paths(root / "corpus" / name)).findings
