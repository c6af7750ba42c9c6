#!/usr/bin/env python3
"""scatter.py IMAGE TARGET: makes TARGET, 1 TiB of holes with 500 MiB of pieces of IMAGE's data at random
places."""
import os
import random
import sys

from macro import data_extents

SIZE, DATA, BLOCK = 1 << 40, 500 << 20, 4096
PIECE_KIB = (4, 16, 64, 256, 1024, 4096)


def main(image, target):
    prng = random.Random(1)
    with open(image, "rb") as source, open(target, "wb") as out:
        extents = list(data_extents(source.fileno()))
        out.truncate(SIZE)
        left = DATA
        while left > 0:
            start, end = prng.choice(extents)
            length = min(prng.choice(PIECE_KIB) * 1024, end - start, left)
            piece = os.pread(source.fileno(), length, start + prng.randrange(0, end - start - length + 1, BLOCK))
            os.pwrite(out.fileno(), piece, prng.randrange(0, SIZE - length, BLOCK))
            left -= length


main(*sys.argv[1:])
