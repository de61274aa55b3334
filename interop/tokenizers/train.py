"""Trains with the PyPI package `tokenizers`.

usage: train.py bpe|unigram|wordpiece TEXT VOCAB_SIZE TOKENIZER.json [MIN_FREQUENCY]

Prints one JSON object: seconds of processor time and of the clock, and the peak
memory in MiB.
"""

import json
import resource
import sys
import time

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

kind, text, size, target = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
least = int(sys.argv[5]) if len(sys.argv) > 5 else 2
if kind == "bpe":
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=size, min_frequency=least, show_progress=False, special_tokens=["<|endoftext|>"],
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
elif kind == "wordpiece":
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer(lowercase=True)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=size, min_frequency=least, show_progress=False, limit_alphabet=1000,
                                        special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
else:
    t = Tokenizer(models.Unigram())
    t.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")])
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    t.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=size, show_progress=False, unk_token="<unk>",
                                      special_tokens=["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"])
start = time.time()
t.train([text], trainer)
wall = time.time() - start
use = resource.getrusage(resource.RUSAGE_SELF)
t.save(target)
print(json.dumps({"cpu_s": use.ru_utime + use.ru_stime, "wall_s": wall, "peak_mib": use.ru_maxrss / 1024}))
