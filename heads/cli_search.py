"""`emocache search`: cells that fit a corpus. Everything heavy is imported when a command runs."""

import typer

app = typer.Typer(
    no_args_is_help=True, help="Search for a cell on cached features (EmotionNAS); `train cell --genotype FILE` trains its network."
)
"""A command for each kind of cell."""
