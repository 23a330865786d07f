"""How hard the demo corpus is: a majority vote and a bag of words beside the heads that `emocache demo` trains.

    python benchmarks/demo_corpus.py [--folder emocache-demo] [--seeds 0-2]

Leave one session out, 4 classes; UA and WA in percent of predictions pooled over the five sessions.
"""

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from sklearn.pipeline import make_pipeline

from emocache import manifest


def main() -> None:
    """Run the demo, then the two simple baselines on its manifest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("emocache-demo"))
    parser.add_argument("--seeds", default="0-2")
    options = parser.parse_args()
    began = time.perf_counter()
    arguments = ["demo", "--folder", str(options.folder), "--seeds", options.seeds, "--json"]
    done = subprocess.run([sys.executable, "-m", "emocache.cli", *arguments], check=True, stdout=subprocess.PIPE, text=True)
    seconds = time.perf_counter() - began
    utterances = manifest.load(options.folder / "data", "demo").utterances
    texts, labels, sessions = (np.array([getattr(u, name) for u in utterances]) for name in ("transcript", "emotion", "session"))
    print("| how | UA % | WA % |\n|---|---|---|")
    print(row("majority vote", labels, predict(texts, labels, sessions, majority)))
    print(row("bag of words, logistic regression", labels, predict(texts, labels, sessions, bag_of_words)))
    for name, result in json.loads(done.stdout).items():
        ua, wa = (
            f"{100 * result[key]['mean']:.1f} [{100 * result[key]['low']:.1f}, {100 * result[key]['high']:.1f}]" for key in ("ua", "wa")
        )
        print(f"| {name} (`{result['head']}`, seeds {options.seeds}) | {ua} | {wa} |")
    print(f"\n`emocache demo --seeds {options.seeds}`: {seconds:.0f} s.")


def predict(texts, labels, sessions, rule):
    """Predictions of a rule for each session, fitted on the others."""
    predicted = np.empty_like(labels)
    for session in sorted(set(sessions)):
        test = sessions == session
        predicted[test] = rule(texts[~test], labels[~test], texts[test])
    return predicted


def majority(texts, labels, asked):
    """The commonest label."""
    return [Counter(labels).most_common(1)[0][0]] * len(asked)


def bag_of_words(texts, labels, asked):
    """Word counts into a balanced logistic regression."""
    model = make_pipeline(CountVectorizer(), LogisticRegression(max_iter=2000, class_weight="balanced"))
    return model.fit(texts, labels).predict(asked)


def row(name, labels, predicted):
    """One line of the table."""
    return f"| {name} | {100 * balanced_accuracy_score(labels, predicted):.1f} | {100 * accuracy_score(labels, predicted):.1f} |"


if __name__ == "__main__":
    main()
