"""Photos of a list to SIDE×SIDE RGB by Pillow: resize.py LIST SIDE"""

import multiprocessing
import os
import sys

import PIL
from PIL import Image

from contender import serve

side = int(sys.argv[2])


def resize(name):
    try:
        with Image.open(name) as photo:
            photo.draft("RGB", (side, side))
            return photo.convert("RGB").resize((side, side), Image.Resampling.BICUBIC).tobytes()
    except OSError:
        return None  # a broken photo costs its time and nothing else


def main():
    with open(sys.argv[1]) as file:
        names = file.read().split("\n")
    processes = len(os.sched_getaffinity(0))
    with multiprocessing.Pool(processes) as pool:

        def unit():
            for _ in pool.imap_unordered(resize, names, chunksize=8):
                pass
            return len(names)

        unit()
        serve(unit, versions={"Pillow": PIL.__version__, "Python": sys.version.split()[0]})


if __name__ == "__main__":
    main()
