"""Table 3: the best of each kind of fusion, beside other authors."""

from heads.recipes.multilevel import segments, sources, table
from heads.recipes.recipe import Cited, Row

PRINTED = (("F+P", "concatenation", 71.29), ("F+P", "coattention", 74.57), ("F+S", "late", 75.80), ("F+P+S", "combined", 76.31))
"""Speech levels beside the text, kind of fusion, UA; the second and the third are rows of Table 2."""

CITED = {
    "GBAN (Liu et al., 2020)": 70.08,
    "STSER (Chen et al., 2020)": 72.05,
    "Krishna et al., 2020": 72.82,
    "Makiuchi et al., 2021": 73.00,
    "Kumar et al., 2021": 75.00,
    "Liu et al., 2022": 75.05,
}

RECIPE = table(
    name="multilevel-table3",
    table="Table 3",
    about="the paper's best fusions beside other authors', unweighted accuracy of 5-fold cross-validation",
    rows=tuple(
        Row(
            name=f"{levels}-{head}",
            head=head,
            sources=sources(levels),
            printed={"ua": ua},
            deviations=segments(levels),
            combines=("F+P-coattention", "F+S-late") if head == "combined" else (),
            setting=f"{head}-{levels}",
        )
        for levels, head, ua in PRINTED
    ),
    cited=tuple(Cited(name=name, printed={"ua": ua}) for name, ua in CITED.items()),
)
