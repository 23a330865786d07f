"""What a head states of itself: its settings, the paper it follows and the inputs it needs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, cast, get_args, get_origin, get_type_hints, runtime_checkable

from emocache.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

    from heads.data import Input

Normalise = Literal["global", "speech", "speaker", "none"]


Schedule = Literal["constant", "cosine"]
Precision = Literal["fp32", "bf16"]
Optimiser = Literal["adam", "adamw", "sgd"]
Tested = Literal["best", "last"]
Kept = Literal["best+last", "best"]


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a head is trained, unless its own Config says otherwise."""

    optimiser: Optimiser = "adam"
    """Adam; AdamW, which takes the weight decay from the weights and not from their gradients; or SGD with momentum 0.9."""
    lr: float = 1e-3
    layer_lr: float = 1.0
    """The learning rate of layer weights, as a multiple of `lr`: they start equal, and a small rate leaves them so."""
    schedule: Schedule = "constant"
    """What becomes of the learning rate: nothing, or half a cosine from `lr` to 0 over `epochs`."""
    refit: bool = False
    """Once the epoch is chosen, train again for as many epochs on the training and the validation part together."""
    weight_decay: float = 0.0
    batch: int = 32
    """Utterances that a step learns from, on average: see `learner.step_size`."""
    accumulate: int = 1
    """Steps whose gradients are averaged for one update."""
    precision: Precision = "fp32"
    """What matrix products are computed in; the weights and their updates are float32."""
    epochs: int = 100
    patience: int = 4
    """Epochs without a lower validation loss after which training stops; the best epoch is kept."""
    tested: Tested = "best"
    """Whose weights predict the test part: those of the epoch with the lowest validation loss, or those of the last of `epochs`,
    however the validation part fares."""
    kept: Kept = "best+last"
    """Which weights the checkpoint of a run holds: those that predict the test part, and those of its last epoch."""
    clip: float = 1.0
    """Largest absolute value of an entry of a gradient; 0 clips nothing."""
    normalise: Normalise = "global"
    """Standardise each layer and dimension: all inputs ('global') or those made from sound ('speech') with the training
    folds' statistics, whoever validates among them included; those made from sound with each speaker's own ('speaker');
    or nothing ('none')."""

    @property
    def draws_views(self) -> bool:
        """Whether a view is drawn beside each utterance that has any, for heads that need them."""
        return False

    @property
    def of_all_folds(self) -> str:
        """What a reader must know where all folds have these settings; "" where that is nothing."""
        return ""

    def following(self, changes: Mapping[str, Any]) -> Mapping[str, Any]:
        """Defaults of further settings that follow from settings that are changed."""
        return {}

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        for name in ("lr", "layer_lr", "batch", "accumulate", "epochs", "patience"):
            if not 0 < getattr(self, name) <= 1_000_000:
                raise UsageError(f"{name} is {getattr(self, name)}, expected more than 0 and at most a million")
        for name in ("weight_decay", "clip"):
            if not getattr(self, name) >= 0:
                raise UsageError(f"{name} is {getattr(self, name)}, expected 0 or more")

    def expect(self, least: int, most: int, *names: str) -> None:
        """UsageError for one of these settings that is not within `least` and `most`."""
        for name in names:
            if not least <= getattr(self, name) <= most:
                raise UsageError(f"{name} is {getattr(self, name)}, expected {least} to {most}")

    def expect_shares(self, *names: str) -> None:
        """UsageError for one of these settings that is no share of what is dropped."""
        for name in names:
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}, expected 0 or more and less than 1")


