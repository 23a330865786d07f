"""Table 2: text with speech levels (F frame, P phone, S syllable, W word), by co-attention and by late fusion."""

from heads.recipes.multilevel import segments, sources, table
from heads.recipes.recipe import Row

PRINTED = {
    "F": (74.28, 74.88),
    "F+P": (74.57, 75.15),
    "F+S": (74.05, 75.80),
    "F+W": (74.27, 75.22),
    "F+P+S": (73.35, 74.67),
    "F+P+W": (73.96, 75.52),
    "F+S+W": (73.53, 75.59),
    "F+P+S+W": (73.64, 74.60),
}
"""Speech levels beside the text -> UA of co-attention, UA of late fusion."""

RECIPE = table(
    name="multilevel-table2",
    table="Table 2",
    about="text and speech, unweighted accuracy of 5-fold cross-validation",
    rows=tuple(
        Row(
            name=f"{levels}-{head}",
            head=head,
            sources=sources(levels),
            printed={"ua": printed[column]},
            deviations=segments(levels),
            setting=f"{head}-{levels}",
        )
        for column, head in enumerate(("coattention", "late"))
        for levels, printed in PRINTED.items()
    ),
)
