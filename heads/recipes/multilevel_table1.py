"""Table 1: one input alone, by the linear head and by three transformer encoder layers."""

from heads.recipes.multilevel import LEVELS, SEGMENTS, TEXT, table
from heads.recipes.recipe import Row

PRINTED = {
    "text": (TEXT, 68.12, 67.29),
    "frame": (LEVELS["F"], 65.44, 62.85),
    "phone": (LEVELS["P"], 64.24, 62.79),
    "syllable": (LEVELS["S"], 63.86, 63.26),
    "word": (LEVELS["W"], 64.48, 62.38),
}
"""Input -> what it is, UA of the linear head, UA of the transformer encoder."""

RECIPE = table(
    name="multilevel-table1",
    table="Table 1",
    about="single modality, unweighted accuracy of 5-fold cross-validation",
    rows=tuple(
        Row(
            name=f"{name}-{head}",
            head=head,
            sources=(source,),
            printed={"ua": (linear, transformer)[head == "transformer"]},
            deviations=SEGMENTS if "@" in source.level else (),
            setting="branch" if head == "linear" else head,
        )
        for head in ("linear", "transformer")
        for name, (source, linear, transformer) in PRINTED.items()
    ),
)