NO_NUMBER = ("kept",)
"""Settings that no number depends on, so that they are no deviation."""
UNPRINTED = dict.fromkeys(("layer_lr", "schedule", "refit", "precision"), "our choice")
"""Settings of training of which these papers say nothing -> whose their values are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Paper:
    """Where a head comes from and what was printed there; `reported` is never shown as a result of ours."""

    title: str
    url: str
    protocol: str
    splits: tuple[str, ...] = ("loso",)
    """The protocols of ours that come nearest."""
    reported: Mapping[str, float] = field(default_factory=dict)
    """UA in percent by the paper's name of the row."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Needs:
    """How many feature sets a head takes, and of which levels (none named: any).

    `stacks`: several runs may be trained as one, see `blocks`. `freezes`: what it does first with an input of one layer is to
    standardise it and to normalise each row, which can be done once for a fold. `buckets`: it pads, so batches are better made of
    utterances of about one length. `views`: views of utterances are drawn beside these, and not learnt from by themselves.
    `longest`: it must know how long the longest utterance is. `fuses`: what it says of the parts that it learnt from is kept, for a
    fusion that learns from that. `learns_validation`: the validation part moves its weights, so it cannot be the test part.
    `resumes`: epochs are long, so that what it takes to go on after each is kept until a run is done.
    `targets` makes whole numbers of a transcript, for heads that learn to say it.
    """

    least: int = 1
    most: int | None = None
    levels: tuple[str, ...] = ()
    stacks: bool = False
    freezes: bool = False
    buckets: bool = False
    views: bool = False
    longest: bool = False
    fuses: bool = False
    learns_validation: bool = False
    resumes: bool = False
    targets: Callable[[str], Sequence[int]] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Beside:
    """What a head is given besides features.

    Of each original utterance its rows of speech and its target; of each fold, how many training utterances have views.
    """

    rows: tuple[int, ...]
    targets: tuple[tuple[int, ...], ...]
    viewed: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Remarks:
    """In words: where what is given makes a result another one than the paper's, and what else its reader must know."""

    deviations: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@runtime_checkable
class HeadModule(Protocol):
    """What every module in `heads.HEADS` has."""

    Config: type[Training]
    PAPER: Paper
    NEEDS: Needs

    def build(self, config: Any, inputs: "Sequence[Input]", classes: int) -> "nn.Module":
        """The head, initialised from torch's global generator; its forward takes a Batch and gives an Output."""
        ...

    def deviations(self, config: Any, inputs: "Sequence[Input]") -> list[str]:
        """In words, where this configuration is not what the paper describes."""
        ...


@runtime_checkable
class RemarkingModule(HeadModule, Protocol):
    """A head that says something of what it is given besides features."""

    def remarks(self, config: Any, beside: Beside) -> Remarks:
        """Of one configuration."""
        ...


@runtime_checkable
class CountingHead(HeadModule, Protocol):
    """A head whose paper counts FLOPs: it counts them too, and says what is to be known of the paper's count."""

    COST_NOTES: tuple[str, ...]

    def costs(self, config: Any, inputs: "Sequence[Input]", classes: int) -> dict[str, int]:
        """`flops_paper`, by the paper's count, and `flops_macs`, by a proper one, of one utterance."""
        ...


C = TypeVar("C", bound=Training)


def override(config: C, assignments: Sequence[str]) -> C:
    """The config with `name=value` texts applied, each in its field's type. UsageError lists names or values that fit."""
    changes: dict[str, Any] = {}
    hints = get_type_hints(type(config))
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise UsageError(f"--set {assignment}: expected name=value")
        if name not in hints:
            raise UsageError(f"--set {name}: no such setting; there are: {', '.join(f.name for f in fields(config))}")
        changes[name] = _typed(name, text, hints[name])
    return replace(config, **{**config.following(changes), **changes})


def _typed(name: str, text: str, kind: Any) -> object:
    """One value of `--set` in the type of its field."""
    if get_origin(kind) is Literal:
        if text not in get_args(kind):
            raise UsageError(f"--set {name}={text}: expected one of {', '.join(get_args(kind))}")
        return text
    if kind is bool:
        if text not in {"true", "false"}:
            raise UsageError(f"--set {name}={text}: expected true or false")
        return text == "true"
    if callable(read := getattr(kind, "parse", None)):
        return cast(object, read(text))
    try:
        return kind(text)
    except ValueError:
        raise UsageError(f"--set {name}={text}: expected {'a whole number' if kind is int else 'a number'}") from None
