"""MinHash by rensa and datatrove, in processor time, on the texts of BenchmarkBooks and BenchmarkRules.

usage: peers.py DIR    DIR holds */*.txt.gz

Signatures of 112 functions over word 5-grams, then datatrove's four stages over the
same books cut into documents of 4096 bytes, each stage with one worker. Prints MB of
text per second of processor time.
"""
import glob
import gzip
import json
import os
import re
import resource
import shutil
import sys
import tempfile
import time

os.environ.setdefault("LOGURU_LEVEL", "ERROR")
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers.jsonl import JsonlWriter
from rensa import RMinHash

texts, size = [], 0
for path in sorted(glob.glob(sys.argv[1] + "/*/*.txt.gz")):
    texts.append(gzip.open(path, "rb").read().decode("utf-8", "replace"))
    size += len(texts[-1].encode())
    if size > 12_000_000:
        break
word = re.compile(r"\w+")
config = MinhashConfig(n_grams=5, num_buckets=14, hashes_per_bucket=8)


def rensa(text):
    words = word.findall(text.lower())
    m = RMinHash(num_perm=112, seed=1)
    m.update([" ".join(words[i : i + 5]) for i in range(len(words) - 4)])
    return m.digest()


def measure(name, f, share=1, times=3):
    part = texts[: max(1, len(texts) // share)]
    mb = sum(len(t.encode()) for t in part) / 1e6
    rates = []
    for _ in range(times):
        t0 = time.process_time()
        for t in part:
            f(t)
        rates.append(mb / (time.process_time() - t0))
    print(f"{name}: {sorted(rates)[times // 2]:.2f} cpu-MB/s, median of {times} passes over {mb:.1f} MB", flush=True)


print(f"{len(texts)} texts, {size/1e6:.1f} MB", flush=True)
measure("rensa RMinHash, shingles joined in Python", rensa)
signature = MinhashDedupSignature(output_folder=tempfile.mkdtemp(), config=config)
measure("datatrove signatures", lambda t: signature.get_signature(signature.get_shingles(t)), share=8, times=1)

work = tempfile.mkdtemp()
os.mkdir(f"{work}/in")
mb, n = 0, 0
with open(f"{work}/in/0.jsonl", "w") as f:
    for text in texts[: max(1, len(texts) // 6)]:
        raw = text.encode()
        for at in range(0, len(raw), 4096):
            piece = raw[at : at + 4096].decode("utf-8", "ignore")
            f.write(json.dumps({"id": str(n), "text": piece}) + "\n")
            mb, n = mb + len(piece.encode()) / 1e6, n + 1


def used():
    return sum(sum(resource.getrusage(w)[:2]) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


stages = [
    ("signatures", [JsonlReader(f"{work}/in"), MinhashDedupSignature(output_folder=f"{work}/sig", config=config)], 1),
    ("buckets", [MinhashDedupBuckets(input_folder=f"{work}/sig", output_folder=f"{work}/buckets", config=config)], 14),
    ("cluster", [MinhashDedupCluster(input_folder=f"{work}/buckets", output_folder=f"{work}/remove", config=config)], 1),
    ("filter", [JsonlReader(f"{work}/in"), MinhashDedupFilter(input_folder=f"{work}/remove"), JsonlWriter(f"{work}/out", compression=None)], 1),
]
total = 0
for name, pipeline, tasks in stages:
    t0 = used()
    LocalPipelineExecutor(pipeline=pipeline, tasks=tasks, workers=1, logging_dir=f"{work}/log-{name}", skip_completed=False).run()
    total += used() - t0
    print(f"datatrove {name}: {used()-t0:.1f} cpu-s", flush=True)
print(f"datatrove's four stages: {mb/total:.3f} cpu-MB/s over {n} documents, {mb:.1f} MB", flush=True)
shutil.rmtree(work)
