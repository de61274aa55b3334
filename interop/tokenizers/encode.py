"""Encodes texts with the PyPI package `tokenizers`.

usage: encode.py TOKENIZER.json TEXTS.jsonl
Prints one JSON object a text: ids, offsets (in characters) and words. Control
tokens in the text are text.
"""

import json
import sys

from tokenizers import Tokenizer

t = Tokenizer.from_file(sys.argv[1])
t.no_truncation()
t.no_padding()
t.encode_special_tokens = True
with open(sys.argv[2], encoding="utf-8") as f:
    for line in f:
        e = t.encode(json.loads(line), add_special_tokens=False)
        offsets = [x for o in e.offsets for x in o]
        print(json.dumps({"ids": e.ids, "offsets": offsets, "words": e.word_ids}))
