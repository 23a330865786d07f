"""Table 2: the vanilla transformer and MSTR on IEMOCAP, MELD and CREMA-D, one recipe a corpus."""

from collections.abc import Mapping

from heads.recipes.mstr import baseline, row, table
from heads.recipes.recipe import Cited

PRINTED: dict[str, tuple[dict[str, float], dict[str, float]]] = {
    "iemocap": ({"wa": 68.90, "ua": 70.02}, {"wa": 70.60, "ua": 71.60}),
    "meld": ({"wf1": 45.20}, {"wf1": 46.15}),
    "crema-d": ({"wa": 77.70, "ua": 77.90}, {"wa": 79.70, "ua": 79.92}),
}
"""Corpus -> scores of the baseline, scores of MSTR."""

CITED: dict[str, dict[str, Mapping[str, float]]] = {
    "iemocap": {
        "Guo et al., 2021": {"wa": 61.32, "ua": 60.43},
        "Wang et al., 2021": {"wa": 66.50, "ua": 65.70},
        "Chen et al., 2022 (16.72 M parameters, 2.28 G FLOPs)": {"wa": 62.90, "ua": 64.50},
        "Gudmalwar et al., 2022": {},
        "Fan et al., 2020": {"wa": 70.40, "ua": 65.00},
        "Zou et al., 2022": {"wa": 69.80, "ua": 71.05},
    },
    "meld": {
        "Liang et al., 2020": {"wf1": 40.20},
        "Lian et al., 2021": {"wf1": 38.20},
        "Chen et al., 2022 (33.2 M parameters, 1.64 G FLOPs)": {"wf1": 41.90},
        "Hu et al., 2022": {"wf1": 42.72},
    },
    "crema-d": {},
}
"""Corpus -> other authors' rows; of Gudmalwar et al. the text at hand has no numbers."""

RECIPES = {
    f"mstr-table2-{corpus}": table(
        corpus,
        name=f"mstr-table2-{corpus}",
        table="Table 2",
        about="vanilla transformer and MSTR, mean of 10 seeds",
        rows=(baseline(corpus, of_baseline), row(corpus, printed=of_mstr)),
        cited=tuple(Cited(name=name, printed=printed) for name, printed in CITED[corpus].items()),
    )
    for corpus, (of_baseline, of_mstr) in PRINTED.items()
}
