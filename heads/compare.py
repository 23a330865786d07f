"""Two runs on the same tested utterances: how much their scores differ, and whether chance would do.

The utterances that both runs tested are scored for each run as ever (folds pooled, mean over seeds). The bootstrap draws
the same speakers for both, so what is hard for both does not widen the interval of their difference. McNemar's exact test
looks at the utterances that one run alone gets right; it takes them to be independent, which those of one speaker are not.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emocache.errors import UsageError
from heads import metrics, scores
from heads.marks import explained
from heads.metrics import Interval
from heads.predictions import Predictions
from heads.scores import Bootstrap
from heads.stored import StoredRun

COMPARED = ("ua", "wa", "wf1")


@dataclass(frozen=True, slots=True)
class Difference:
    """A score of both runs, in 0..1, and the second less the first with its 95 % interval."""

    a: float
    b: float
    difference: Interval


@dataclass(frozen=True, slots=True)
class McNemar:
    """How many predictions one run alone has right, and the two-sided exact p of such a division by the toss of a coin."""

    only_a: int
    only_b: int
    p: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Run `b` against run `a`. `mcnemar` is by seed that both have; `pooled` adds these seeds up.

    `both` counts utterances that both tested; `only_a` and `only_b` name those that one alone tested, which are left out.
    `warnings` say in words what makes the runs unlike.
    """

    a: str
    b: str
    both: int
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    scores: Mapping[str, Difference]
    resampled: str
    mcnemar: Mapping[int, McNemar]
    pooled: McNemar | None
    warnings: tuple[str, ...]


def compare(a: StoredRun, b: StoredRun, *, bootstrap: Bootstrap = "speakers") -> Comparison:
    """Compare two runs. UsageError where classes or labels differ, or no utterance is in both."""
    if a.classes != b.classes:
        raise UsageError(f"{a.path} has the classes {', '.join(a.classes)}, {b.path} has {', '.join(b.classes)}: nothing to compare")
    shared = {*a.predictions.ids} & {*b.predictions.ids}
    if not shared:
        raise UsageError(f"{a.path} and {b.path} tested no utterance in common: nothing to compare")
    of_a, of_b = _only(a.predictions, shared), _only(b.predictions, shared)
    _check_labels(a, of_a, b, of_b)
    names, resampled = scores.drawn(of_a, bootstrap)
    group = dict(zip(of_a.ids, names, strict=True))
    counts = [scores.counts_of(one, [group[name] for name in one.ids]) for one in (of_a, of_b)]
    tests = _mcnemar(of_a, of_b)
    return Comparison(
        a=a.name,
        b=b.name,
        both=len(shared),
        only_a=tuple(sorted({*a.predictions.ids} - shared)),
        only_b=tuple(sorted({*b.predictions.ids} - shared)),
        scores=_differences(*counts),
        resampled=resampled,
        mcnemar=tests,
        pooled=_test(sum(one.only_a for one in tests.values()), sum(one.only_b for one in tests.values())) if tests else None,
        warnings=tuple(_warnings(a, b)),
    )


def _only(predictions: Predictions, ids: set[str]) -> Predictions:
    """The predictions of these utterances."""
    return predictions.take(np.flatnonzero([name in ids for name in predictions.ids]))


def _check_labels(a: StoredRun, of_a: Predictions, b: StoredRun, of_b: Predictions) -> None:
    """UsageError when an utterance has another label in the one run than in the other."""
    truth = dict(zip(of_a.ids, of_a.truth.tolist(), strict=True))
    if other := sorted({name for name, label in zip(of_b.ids, of_b.truth.tolist(), strict=True) if truth[name] != label}):
        raise UsageError(f"{a.path} and {b.path}: {len(other)} utterances have another label in each, first {other[0]}; nothing to compare")


def _differences(a: NDArray[np.int64], b: NDArray[np.int64]) -> dict[str, Difference]:
    """The scores of two runs from counts [groups, seeds, classes, classes] on the same groups."""
    drawn_a, drawn_b = metrics.resampled(a), metrics.resampled(b)
    found = {}
    for name in COMPARED:
        metric = metrics.METRICS[name]
        one, other = metric(a.sum(0)).mean(), metric(b.sum(0)).mean()
        samples = metric(drawn_b).mean(-1) - metric(drawn_a).mean(-1)
        found[name] = Difference(float(one), float(other), metrics.interval(other - one, samples))
    return found


