"""Figure 3: MSTR with windows of p frames (a) and with L scales (b); the figure prints no numbers, and no values of p."""

from heads.recipes.mstr import SETTINGS, baseline, row, table

WINDOWS, LEVELS = (2, 3, 4, 5), (1, 2, 3, 4)
"""Values of p with L = 4, and of L with p = 3; so `p3` and `L4` are one run, which is that of Table 2."""

RECIPES = {
    f"mstr-fig3-{corpus}": table(
        corpus,
        name=f"mstr-fig3-{corpus}",
        table="Figure 3",
        about="windows of p frames with 4 scales, and L scales with windows of 3; the figure prints no numbers",
        rows=(
            baseline(corpus),
            *(row(corpus, f"p{p}", f"p={p}") for p in WINDOWS),
            *(row(corpus, f"L{levels}", f"levels={levels}") for levels in LEVELS),
        ),
    )
    for corpus in SETTINGS
}
