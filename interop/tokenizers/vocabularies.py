"""Writes tokenizer.json files for the vocabularies of a directory.

usage: vocabularies.py VOCABULARIES DIR
"""

import gzip
import json
import os
import shutil
import sys

import transformers
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

SOURCE, TARGET = sys.argv[1:]
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"


def path(*parts):
    return os.path.join(SOURCE, *parts)


def bert(name, lower):
    with open(path(name, "vocab.txt"), encoding="utf-8") as f:
        vocab = {line.rstrip("\n"): i for i, line in enumerate(f)}
    t = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer(lowercase=lower)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    t.save(os.path.join(TARGET, name + ".json"))


def gpt2(name, pre, post):
    with open(path("gpt2", "vocab.json"), encoding="utf-8") as f:
        vocab = json.load(f)
    with open(path("gpt2", "merges.txt"), encoding="utf-8") as f:
        merges = [tuple(m.split(" ")) for m in f.read().split("\n") if m and not m.startswith("#version")]
    t = Tokenizer(models.BPE(vocab, merges))
    t.pre_tokenizer, t.post_processor, t.decoder = pre, post, decoders.ByteLevel()
    t.add_special_tokens(["<|endoftext|>"])
    t.save(os.path.join(TARGET, name + ".json"))


def by_pattern(pattern):
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), level])


bert("bert-base-uncased", True)
bert("bert-base-cased", False)
bert("bert-base-chinese", False)
level = processors.ByteLevel(trim_offsets=False)
gpt2("gpt2", pre_tokenizers.ByteLevel(add_prefix_space=False), level)
gpt2("gpt2-prefix-space", pre_tokenizers.ByteLevel(add_prefix_space=True), processors.ByteLevel(trim_offsets=True))
gpt2("gpt2-llama3-pattern", by_pattern(LLAMA3), level)
gpt2("gpt2-bloom-pattern", by_pattern(BLOOM), level)
for name in ("roberta-base", "t5-small"):
    with gzip.open(path(name, "tokenizer.json.gz")) as f, open(os.path.join(TARGET, name + ".json"), "wb") as out:
        shutil.copyfileobj(f, out)
for name, file, kind in (
    ("albert", "spiece.model", "AlbertTokenizer"),
    ("xlnet-base-cased", "spiece.model", "XLNetTokenizer"),
    ("t5-base", "spiece.model", "T5Tokenizer"),
    ("llama2", "tokenizer.model", "LlamaTokenizer"),
):
    t = getattr(transformers, kind).from_pretrained(path(name))
    t.backend_tokenizer.save(os.path.join(TARGET, name + ".json"))
