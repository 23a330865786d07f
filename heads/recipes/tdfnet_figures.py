"""Figures 5 to 11 of TDFNet: which runs each is made of, and what of them it shows."""

from heads.recipes.recipe import Recipe, Row, Shows
from heads.recipes.tdfnet import FOLDS, recipe, row

PROTOCOLS = tuple(FOLDS)
PATHS = ("audio-path", "text-path", "TDFNet")


def _figure(number: int, about: str, shows: Shows, rows: tuple[Row, ...], protocol: str = "loso") -> Recipe:
    """A figure of these rows."""
    made: Recipe = recipe(
        name=f"tdfnet-fig{number}", table=f"Fig. {number}", about=about, metrics=(), rows=rows, shows=shows, protocol=protocol
    )
    return made


def _maps(number: int, protocol: str) -> Recipe:
    """Maps of speech alone, text alone and TDFNet under a protocol."""
    about = f"t-SNE of audio path, text path and TDFNet, {protocol.upper()}"
    return _figure(number, about, "maps", tuple(row(name, protocol) for name in PATHS), protocol=protocol)


FULL = tuple(row("TDFNet", protocol, name=protocol) for protocol in PROTOCOLS)
FIG5 = _figure(5, "confusion matrices under LOSO, LOPO and RA", "confusion", FULL)
FIG6 = _figure(
    6, "t-SNE of the ablations, LOPO", "maps", tuple(row(f"without-{name}", "lopo") for name in ("DST", "MT", "ME")), protocol="lopo"
)
FIG7 = _figure(7, "loss by epoch on the training set; under which protocol is not said, ours is for all three", "curves", FULL)
FIG8 = _figure(
    8,
    "UA and WA by epoch on the training set, under which protocol is not said; ours is UA on the validation part, for all three",
    "curves",
    FULL,
)
FIG9, FIG10, FIG11 = (_maps(number, protocol) for number, protocol in zip((9, 10, 11), PROTOCOLS, strict=True))
