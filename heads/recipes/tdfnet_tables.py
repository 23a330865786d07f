"""Tables I to V of TDFNet: all folds of three protocols, beside other authors' under each, and the ablations."""

from dataclasses import replace

from heads.recipes.recipe import Cited, Recipe
from heads.recipes.tdfnet import ABLATIONS, by_fold, recipe, row

MEANS = {"loso": (76.26, 77.04), "lopo": (79.18, 79.97), "ra": (82.08, 82.57)}
"""Protocol -> WA, UA."""
BY_FOLD = {
    "loso": {"1": (75.60, 77.90), "2": (77.64, 78.34), "3": (74.65, 74.79), "4": (75.87, 75.75), "5": (77.52, 78.41)},
    "lopo": {
        "Ses01M": (75.00, 75.76), "Ses01F": (78.66, 79.79), "Ses02M": (80.63, 83.95), "Ses02F": (80.14, 80.26), "Ses03M": (73.95, 74.30),
        "Ses03F": (81.00, 81.16), "Ses04M": (81.82, 82.08), "Ses04F": (76.62, 77.65), "Ses05M": (82.88, 83.35), "Ses05F": (81.07, 81.36),
    },
    "ra": {
        "1": (83.54, 83.93), "2": (83.00, 83.44), "3": (81.56, 81.70), "4": (81.37, 81.91), "5": (80.29, 80.25),
        "6": (85.35, 85.81), "7": (80.65, 80.81), "8": (82.28, 82.27), "9": (80.11, 81.30), "10": (82.64, 84.29),
    },
}  # fmt: skip
"""Protocol -> fold -> WA, UA."""
OTHERS: dict[str, dict[str, tuple[float | None, float | None]]] = {
    "loso": {
        "RNN-WPA (Mirsamadi et al., 2017)": (63.50, 58.80), "ACNN-AE (Neumann et al., 2019)": (None, 59.54),
        "TBE (Zhang et al., 2021)": (None, 61.80), "EF-CS (Pepino et al., 2020)": (None, 65.60), "IAAN (Yeh et al., 2019)": (64.70, 66.30),
        "LA-LSTM (Xu et al., 2019)": (72.50, 70.90), "TSIN (Chen et al., 2021)": (74.92, 76.64),
    },
    "lopo": {
        "LSTM-CNN (Cho et al., 2018)": (64.97, 65.90), "DRN (Li et al., 2019)": (None, 67.40), "DNN-BN (Kim et al., 2019)": (73.70, 75.50),
        "TSIN (Chen et al., 2021)": (76.23, 78.11),
    },
    "ra": {
        "TFCNN (Liu et al., 2020)": (70.34, 70.78), "STSER (Chen et al., 2020)": (71.06, 72.05), "MDRE (Yoon et al., 2018)": (71.80, None),
        "WISE (Shen et al., 2020)": (75.90, 76.40), "MHA-2 (Yoon et al., 2019)": (76.50, 77.60), "TSIN (Chen et al., 2021)": (78.74, 79.77),
        "MSCNN (Peng et al., 2021)": (80.30, 81.40),
    },
}  # fmt: skip
"""Protocol -> other authors -> WA, UA, as far as they are printed."""
ABLATED = {
    "audio-path": (71.49, 72.92), "text-path": (67.68, 69.03), "without-DST": (74.82, 75.65), "without-MT": (73.88, 74.73),
    "without-ME": (74.58, 75.44), "TDFNet": (76.26, 77.04),
}  # fmt: skip
"""Row of Table V -> WA, UA."""


def _beside_others(number: int, protocol: str) -> Recipe:
    """The paper's mean under one protocol, beside other authors'."""
    return recipe(
        name=f"tdfnet-table{number}",
        table=f"Table {'I' * number if number < 4 else 'IV'}",
        about=f"beside other authors, {protocol.upper()}, mean of folds",
        metrics=("wa", "ua"),
        protocol=protocol,
        rows=(row("TDFNet", protocol, printed=MEANS[protocol]),),
        cited=tuple(
            Cited(name=name, printed={key: value for key, value in (("wa", wa), ("ua", ua)) if value is not None})
            for name, (wa, ua) in OTHERS[protocol].items()
        ),
    )


TABLE1 = recipe(
    name="tdfnet-table1",
    table="Table I",
    about="three protocols, every fold and the mean of folds",
    metrics=("wa", "ua"),
    rows=tuple(
        replace(row("TDFNet", protocol, name=protocol, printed=printed), by_fold=by_fold(BY_FOLD[protocol]))
        for protocol, printed in MEANS.items()
    ),
)
TABLE2, TABLE3, TABLE4 = (_beside_others(*one) for one in ((2, "loso"), (3, "lopo"), (4, "ra")))
TABLE5 = recipe(
    name="tdfnet-table5",
    table="Table V",
    about="ablations, LOSO, mean of folds",
    metrics=("wa", "ua"),
    rows=tuple(row(name, "loso", printed=ABLATED[name]) for name in ABLATIONS),
)
