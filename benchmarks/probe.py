"""A logistic probe on equal terms with a run of `linear`: the same training, validation and test parts, layer chosen on validation.

    python benchmarks/probe.py RUN_FOLDER CACHE CORPUS FEATURES [--by-speaker]

Mean over time, standardised on the training part, scikit-learn LogisticRegression(C=0.01), for every fold and seed of the
run's splits.json; with --by-speaker each speaker's means are first standardised over that speaker. Prints UA in percent,
pooled over folds, by seed: for each layer, for the layer chosen on validation, and for the run itself.
"""

import csv
import json
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import emocache


def main() -> None:
    """Fit the probes and print one table."""
    run, cache, corpus, name = Path(sys.argv[1]), *sys.argv[2:5]
    predictions = list(csv.DictReader((run / "predictions.csv").open(encoding="utf-8")))
    label = {row["id"]: row["label"] for row in predictions}
    ids = sorted(label)
    at = {utterance: i for i, utterance in enumerate(ids)}
    features = emocache.open_cache(cache).features(corpus, name)
    packed = features.load(features.native, None, ids)
    means = np.stack(
        [packed.values[:, a:b].astype(np.float32).mean(1) for a, b in zip(packed.offsets, packed.offsets[1:], strict=False)], 1
    )
    if "--by-speaker" in sys.argv:
        speaker_of = {row["id"]: row["speaker"] for row in predictions}
        speakers = np.array([speaker_of[utterance] for utterance in ids])
        for speaker in set(speakers):
            own = means[:, speakers == speaker]
            means[:, speakers == speaker] = (own - own.mean(1, keepdims=True)) / own.std(1, keepdims=True)
    truth = np.array([label[utterance] for utterance in ids])
    found: dict[int, dict[str, np.ndarray]] = defaultdict(lambda: defaultdict(lambda: np.empty_like(truth)))
    for fold in json.loads((run / "splits.json").read_text(encoding="utf-8")):
        train, validation, test = ([at[utterance] for utterance in fold[part]] for part in ("train", "validation", "test"))
        scores = []
        for layer, rows in enumerate(means):
            model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000)).fit(rows[train], truth[train])
            found[fold["seed"]][f"layer {layer}"][test] = model.predict(rows[test])
            scores.append(balanced_accuracy_score(truth[validation], model.predict(rows[validation])))
        found[fold["seed"]]["chosen on validation"][test] = found[fold["seed"]][f"layer {int(np.argmax(scores))}"][test]
    for row in predictions:
        found[int(row["seed"])]["this run"][at[row["id"]]] = row["predicted"]
    seeds = sorted(found)
    print("| probe | " + " | ".join(f"seed {seed}" for seed in seeds) + " | mean |\n|---|" + "---|" * (len(seeds) + 1))
    for how in found[seeds[0]]:
        uas = [100 * balanced_accuracy_score(truth, found[seed][how]) for seed in seeds]
        print(f"| {how} | " + " | ".join(f"{ua:.1f}" for ua in uas) + f" | {np.mean(uas):.1f} |")


if __name__ == "__main__":
    main()
