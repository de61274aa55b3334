"""Opens with the real libraries what was exported, and writes with them what is to
be imported. Prints one SHA-256 over the tokens of all documents, in order.

usage: exchange.py read|write FORMAT DIR
"""
import hashlib
import importlib.machinery
import os
import sys
import types
from unittest import mock

import numpy as np


class Absent:
    """Stands in for packages that a library imports and its file format does not need."""

    roots = {"torch", "transformers", "torchvision", "tokenizers", "boto3", "botocore", "matplotlib", "PIL"}

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.roots:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        module = mock.MagicMock(name=spec.name)
        module.__spec__, module.__path__ = spec, []
        return module

    def exec_module(self, module):
        pass


def absent(*names):
    for name in names:
        module = Absent().create_module(importlib.machinery.ModuleSpec(name, None, is_package=True))
        sys.modules[name] = module


class Dataset:
    pass


def torch_free():
    sys.meta_path.insert(0, Absent())
    import torch.utils.data
    sys.modules["torch.utils.data"].Dataset = Dataset
    sys.modules["torch.utils.data"].IterableDataset = Dataset
    torch.utils.data.Dataset = torch.utils.data.IterableDataset = Dataset


def module(package, path):
    """Loads one file of an installed package without the rest of the package."""
    import importlib.util
    root = [p for p in sys.path if os.path.isdir(os.path.join(p, package))][0]
    spec = importlib.util.spec_from_file_location(path.replace("/", "_"), os.path.join(root, package, path))
    m = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(m)
    return m


def mds_classes():
    torch_free()
    root = [p for p in sys.path if os.path.isdir(os.path.join(p, "streaming"))][0]
    package = types.ModuleType("streaming")
    package.__path__ = [os.path.join(root, "streaming")]
    sys.modules["streaming"] = package  # its __init__ wants all of torch
    from streaming.base.format.mds.reader import MDSReader
    from streaming.base.format.mds.writer import MDSWriter
    return MDSReader, MDSWriter


def megatron():
    torch_free()
    absent("megatron.core.datasets.object_storage_utils", "megatron.core.msc_utils", "megatron.core.utils", "megatron.core.datasets", "megatron.core")
    absent("megatron")
    sys.modules["megatron.core.datasets.object_storage_utils"].is_object_storage_path = lambda p: False
    sys.modules["megatron.core.msc_utils"].MultiStorageClientFeature.is_enabled = lambda: False
    return module("megatron", "core/datasets/indexed_dataset.py")


def read(fmt, path):
    if fmt == "mds":
        import json
        reader, _ = mds_classes()
        for info in json.load(open(path + "/index.json"))["shards"]:
            shard = reader.from_json(path, None, info)
            for i in range(len(shard)):
                yield shard[i]["tokens"]
    elif fmt == "megatron":
        m = megatron()
        data = m.IndexedDataset(path + "/tokens", mmap=True)
        assert len(data.document_indices) == len(data) + 1
        for i in range(len(data)):
            yield data[i]
    elif fmt == "hf-arrow":
        from datasets import load_from_disk
        for row in load_from_disk(path):
            yield row["tokens"]
    elif fmt == "hf-parquet":
        import pyarrow.parquet as pq
        from datasets import load_dataset
        count = pq.read_table(path).num_rows
        rows = load_dataset("parquet", data_dir=path, split="train", cache_dir=path + "-cache")
        assert rows.num_rows == count
        for row in rows:
            yield row["tokens"]
    elif fmt == "jsonl":
        from datasets import load_dataset
        for row in load_dataset("json", data_files=path + "/tokens.jsonl.zst", split="train", cache_dir=path + "-cache"):
            yield row["tokens"]
    elif fmt == "ds":
        torch_free()
        from datatrove.utils.dataset import DatatroveFileDataset
        ends = np.fromfile(path + "/tokens.ds.index", "<u8")
        width = int(open(path + "/tokens.ds.metadata").readline().split("|")[1])
        sys.modules["torch"].as_tensor = lambda a, *_, **__: np.asarray(a)
        sys.modules["torch"].tensor = lambda a, *_, **__: np.asarray(a)
        data = DatatroveFileDataset(path + "/tokens.ds", seq_len=int(ends[-1]) - 1, token_size=width)
        flat = np.asarray(data[0]["input_ids"])
        last = 0
        for e in ends:
            yield flat[last:int(e)]
            last = int(e)


def made():
    rng = np.random.default_rng(7)
    return [rng.integers(0, 30000, int(n)).astype(np.int32) for n in [1, 3, 255, 256, 257, 1000, 66000, 5]]


def write(fmt, path):
    docs = made()
    os.makedirs(path)
    if fmt == "mds":
        _, writer = mds_classes()
        with writer(columns={"id": "str", "source": "str", "tokens": "ndarray:int32", "extra": "int"}, out=path, size_limit=20000) as w:
            for i, d in enumerate(docs):
                w.write({"id": f"doc{i}", "source": "peer", "tokens": d, "extra": i})
    elif fmt == "megatron":
        m = megatron()
        sys.modules["torch"].Tensor = np.ndarray
        b = m.IndexedDatasetBuilder(path + "/tokens.bin", dtype=np.int32)
        for d in docs:
            b.add_document(np.asarray(d), [len(d)])
        b.finalize(path + "/tokens.idx")
    elif fmt in ("hf-arrow", "hf-parquet", "jsonl"):
        from datasets import Dataset as D
        rows = D.from_dict({"id": [f"doc{i}" for i in range(len(docs))], "source": ["peer"] * len(docs), "tokens": [d.tolist() for d in docs]})
        if fmt == "hf-arrow":
            rows.save_to_disk(path)
        elif fmt == "hf-parquet":
            rows.to_parquet(path + "/train.parquet")
        else:
            rows.to_json(path + "/rows.jsonl")
    elif fmt == "ds":
        torch_free()
        from datatrove.pipeline.tokens.tokenizer import TokenizedFile
        f = TokenizedFile(path, "peer.ds", token_size=2)
        for d in docs:
            f.write(d.tolist(), None)
        f.close()
    return docs


digest, count = hashlib.sha256(), 0
for tokens in (read if sys.argv[1] == "read" else write)(sys.argv[2], sys.argv[3]):
    digest.update(np.asarray(tokens).astype("<i4").tobytes() + b"|")
    count += 1
print(count, digest.hexdigest())
