"""What the peers find in given documents, for the interop tests of package dedup.

usage: results.py IN OUT

IN is JSON: "near" and "repeats" are lists of texts, "pairs" pairs of numbers of near,
"length" the bytes of a repeat, "speed" a text of some hundred kB. OUT is JSON:

  clusters   of each text of near the number of the cluster that datatrove's four stages
             put it in (14 bands of 8 rows, word 5-grams), -1 for none
  removed    the numbers of those that datatrove removes
  jaccard    of each pair, exactly, of the sets that datatrove's get_shingles gives
  rensa      of each pair, as rensa's RMinHash estimates it with 112 functions
  repeats    of each text of repeats the stretches that stand elsewhere too, from the
             suffix array and the common prefixes of all texts (divsufsort and Kasai):
             the definition that deduplicate-text-datasets computes
  rates      MB of text per second of processor time: "rensa" and "datatrove" signing
             the text of speed, "stages" all of datatrove's stages over documents of 4 kB
"""
import json
import os
import re
import resource
import struct
import sys
import tempfile
import time

os.environ.setdefault("LOGURU_LEVEL", "ERROR")
import numpy as np
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers.jsonl import JsonlWriter
from datatrove.utils.text import TextNormConfig
from pydivsufsort import divsufsort, kasai
from rensa import RMinHash

request = json.load(open(sys.argv[1]))
config = MinhashConfig(n_grams=5, num_buckets=14, hashes_per_bucket=8, norm_config=TextNormConfig(norm_numbers=False))
word = re.compile(r"\w+")


def used():
    return sum(sum(resource.getrusage(w)[:2]) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def stages(texts, work):
    """datatrove's stages; returns the clusters, the removed and the seconds."""
    os.makedirs(f"{work}/in")
    with open(f"{work}/in/0.jsonl", "w") as f:
        for i, text in enumerate(texts):
            f.write(json.dumps({"id": str(i), "text": text}) + "\n")
    began = used()
    for name, pipeline, tasks in (
        ("sig", [JsonlReader(f"{work}/in"), MinhashDedupSignature(output_folder=f"{work}/sig", config=config)], 1),
        ("buckets", [MinhashDedupBuckets(input_folder=f"{work}/sig", output_folder=f"{work}/buckets", config=config)], 14),
        ("cluster", [MinhashDedupCluster(input_folder=f"{work}/buckets", output_folder=f"{work}/remove", config=config, save_cluster_id=True)], 1),
        ("filter", [JsonlReader(f"{work}/in"), MinhashDedupFilter(input_folder=f"{work}/remove"), JsonlWriter(f"{work}/out", compression=None)], 1),
    ):
        LocalPipelineExecutor(pipeline=pipeline, tasks=tasks, workers=1, logging_dir=f"{work}/log-{name}", skip_completed=False).run()
    seconds = used() - began
    clusters = [-1] * len(texts)
    removed = []
    if os.path.exists(f"{work}/remove/000000.remove"):
        for doc, cluster in struct.iter_unpack("<II", open(f"{work}/remove/000000.clusters", "rb").read()):
            clusters[doc] = cluster
        removed = [x for (x,) in struct.iter_unpack("<I", open(f"{work}/remove/000000.remove", "rb").read())]
    return clusters, removed, seconds


def sketch(text):
    words = word.findall(text.lower())
    m = RMinHash(num_perm=112, seed=1)
    m.update([" ".join(words[i : i + 5]) for i in range(len(words) - 4)])
    return m


def repeats(texts, length):
    # A separator of its own before each text: no stretch goes over it.
    data, starts = b"", []
    for i, text in enumerate(texts):
        data += b"\xff\xff" + struct.pack("<I", i) + b"\xff\xff"
        starts.append(len(data))
        data += text.encode()
    array = np.frombuffer(data, dtype=np.uint8).copy()
    order = divsufsort(array)
    common = np.asarray(kasai(array, order))  # of a suffix and the next one
    marked = np.zeros(len(data) + 1, dtype=np.int64)
    for k in np.flatnonzero(common >= length):
        for at in (order[k], order[k + 1]):
            marked[at] += 1
            marked[at + min(int(common[k]), len(data) - at)] -= 1
    covered = np.cumsum(marked) > 0
    out = []
    for start, text in zip(starts, texts):
        row = np.concatenate(([0], covered[start : start + len(text.encode())].astype(np.int8), [0]))
        edges = np.flatnonzero(np.diff(row))
        out.append([[int(a), int(b)] for a, b in zip(edges[::2], edges[1::2])])
    return out


work = tempfile.mkdtemp()
near = request["near"]
clusters, removed, _ = stages(near, f"{work}/near")
signature = MinhashDedupSignature(output_folder=f"{work}/unused", config=config)
sets = [set(signature.get_shingles(t).ravel().tolist()) for t in near]
sketches = [sketch(t) for t in near]
speed = request["speed"]
mb = len(speed.encode()) / 1e6
t0 = time.process_time()
for _ in range(4):
    sketch(speed)
rensa = 4 * mb / (time.process_time() - t0)
t0 = time.process_time()
signature.get_signature(signature.get_shingles(speed))
datatrove = mb / (time.process_time() - t0)
_, _, seconds = stages([speed[i : i + 4096] for i in range(0, len(speed), 4096)], f"{work}/speed")
json.dump(
    {
        "clusters": clusters,
        "removed": removed,
        "jaccard": [len(sets[a] & sets[b]) / len(sets[a] | sets[b]) for a, b in request["pairs"]],
        "rensa": [sketches[a].jaccard(sketches[b]) for a, b in request["pairs"]],
        "repeats": repeats(request["repeats"], request["length"]),
        "rates": {"rensa": rensa, "datatrove": datatrove, "stages": mb / seconds},
    },
    open(sys.argv[2], "w"),
)
