"""Reading alignments that exist already: one module per format, and imports.py, which matches them to a corpus.

A reader gives the tiers (tiers.py) of one file and raises a CorpusError that names file and line of damage.
"""