def _mcnemar(a: Predictions, b: Predictions) -> dict[int, McNemar]:
    """The test for each seed that both runs have, on utterances that both tested exactly once with it."""
    found = {}
    for seed in sorted({*a.seeds.tolist()} & {*b.seeds.tolist()}):
        right_a, right_b = _right(a, seed), _right(b, seed)
        pairs = [(right_a[name], right_b[name]) for name in sorted(right_a.keys() & right_b.keys())]
        found[seed] = _test(sum(one and not other for one, other in pairs), sum(other and not one for one, other in pairs))
    return found


def _right(predictions: Predictions, seed: int) -> dict[str, bool]:
    """Whether each utterance was predicted right with a seed, of those that were tested once with it."""
    at = np.flatnonzero(predictions.seeds == seed).tolist()
    names, counts = np.unique([predictions.ids[i] for i in at], return_counts=True)
    once = {*names[counts == 1].tolist()}
    return {predictions.ids[i]: bool(predictions.truth[i] == predictions.predicted[i]) for i in at if predictions.ids[i] in once}


def _test(only_a: int, only_b: int) -> McNemar:
    """McNemar's exact test: two-sided, in whole numbers, so that no rounding can matter."""
    n, term, below = only_a + only_b, 1, 0
    for i in range(min(only_a, only_b) + 1):
        below += term
        term = term * (n - i) // (i + 1)
    return McNemar(only_a, only_b, min(1.0, 2 * below / 2**n))


def _warnings(a: StoredRun, b: StoredRun) -> list[str]:
    """What makes the runs unlike."""
    found = [f"{one.path.name} is marked {text}" for one in (a, b) for text in explained(one.marks)]
    facts = [(what, getattr(a, what), getattr(b, what)) for what in ("corpus", "protocol", "label")]
    found += [f"the {what} differs: {one} and {other}" for what, one, other in facts if one != other]
    if {*a.seeds} != {*b.seeds}:
        found.append(f"the seeds differ: {', '.join(map(str, a.seeds))} and {', '.join(map(str, b.seeds))}")
    return found


def to_json(found: Comparison) -> dict[str, Any]:
    """The comparison as one JSON object."""
    return asdict(found) | {"aggregation": scores.AGGREGATION}


def to_text(found: Comparison) -> str:
    """The comparison for the terminal."""
    lines = [f"A  {found.a}", f"B  {found.b}", f"{found.both} utterances tested by both"]
    for name, ids in (("A", found.only_a), ("B", found.only_b)):
        if ids:
            lines.append(f"{len(ids)} utterances tested by {name} alone are left out, first {ids[0]} (--json names all)")
    lines += ["", "          A %     B %   B - A  95 % interval"]
    for name, one in found.scores.items():
        low, high = 100 * one.difference.low, 100 * one.difference.high
        lines.append(
            f"{name.upper():<5} {100 * one.a:7.2f} {100 * one.b:7.2f} {100 * one.difference.mean:+7.2f}  [{low:+.2f}, {high:+.2f}]"
        )
    lines += [f"      {scores.AGGREGATION}", f"      95 % bootstrap over {found.resampled}; the same draws for both", "", *_tests(found)]
    return "\n".join([*lines, *(f"warning  {text}" for text in found.warnings)])


def _tests(found: Comparison) -> list[str]:
    """The lines of McNemar's tests."""
    if found.pooled is None:
        return ["McNemar's test: the runs have no seed in common"]
    rows = {f"seed {seed}": one for seed, one in found.mcnemar.items()}
    if len(rows) > 1:
        rows["all seeds"] = found.pooled
    lines = ["McNemar's exact test      A alone right  B alone right       p"]
    lines += [f"  {name:<24} {one.only_a:12} {one.only_b:14} {_p(one.p):>7}" for name, one in rows.items()]
    lines.append("  takes utterances as independent, which those of one speaker are not" + ("; so are seeds" if len(rows) > 1 else ""))
    return lines


def _p(p: float) -> str:
    """A probability for people."""
    return "< 1e-4" if p < 1e-4 else f"{p:.4f}"
