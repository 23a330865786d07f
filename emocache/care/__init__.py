"""Care for feature sets: find what is damaged, take it out, remove, tidy up, rewrite.

verify -> findings -> repair; litter -> gc; copying -> rewrite -> compaction and migrate; remove; usage.
"""
