"""Exact substrings: `corpus dedup --substring` and google-research/deduplicate-text-datasets on one input.

usage: substring.py CORPUS DEDUP_DATASET DATA [LENGTH]

CORPUS is the command, DEDUP_DATASET the peer's program (commit 4e9888a of
google-research/deduplicate-text-datasets, `cargo build --release`), DATA a data root
with the source "books". Prints processor time, wall time and peak memory of both,
and how many bytes each marks. Both mark every place of a repeat; the peer's file
has a separator of its own before each document, as its own scripts write it.
"""
import glob
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time

import pyarrow.parquet as pq

corpus, peer, root = sys.argv[1:4]
length = int(sys.argv[4]) if len(sys.argv) > 4 else 200


def run(args, out=None, cwd=None):
    # GNU time, because a child of this process counts its memory as its own.
    began = time.time()
    with open(out or os.devnull, "wb") as f, tempfile.NamedTemporaryFile() as figures:
        p = subprocess.run(["/usr/bin/time", "-o", figures.name, "-f", "%U %S %M", *args], stdout=f, stderr=subprocess.DEVNULL if out is None else None, cwd=cwd)
        if p.returncode != 0:
            sys.exit(f"{args} failed: {p.returncode}")
        user, system, peak = figures.read().split()
    return float(user) + float(system), time.time() - began, float(peak) / 1024


work = tempfile.mkdtemp()
texts, ids = [], []
for part in sorted(glob.glob(f"{root}/books/documents/*.parquet")):
    t = pq.read_table(part, columns=["id", "text"])
    ids += t["id"].to_pylist()
    texts += [x.encode() for x in t["text"].to_pylist()]
data = os.path.join(work, "data")
starts = []
with open(data, "wb") as f:
    at = 0
    for i, text in enumerate(texts):
        sep = b"\xff\xff" + struct.pack("<I", i) + b"\xff\xff" + struct.pack("<I", i)
        starts.append(at + len(sep))
        f.write(sep + text)
        at += len(sep) + len(text)
size = sum(map(len, texts)) / 1e6
print(f"{len(texts)} documents, {size:.1f} MB, repeats of {length} bytes", flush=True)

# The peer: one part (its own script makes four, at once, from 10 MB on), in four steps.
steps = []
total = os.path.getsize(data)
cpu = wall = peak = 0
jobs = 4 if total > 10e6 else 1
part = total // jobs
names = []
for i in range(jobs):
    a, b = i * part, min((i + 1) * part + 100000, total)
    names.append(f"{data}.part.{a}-{b}")
    steps.append(("make-part", [peer, "make-part", "--data-file", data, "--start-byte", str(a), "--end-byte", str(b)]))
os.mkdir(os.path.join(work, "tmp"))
merge = [peer, "merge", "--output-file", os.path.join(work, "tmp", "out.table.bin"), "--num-threads", "2"]
for n in names:
    merge += ["--suffix-path", n]
steps.append(("merge", merge))
part_peak = 0
for name, args in steps:
    c, w, p = run(args, cwd=work)
    cpu, wall, peak = cpu + c, wall + w, max(peak, p)
    if name == "make-part":
        part_peak = max(part_peak, p)
with open(data + ".table.bin", "wb") as f:
    for t in sorted(glob.glob(os.path.join(work, "tmp", "out.table.bin.*"))):
        with open(t, "rb") as g:
            shutil.copyfileobj(g, f)
cache = os.path.join(work, "cache")
os.mkdir(cache)
for args, out in (
    ([peer, "self-similar", "--data-file", data, "--length-threshold", str(length), "--cache-dir", cache, "--num-threads", "2"], None),
    ([peer, "collect", "--data-file", data, "--cache-dir", cache, "--length-threshold", str(length)], os.path.join(work, "ranges")),
):
    c, w, p = run(args, out, cwd=work)
    cpu, wall, peak = cpu + c, wall + w, max(peak, p)
print(f"peer:   {cpu:7.1f} cpu-s {size/cpu:6.2f} cpu-MB/s, {wall:6.1f} s, peak {peak:.0f} MB (a part {part_peak:.0f} MB, its script runs {jobs} at once)", flush=True)

theirs = bytearray(total)
seen = False
for line in open(os.path.join(work, "ranges")):
    if line.startswith("out"):
        seen = True
    elif seen and line.strip():
        a, b = map(int, line.split())
        theirs[a:b] = b"\1" * (b - a)

for memory in ("4MiB", "16MiB", "64MiB", "1GiB"):
    shutil.rmtree(f"{root}/books/marks", ignore_errors=True)
    c, w, p = run([corpus, "dedup", "books", f"--substring=bytes:{length}", "--keep-one=false", "--memory", memory, "--data", root, "--jobs", "2", "--quiet"])
    print(f"corpus: {c:7.1f} cpu-s {size/c:6.2f} cpu-MB/s, {w:6.1f} s, peak {p:.0f} MB with --memory {memory}: {cpu/c:.1f} x the speed, {p/peak:.2f} of the memory", flush=True)

ours = bytearray(total)
number = {x: i for i, x in enumerate(ids)}
for part in glob.glob(f"{root}/books/marks/substring-*.parquet"):
    t = pq.read_table(part, columns=["id", "start", "end"])
    for i, a, b in zip(t["id"].to_pylist(), t["start"].to_pylist(), t["end"].to_pylist()):
        a, b = starts[number[i]] + a, starts[number[i]] + b
        ours[a:b] = b"\1" * (b - a)
both = sum(map(int.__and__, theirs, ours))
only_ours = sum(ours) - both
print(f"marked: peer {sum(theirs)}, corpus {sum(ours)}, both {both}; only corpus {only_ours}")
shutil.rmtree(work)
