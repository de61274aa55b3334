"""Times the PyPI packages on a text, for docs/results/tokenize.md.

usage: bench.py TOKENIZER.json|MODEL.model|r50k TEXT ROUNDS

Prints one line: the package, the median MB/s of ROUNDS passes, one thread. The
text is encoded in documents of 100 lines.
"""

import os
import statistics
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"


def encoder(name):
    if name.endswith(".json"):
        from tokenizers import Tokenizer

        t = Tokenizer.from_file(name)
        t.no_truncation()
        t.encode_special_tokens = True
        return "tokenizers", lambda s: t.encode(s, add_special_tokens=False).ids
    if name.endswith(".model"):
        import sentencepiece

        s = sentencepiece.SentencePieceProcessor(model_file=name)
        return "sentencepiece", s.encode
    import base64

    import tiktoken

    with open(name, "rb") as f:
        ranks = {base64.b64decode(a): int(b) for a, b in (line.split() for line in f if line.strip())}
    pattern = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
    e = tiktoken.Encoding("ranks", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    return "tiktoken", e.encode_ordinary


def main():
    name, path, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with open(path, encoding="utf-8", newline="\n") as f:
        lines = f.readlines()
    documents = ["".join(lines[i : i + 100]) for i in range(0, len(lines), 100)]
    size = sum(len(d.encode()) for d in documents)
    package, encode = encoder(name)
    encode(documents[0])
    speeds = []
    for _ in range(rounds):
        start = time.process_time()
        for d in documents:
            encode(d)
        speeds.append(size / 1e6 / (time.process_time() - start))
    print(f"{package}\t{os.path.basename(os.path.dirname(name)) or name}\t{statistics.median(speeds):.2f}")


main()
