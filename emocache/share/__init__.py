"""Caches that are passed on: `emocache push`, `emocache pull` and `emocache ls SOURCE`.

    address -> place (folder, s3, web, hub) -> format (what lies there) -> push | pull (wish -> choice -> fetch -> adopt)

What may travel is decided in policy.py; sharecard.py and gate.py write and read what is said of it.
"""
