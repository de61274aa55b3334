"""Writes tokenizer.json files for the vocabularies of a directory.

usage: vocabularies.py VOCABULARIES DIR

Families whose own vocabulary is not there (OPT, BLOOM, DeBERTa) are made of their
chain with the vocabulary of GPT-2 or ALBERT.
"""

import gzip
import json
import os
import shutil
import sys
import tempfile

import sentencepiece.sentencepiece_model_pb2 as sentencepiece_model
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

for name, kind, files, settings in (
    ("gpt2-deberta", "DebertaTokenizer", {"gpt2/vocab.json": "vocab.json", "gpt2/merges.txt": "merges.txt"}, {}),
    ("gpt2-opt", "GPT2Tokenizer", {"gpt2/vocab.json": "vocab.json", "gpt2/merges.txt": "merges.txt"}, {"add_bos_token": True, "bos_token": "</s>"}),
    ("albert-deberta-v2", "DebertaV2Tokenizer", {"albert/spiece.model": "spm.model"}, {}),
    ("albert-deberta-v2-punctuation", "DebertaV2Tokenizer", {"albert/spiece.model": "spm.model"}, {"split_by_punct": True, "do_lower_case": True}),
    ("japanese-t5", "T5Tokenizer", {"sentencepiece-test/test_ja_model.model": "spiece.model"}, {}),
    ("small-llama", "LlamaTokenizer", {"sentencepiece-test/test_sentencepiece_bpe.model": "tokenizer.model"}, {}),
):
    with tempfile.TemporaryDirectory() as d:
        for source, target in files.items():
            shutil.copyfile(path(source), os.path.join(d, target))
        t = getattr(transformers, kind).from_pretrained(d, **settings)
    t.backend_tokenizer.save(os.path.join(TARGET, name + ".json"))


def deberta_v3():
    """The chain that transformers made of DeBERTa-v2 and -v3 models before its version 5."""
    model = sentencepiece_model.ModelProto()
    with open(path("albert", "spiece.model"), "rb") as f:
        model.ParseFromString(f.read())
    t = Tokenizer(models.Unigram([(p.piece, p.score) for p in model.pieces], model.trainer_spec.unk_id, False))
    forms = normalizers.Precompiled(model.normalizer_spec.precompiled_charsmap)
    t.normalizer = normalizers.Sequence([normalizers.Strip(), forms, normalizers.Replace(Regex(" {2,}"), " ")])
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(prepend_scheme="always")])
    t.post_processor = processors.TemplateProcessing(
        "[CLS]:0 $A:0 [SEP]:0", "[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", [("[CLS]", 2), ("[SEP]", 3)])
    t.decoder = decoders.Metaspace()
    t.add_special_tokens(["[CLS]", "[SEP]", "[MASK]", "<pad>", "<unk>"])
    t.save(os.path.join(TARGET, "albert-deberta-v3.json"))


deberta_v3()
