"""Encodes many texts with the PyPI package `tokenizers`, answers in binary.

usage: fuzz.py TOKENIZER.json TEXTS

TEXTS holds for each text its length in bytes (4 bytes, little endian) and the text
in UTF-8. Written to standard output, for each text: the number n of tokens, n ids
and 2n offsets in characters, 4 bytes each, little endian. Control tokens in the text
are text.
"""

import array
import itertools
import os
import struct
import sys

os.environ["TOKENIZERS_PARALLELISM"] = "true"

from tokenizers import Tokenizer

BATCH = 2000


def texts(path):
    with open(path, "rb") as f:
        while head := f.read(4):
            yield f.read(struct.unpack("<I", head)[0]).decode()


def main():
    t = Tokenizer.from_file(sys.argv[1])
    t.no_truncation()
    t.no_padding()
    t.encode_special_tokens = True
    out = sys.stdout.buffer
    batch = []

    def flush():
        numbers = array.array("i")
        for e in t.encode_batch(batch, add_special_tokens=False):
            ids = e.ids
            numbers.append(len(ids))
            numbers.extend(ids)
            numbers.extend(itertools.chain.from_iterable(e.offsets))
        if sys.byteorder == "big":
            numbers.byteswap()
        out.write(numbers)
        batch.clear()

    for text in texts(sys.argv[2]):
        batch.append(text)
        if len(batch) == BATCH:
            flush()
    flush()


main()
