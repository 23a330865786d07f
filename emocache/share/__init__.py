"""Caches that are passed on: `emocache push`, `emocache pull` and `emocache ls SOURCE`.

    address -> place (folder, s3, web, hub) -> format (what lies there) -> push | pull (wish -> choice -> fetch -> adopt)

What may go is policy.py, what is said of it sharecard.py and readme.py, what is asked for before it is given gate.py, and arrived.py
is a copy that came in.
"""
