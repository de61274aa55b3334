"""Writes a large text for the training benchmark from a directory of real texts.

usage: corpus.py DATA TEXT MEGABYTES

The books and encyclopedia of DATA are repeated until the size is reached. In each
further copy every eighth line has its letters exchanged (vowels for vowels), another
way each time, so that the number of different words grows with the size, as it does
in real text.
"""

import gzip
import pathlib
import random
import sys


def read(data):
    for sub in ("books", "lm"):
        for path in sorted(pathlib.Path(data, sub).rglob("*")):
            if not path.is_file() or not path.name.removesuffix(".gz").endswith(".txt"):
                continue
            raw = path.read_bytes()
            if path.suffix == ".gz":
                raw = gzip.decompress(raw)
            yield raw.decode("utf-8", "replace").replace("\r\n", "\n")


def exchange(seed):
    table = {}
    for letters in ("aeiou", "bcdfghjklmnpqrstvwxyz"):
        for case in (letters, letters.upper()):
            to = list(case)
            random.Random(seed).shuffle(to)
            table.update(zip(map(ord, case), to))
    return table


def main():
    data, target, size = sys.argv[1], sys.argv[2], int(sys.argv[3]) * 1_000_000
    texts = list(read(data))
    written, copy = 0, 0
    with open(target, "w", encoding="utf-8", newline="\n") as out:
        while written < size:
            table = exchange(copy)
            for text in texts:
                lines = text.splitlines(keepends=True)
                if copy:
                    lines = [l.translate(table) if (i + copy) % 8 == 0 else l for i, l in enumerate(lines)]
                block = "".join(lines)
                out.write(block)
                written += len(block.encode())
                if written >= size:
                    break
            copy += 1


main()
