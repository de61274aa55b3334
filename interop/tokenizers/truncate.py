"""Encodes pairs of texts, truncated, with the PyPI package `tokenizers`.

usage: truncate.py TOKENIZER.json CASES.jsonl
A case has a, b (null for one text), max_length, strategy and direction. Prints one
JSON object a case: ids, offsets (in characters), words and types, or an error.
"""

import json
import sys

from tokenizers import Tokenizer

t = Tokenizer.from_file(sys.argv[1])
t.no_padding()
t.encode_special_tokens = True
for line in open(sys.argv[2], encoding="utf-8"):
    c = json.loads(line)
    try:
        t.enable_truncation(c["max_length"], strategy=c["strategy"], direction=c["direction"])
        e = t.encode(c["a"], c["b"])
    except BaseException as error:  # the library panics where nothing is left
        print(json.dumps({"error": str(error)[:80]}))
        continue
    words = [-1 if w is None else w for w in e.word_ids]
    print(json.dumps({"ids": e.ids, "offsets": [x for o in e.offsets for x in o], "words": words, "types": e.type_ids}))
