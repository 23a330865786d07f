"""All folds and seeds of an experiment: which are trained together, which are done already, and how far it has come."""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import torch
from tqdm import tqdm

from emocache.devices import out_of_memory
from emocache.errors import ProtocolError, UsageError
from heads import finished, runfolder, trainer, versions
from heads.begun import SUFFIX, Begun
from heads.config import HeadModule, Training
from heads.data import Examples, Input
from heads.floor import with_permuted_labels
from heads.scoring import Run
from heads.splits import Fold
from heads.statistics import Statistics, first_not_finite

TOGETHER = {"cpu": 5, "cuda": 25}
"""Most seeds of a fold that are trained as one."""
Stack = tuple[int, list[int]]
"""The number of a fold, and seeds that are trained together on it."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """What is to be trained. `own_validation`: the corpus brings its validation part, which is no part of the training folds.

    With `random_labels`, every run learns labels of its own that tell nothing, so none are trained together.
    With `no_weights`, what a run leaves on the disk is without its weights.
    `load` gives the examples on `device`, and is called when the first run has to be trained. `digest` is of everything that decides
    the numbers of every run, but for its fold, its seed and the settings.
    """

    head: HeadModule
    config: Training
    inputs: Sequence[Input]
    load: Callable[[], Examples]
    device: torch.device
    folds: Mapping[int, Sequence[Fold]]
    classes: int
    own_validation: bool
    digest: str
    random_labels: bool = False
    no_weights: bool = False

    @property
    def total(self) -> int:
        """How many runs there are."""
        return sum(map(len, self.folds.values()))

    def train(self, folders: Sequence[Path], *, quiet: bool, stacks: Sequence[Stack] | None = None) -> list[Run]:
        """Every run of `stacks` (None: of all), seed by seed and fold by fold.

        What lies in one of `folders` is not trained again; in the end all lie in the last.
        """
        done: dict[tuple[int, int], Run] = {}
        each = self.config.epochs if self.head.NEEDS.resumes else 1
        unit = "epoch" if self.head.NEEDS.resumes else "run"
        with tqdm(total=self.total * each, desc="training", unit=unit, delay=1, disable=quiet) as bar:
            for number, seeds in self.stacks() if stacks is None else stacks:
                for seed in seeds:
                    if run := self._finished(folders, number, seed):
                        done[seed, number] = run
                        bar.update(each)
                for run in self._fit(number, [seed for seed in seeds if (seed, number) not in done], bar, folders[-1]):
                    path, digest = finished.file_of(folders[-1], number, run.seed), self._digest(number, run.seed)
                    light = finished.without_weights(run.fitted)
                    finished.save(path, light if self.no_weights else run.fitted, run.seconds, run.made_with, digest)
                    self._begun(folders[-1], number, run.seed).remove()
                    done[run.seed, number] = replace(run, fitted=light)  # the weights of all runs would not fit
                    bar.update(each * len(done) - bar.n)
        return [done[at] for at in ((seed, number) for seed, made in self.folds.items() for number in range(len(made))) if at in done]

    def validate(self, on_epoch: Callable[[int, int, int, trainer.Epoch], None]) -> dict[tuple[int, int], trainer.Learnt]:
        """Every run by seed and number of its fold, as far as it can be judged without the test part.

        `on_epoch` is told of each epoch: number of the stack, seed, number of the epoch, and what it came to.
        """
        done: dict[tuple[int, int], trainer.Learnt] = {}
        for at, (number, seeds) in enumerate(self.stacks()):
            parts = [self._parts(self.folds[seed][number]) for seed in seeds]
            examples = self._with_views(self.load(), self.folds[seeds[0]][number])
            try:
                learnt = trainer.learn(
                    self.head, self.config, self.inputs, examples, parts, classes=self.classes, seeds=seeds,
                    statistics=self._statistics, on_epoch=partial(on_epoch, at),
                )  # fmt: skip
            except trainer.Diverged as error:
                raise self._named(self.folds[seeds[0]][number], error) from None
            done |= {(seed, number): one for seed, one in zip(seeds, learnt, strict=True)}
        return done

    def _finished(self, folders: Sequence[Path], number: int, seed: int) -> Run | None:
        """A run that was done before."""
        digest = self._digest(number, seed)
        for folder in folders:
            if (found := finished.load(path := finished.file_of(folder, number, seed), digest)) is not None:
                if folder != folders[-1] and self.no_weights:
                    finished.save(finished.file_of(folders[-1], number, seed), *found, digest)
                elif folder != folders[-1]:
                    finished.copy(path, finished.file_of(folders[-1], number, seed))
                return Run(self.folds[seed][number], seed, *found)
        return None

    def _digest(self, number: int, seed: int) -> str:
        """Of everything that decides the numbers of one run; the seeds beside it are none of it, who change no more than the rounding."""
        about = [self.digest, asdict(self.config), seed, asdict(self.folds[seed][number])]
        return hashlib.sha256(runfolder.to_json(about).encode()).hexdigest()

    def stacks(self) -> list[Stack]:
        """Numbers of folds, and the seeds that are trained together on each: they have one test part and one pool."""
        most = TOGETHER[self.device.type] if self.head.NEEDS.stacks and not self.random_labels else 1
        alike: dict[tuple[int, tuple[str, ...], frozenset[str]], list[int]] = {}
        for number in range(max(map(len, self.folds.values()))):
            for seed, made in self.folds.items():
                if number < len(made):
                    alike.setdefault((number, made[number].test, frozenset(self._pool(made[number]))), []).append(seed)
        return [(number, seeds[at : at + most]) for (number, _, _), seeds in alike.items() for at in range(0, len(seeds), most)]

    def _pool(self, fold: Fold) -> tuple[str, ...]:
        """What batches are made of, in an order that no seed has a say in; never anything of the test part."""
        return tuple(sorted(fold.train if self.own_validation else fold.learnt))

    def _begun(self, folder: Path, number: int, seed: int) -> Begun:
        """Where an unfinished run is kept."""
        return Begun(finished.file_of(folder, number, seed).with_suffix(SUFFIX), self._digest(number, seed))

    def _fit(self, number: int, seeds: Sequence[int], bar: "tqdm[None]", folder: Path) -> Iterator[Run]:
        """Train some seeds of a fold; unfinished runs are kept in `folder`."""
        if not seeds:
            return
        began = time.perf_counter()
        folds = [self.folds[seed][number] for seed in seeds]

        def on_epoch(seed: int, epoch: int, losses: trainer.Epoch) -> None:
            text = f"fold {folds[0].name} seed {seed} epoch {epoch} validation loss {losses.validation_loss:.3f}"
            bar.set_postfix_str(text, refresh=bar.format_dict["elapsed"] > 1)
            if self.head.NEEDS.resumes:
                bar.update()

        parts = [self._parts(fold) for fold in folds]
        examples = self._with_views(self._labelled(folds[0], seeds[0]), folds[0])
        broken, begun = None, self._begun(folder, number, seeds[0]) if self.head.NEEDS.resumes else None
        try:
            fitted = dict(zip(seeds, trainer.fit(
                self.head, self.config, self.inputs, examples, parts, classes=self.classes, seeds=seeds, statistics=self._statistics,
                on_epoch=on_epoch, begun=begun,
            ), strict=True))  # fmt: skip
        except trainer.Diverged as error:
            broken, fitted = error, dict(error.finished)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            raise UsageError(
                f"fold {folds[0].name}: out of memory on {self.device}; give a lower --set batch (and --set accumulate in its place), "
                "fewer --layers or --jobs, or another --device; runs that are done are kept"
            ) from error
        seconds = (time.perf_counter() - began) / len(seeds)
        made_with = {"device": str(self.device), **versions.of_now()}
        yield from (Run(fold, seed, fitted[seed], seconds, made_with) for fold, seed in zip(folds, seeds, strict=True) if seed in fitted)
        if broken:
            raise self._named(folds[0], broken)

    def _labelled(self, fold: Fold, seed: int) -> Examples:
        """The examples, with permuted labels where that is asked for; those of the test part stay."""
        if not self.random_labels:
            return self.load()
        parts = [fold.train] if fold.selected_on_test else [fold.train, fold.validation]
        return with_permuted_labels(self.load(), parts, f"{fold.name}/{seed}")

    def _with_views(self, examples: Examples, fold: Fold) -> Examples:
        """The examples with the views that may be drawn in a fold."""
        return examples.with_views(fold.views) if self.config.draws_views else examples

    def _parts(self, fold: Fold) -> trainer.Parts:
        """Where the utterances of a fold lie."""
        indices = self.load().indices
        return trainer.Parts(indices(fold.train), indices(fold.validation), indices(fold.test), indices(self._pool(fold)))

    @cached_property
    def _statistics(self) -> Statistics:
        """Of the training folds of all runs, whichever are trained here."""
        indices = self.load().indices
        pools = dict.fromkeys(self._pool(fold) for folds in self.folds.values() for fold in folds)
        return Statistics(self.load().inputs, [indices(pool) for pool in pools])

    def _named(self, fold: Fold, error: trainer.Diverged) -> ProtocolError:
        """The error with its fold, and with the utterance whose features are to blame, if one is."""
        examples = self.load()
        which = examples.indices([*fold.learnt, *fold.test, *dict(fold.views)])
        for one, packed in zip(self.inputs, examples.inputs, strict=True):
            if (bad := first_not_finite(packed, which)) is not None:
                return ProtocolError(f"{examples.ids[bad]} has values that are not finite in {one.name}/{one.level}; extract it again")
        return ProtocolError(f"fold {fold.name}: {error}; runs that are finished are kept")
