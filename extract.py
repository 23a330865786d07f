"""The door to stage 1 from a clone: `python extract.py --model hubert-large` is `emocache extract --model hubert-large`."""

import sys

from emocache.cli import main

if __name__ == "__main__":
    main(["extract", *sys.argv[1:]])
