"""Signatures of 112 functions over word 5-grams by rensa and datatrove, in processor time.

usage: minhash_peers.py DIR    DIR holds *.txt.gz; prints MB of text per CPU-second
"""
import glob
import gzip
import re
import sys
import time

from rensa import RMinHash

texts = []
for path in sorted(glob.glob(sys.argv[1] + "/**/*.txt.gz", recursive=True)):
    texts.append(gzip.open(path, "rb").read().decode("utf-8", "replace"))
    if sum(map(len, texts)) > 12_000_000:
        break
size = sum(len(t.encode()) for t in texts) / 1e6
word = re.compile(r"\w+")


def rensa(text):
    words = word.findall(text.lower())
    m = RMinHash(num_perm=112, seed=1)
    m.update([" ".join(words[i : i + 5]) for i in range(len(words) - 4)])
    return m.digest()


def measure(name, f, share=1):
    part = texts[: max(1, len(texts) // share)]
    mb = sum(len(t.encode()) for t in part) / 1e6
    best = 0.0
    for _ in range(3):
        t0 = time.process_time()
        for t in part:
            f(t)
        best = max(best, mb / (time.process_time() - t0))
    print(f"{name}: {best:.2f} MB/s of {mb:.1f} MB", flush=True)


print(f"{len(texts)} texts, {size:.1f} MB")
measure("rensa RMinHash", rensa)

from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature
from datatrove.data import Document

sig = MinhashDedupSignature(output_folder="out", config=MinhashConfig(n_grams=5, num_buckets=14, hashes_per_bucket=8))


def datatrove(text):
    return sig.get_signature(sig.get_shingles(text))


measure("datatrove MinhashDedupSignature", datatrove, share=6)
