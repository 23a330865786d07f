"""Reports of stored runs: tables in Markdown, CSV and LaTeX, and one HTML page that needs nothing else.

`entries` reads and scores the runs, `tables` and `page` turn them into text, `maps` and `pictures` draw, `files` writes.
"""
