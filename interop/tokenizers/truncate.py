"""Encodes batches of texts, truncated and padded, with the PyPI package `tokenizers`.

usage: truncate.py TOKENIZER.json CASES.jsonl [SAVED.json]

A case has texts (pairs, the second null for one text), and truncation and padding as
tokenizer.json has them, or null. Prints one JSON array a case: for each text the
encoding and then the windows of what was cut off, each with ids, offsets, words,
types, special and attention; or an error. With SAVED the tokenizer is written there
as it is after the last case.
"""

import json
import sys

from tokenizers import Tokenizer

STRATEGIES = {"LongestFirst": "longest_first", "OnlyFirst": "only_first", "OnlySecond": "only_second"}


def plain(e):
    return {
        "ids": e.ids,
        "offsets": [x for o in e.offsets for x in o],
        "words": [-1 if w is None else w for w in e.word_ids],
        "types": e.type_ids,
        "special": e.special_tokens_mask,
        "attention": e.attention_mask,
    }


def main():
    t = Tokenizer.from_file(sys.argv[1])
    t.encode_special_tokens = True
    for line in open(sys.argv[2], encoding="utf-8"):
        c = json.loads(line)
        cut, pad = c["truncation"], c["padding"]
        try:
            t.no_truncation()
            t.no_padding()
            if cut:
                t.enable_truncation(
                    cut["max_length"], stride=cut["stride"], strategy=STRATEGIES[cut["strategy"]], direction=cut["direction"].lower()
                )
            if pad:
                length = None if pad["strategy"] == "BatchLongest" else pad["strategy"]["Fixed"]
                t.enable_padding(
                    direction=pad["direction"].lower(), pad_id=pad["pad_id"], pad_type_id=pad["pad_type_id"],
                    pad_token=pad["pad_token"], length=length, pad_to_multiple_of=pad["pad_to_multiple_of"],
                )
            if len(c["texts"]) == 1:
                (a, b), = c["texts"]
                batch = [t.encode(a, b)]
            else:
                batch = t.encode_batch([a if b is None else (a, b) for a, b in c["texts"]])
        except BaseException as error:  # the library panics where nothing is left
            print(json.dumps({"error": str(error)[:80]}))
            continue
        print(json.dumps({"texts": [[plain(e), *map(plain, e.overflowing)] for e in batch]}))
    if len(sys.argv) > 3:
        t.save(sys.argv[3])


main()
