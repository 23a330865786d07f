"""A tiny store: features that float16 holds exactly, and an encoder that looks them up."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from emocache.store.card import Card, Key
from emocache.store.plan import Item
from emocache.store.writer import FeatureWriter

ROWS = 512
CARD = Card(
    key=Key(weights="w", configuration="c", preprocessing="p", layer_rule="l", precision="fp32", dtype="fp16"),
    encoder="toy", model="./toy", origin="o", revision="r", encoder_licence="e", corpus="corpus", corpus_licence="c", corpus_share="free",
    modality="audio", digests="audio", native="frames", hop=320, layers=(0, 1), unit_rows=ROWS, made_with={},
    levels={"frames": "one row per frame", "utterance": "mean"}, dims={"frames": 8, "utterance": 8},
)  # fmt: skip
LENGTHS = (3, 70, 256, 1, 40, 199, 130, 25)
Data = Mapping[str, np.ndarray]


def toy(lengths: Sequence[int] = LENGTHS, seed: int = 0) -> dict[str, np.ndarray]:
    """Id -> [layers, rows, dim], exactly representable in float16."""
    rng = np.random.default_rng(seed)
    return {f"u{i}": rng.integers(-99, 99, (2, rows, 8)).astype(np.float32) for i, rows in enumerate(lengths)}


def items(data: Data, digests: Mapping[str, str] | None = None) -> list[Item]:
    """The utterances as the store sees them; two groups."""
    known = digests or {}
    return [
        Item(name, known.get(name, f"{i:064x}"), str(i % 2), {"frames": values.shape[1], "utterance": 1})
        for i, (name, values) in enumerate(data.items())
    ]


def write(
    root: Path,
    data: Data,
    wanted: Mapping[str, Sequence[int]] | None = None,
    *,
    todo: list[Item] | None = None,
    card: Card = CARD,
    fail: str = "",
    pause: float = 0,
    retry: bool = False,
    name: str = "toy",
) -> list[str]:
    """Extract with an encoder that looks rows up; the ids that were encoded, in order."""
    writer = FeatureWriter(root, "corpus", name, card)
    seen = []
    for work, unit in writer.units(writer.plan(todo or items(data), wanted or {"frames": [0, 1]}, retry=retry)):
        for one in work.ids:
            seen.append(one)
            time.sleep(pause)
            if one == fail:
                unit.fail(one, "made to fail")
                continue
            rows = {"frames": data[one], "utterance": data[one].mean(axis=1, keepdims=True)}
            unit.put(one, {(level_name, layer): rows[level_name][layer] for level_name, layer in work.arrays})
        unit.commit()
    return seen


def tree(root: Path) -> dict[str, bytes]:
    """Every file that stays, by its path."""
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file() and path.suffix != ".lock"}


def flip(path: Path, at: int) -> None:
    """Flip one bit of a byte."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
