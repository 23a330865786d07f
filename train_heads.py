"""The door to stage 2 from a clone: `python train_heads.py linear ...` is `emocache train linear ...`."""

import sys

from emocache.cli import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])
