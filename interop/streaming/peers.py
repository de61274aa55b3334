"""Measures the loaders that this project's stream is compared with.

Takes a directory with tokens.bin (int32, documents end to end), bounds.bin (int64)
and args.json, and prints one JSON object. All of it runs in one process and one
thread; rates are per second of processor time.
"""

import json
import os
import shutil
import sys
import tempfile
import time

os.environ.update(OMP_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false", HF_DATASETS_OFFLINE="1", HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")

import numpy as np
import torch

torch.set_num_threads(1)

root = sys.argv[1]
with open(os.path.join(root, "args.json")) as f:
    args = json.load(f)
length, batch, sep, vocab = args["seq_len"], args["batch"], args["sep"], args["vocab"]
tokens = np.fromfile(os.path.join(root, "tokens.bin"), dtype=np.int32)
bounds = np.fromfile(os.path.join(root, "bounds.bin"), dtype=np.int64)
out = {}


def windows():
    """The same text in sequences of full length, with a separator between documents."""
    parts = []
    for i in range(len(bounds) - 1):
        parts.append(tokens[bounds[i] : bounds[i + 1]])
        parts.append(np.array([sep], dtype=np.int32))
    text = np.concatenate(parts)
    n = len(text) // length
    return text[: n * length].reshape(n, length)


def rate(batches, count, limit=4.0):
    """Tokens a processor second, over at most limit seconds; the best of what one
    pass gives is not taken: everything counts but the first batch."""
    it = iter(batches)
    next(it)
    began, n = time.process_time(), 0
    for b in it:
        n += count(b)
        if time.process_time() - began > limit:
            break
    return n / (time.process_time() - began)


def first(make):
    """Milliseconds of wall time from nothing to the first batch, the best of three."""
    best = None
    for _ in range(3):
        began = time.perf_counter()
        next(iter(make()))
        t = time.perf_counter() - began
        best = t if best is None else min(best, t)
    return best * 1000


data = windows()


def streaming_peer():
    import streaming
    from streaming import MDSWriter, StreamingDataLoader, StreamingDataset

    streaming.base.util.clean_stale_shared_memory()
    local = os.path.join(root, "mds")
    shutil.rmtree(local, ignore_errors=True)
    with MDSWriter(out=local, columns={"tokens": "bytes"}, compression=None) as w:
        for row in data:
            w.write({"tokens": row.tobytes()})

    class Tokens(StreamingDataset):
        def __getitem__(self, i):
            row = super().__getitem__(i)["tokens"]
            return torch.from_numpy(np.frombuffer(row, dtype=np.int32).astype(np.int64))

    def make():
        d = Tokens(local=local, shuffle=True, batch_size=batch, shuffle_seed=1)
        return StreamingDataLoader(d, batch_size=batch, num_workers=0)

    result = {"tokens_per_second": rate(make(), lambda b: b.numel()), "first_ms": first(make)}

    def resumed():
        loader = make()
        state = {"epoch": 0, "sample_in_epoch": (len(data) // batch // 2) * batch, "num_canonical_nodes": 1, "shuffle_seed": 1, "initial_physical_nodes": 1}
        loader.dataset.load_state_dict(state)
        return loader

    result["resume_ms"] = first(resumed)
    return result


def datasets_peer():
    import datasets

    datasets.disable_progress_bars()
    path = os.path.join(root, "arrow")
    shutil.rmtree(path, ignore_errors=True)
    features = datasets.Features({"input_ids": datasets.Sequence(datasets.Value("int32"), length=length)})
    datasets.Dataset.from_dict({"input_ids": list(data)}, features=features).save_to_disk(path)

    def make():
        d = datasets.load_from_disk(path).with_format("numpy").shuffle(seed=1)
        return (torch.from_numpy(b["input_ids"].astype(np.int64)) for b in d.iter(batch_size=batch))

    def resumed():
        d = datasets.load_from_disk(path).with_format("numpy").shuffle(seed=1)
        d = d.select(range((len(data) // batch // 2) * batch, len(data)))
        return (torch.from_numpy(b["input_ids"].astype(np.int64)) for b in d.iter(batch_size=batch))

    return {"tokens_per_second": rate(make(), lambda b: b.numel()), "first_ms": first(make), "resume_ms": first(resumed)}


def megatron_peer():
    from megatron.core.datasets.gpt_dataset import GPTDataset, GPTDatasetConfig
    from megatron.core.datasets.indexed_dataset import IndexedDataset, IndexedDatasetBuilder
    from megatron.core.datasets.utils import Split

    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("gloo", init_method="file://" + tempfile.mktemp(), rank=0, world_size=1)
    prefix = os.path.join(root, "megatron")
    builder = IndexedDatasetBuilder(prefix + ".bin", dtype=np.int32)
    for i in range(len(bounds) - 1):
        document = np.append(tokens[bounds[i] : bounds[i + 1]], np.int32(sep))
        builder.add_document(torch.from_numpy(document), [len(document)])
    builder.finalize(prefix + ".idx")

    class Tokenizer:
        eod = sep
        pad = 0
        vocab_size = vocab
        unique_identifiers = {"class": "ids"}

    def make(consumed=0):
        config = GPTDatasetConfig(
            random_seed=1, sequence_length=length, blend=[prefix], split="1,0,0", path_to_cache=None, tokenizer=Tokenizer(),
            reset_position_ids=False, reset_attention_mask=False, eod_mask_loss=False, create_attention_mask=False,
        )
        indexed = IndexedDataset(prefix, multimodal=False, mmap=True)
        documents = np.arange(len(bounds) - 1, dtype=np.int32)
        d = GPTDataset(indexed, prefix, documents, len(data), Split.train, config)
        order = range(consumed, len(data) - 1)
        return torch.utils.data.DataLoader(torch.utils.data.Subset(d, order), batch_size=batch, num_workers=0)

    return {
        "tokens_per_second": rate(make(), lambda b: b["tokens"].numel()),
        "first_ms": first(make),
        "resume_ms": first(lambda: make((len(data) // batch // 2) * batch)),
    }


def collators():
    import transformers

    transformers.logging.set_verbosity_error()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_file=args["tokenizer"], unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]", mask_token="[MASK]"
    )
    words = transformers.BertTokenizerFast(tokenizer_file=args["tokenizer"])
    rows = [torch.from_numpy(r.astype(np.int64)) for r in data[: batch * 64]]
    lists = [{"input_ids": r.tolist()} for r in data[: batch * 16]]
    result = {}
    for name, collate, examples in [
        ("mlm", transformers.DataCollatorForLanguageModeling(tokenizer, mlm=True, mlm_probability=0.15), rows),
        ("whole word", transformers.DataCollatorForWholeWordMask(words, mlm=True, mlm_probability=0.15), lists),
        ("permutation", transformers.DataCollatorForPermutationLanguageModeling(tokenizer), rows),
    ]:
        def batches():
            at = 0
            while True:
                yield collate(examples[at : at + batch])
                at = (at + batch) % (len(examples) - batch)

        result[name] = rate(batches(), lambda b: b["input_ids"].numel())
    return result


for name, measure in [("mosaicml-streaming", streaming_peer), ("datasets", datasets_peer), ("megatron-core", megatron_peer), ("collators", collators)]:
    out[name] = measure()
json.dump(out, sys.stdout)
