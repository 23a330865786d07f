"""A synthetic cache, and the same rows as one .npy an utterance: IEMOCAP's number of utterances, their lengths, four classes."""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from emocache.store.card import Card, Key
from emocache.store.plan import Item, unit_rows
from emocache.store.writer import FeatureWriter

DIM, CLASSES, SESSIONS = 768, 4, 5
FRAMES_S = 50
CENTRES, OWN = 0.03, 0.4
"""How far the classes' means lie apart, and utterances from these, in deviations of a frame: so that not all is learnt at once."""


def make(work: Path, layers: int, utterances: int, *, npy: bool = True) -> None:
    """Write everything to `work`, unless it is there; with `npy` the rows of each utterance to a file of their own as well."""
    if (work / "labels.npy").exists():
        return
    work.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    seconds = np.clip(rng.lognormal(np.log(4.5) - 0.65**2 / 2, 0.65, utterances), 0.6, 34)
    length = (seconds * FRAMES_S).astype(int)
    labels, session = rng.integers(0, CLASSES, utterances), np.sort(rng.integers(0, SESSIONS, utterances))
    centres, scale = (
        CENTRES * rng.standard_normal((CLASSES, DIM)).astype(np.float32),
        rng.lognormal(0, 0.5, (layers, 1, DIM)).astype(np.float32),
    )
    card = Card(
        key=Key(weights="synthetic", configuration="-", preprocessing="-", layer_rule="-", precision="fp32", dtype="fp16"),
        encoder="features", model="features", origin="-", revision="-", encoder_licence="-", corpus="synthetic", corpus_licence="-",
        corpus_share="free", modality="audio", digests="audio", native="frames", hop=320, layers=tuple(range(layers)),
        levels={"frames": "synthetic"}, dims={"frames": DIM}, unit_rows=unit_rows(int(length.sum())), made_with={},
    )  # fmt: skip
    items = [Item(f"u{i:05}", f"{i:064x}", str(session[i]), {"frames": int(n)}) for i, n in enumerate(length)]
    (work / "npy").mkdir()
    with FeatureWriter(work / "cache", "synthetic", "features", card) as writer, tqdm(total=utterances, delay=1) as bar:
        for one, unit in writer.units(writer.plan(items, {"frames": range(layers)})):
            for name in one.ids:
                i = int(name[1:])
                own = np.random.default_rng(i)
                rows = own.standard_normal((1, length[i], DIM), dtype=np.float32) + OWN * own.standard_normal((1, 1, DIM), dtype=np.float32)
                values = ((rows + centres[labels[i]]) * scale + 3 * scale).astype(np.float16)
                if npy:
                    np.save(work / "npy" / f"{name}.npy", values)
                unit.put(name, {("frames", layer): values[layer].astype(np.float32) for layer in range(layers)})
                bar.update()
            unit.commit()
    np.save(work / "mean.npy", 3 * scale[:, 0])
    np.save(work / "std.npy", scale[:, 0])
    np.save(work / "session.npy", session)
    np.save(work / "labels.npy", labels)
