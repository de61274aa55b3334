"""Writes the golden files of package tokenize: small tokenizers of every family,
trained on a few made-up sentences, and what the PyPI package `tokenizers` does
with awkward strings.

usage: golden.py DIR        (DIR is tokenize/testdata/golden)
"""

import base64
import json
import os
import random
import sys

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

WORDS = (
    "the a river stone bright under over walked walking walks quietly market lantern of in and "
    "she he they sang singing seven eight 1984 2048 don't we'll it's Été garçon straße naïve Ωmega "
    "ΑΒΓ привет мир 世界 こんにちは 안녕 नमस्ते unhappiness unhappy happily re-read e-mail"
).split()
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"
ALPHABET = (
    "abcXYZ019  \t\n\r'\"<>[](){}.,;:!?-_#▁éßñüİıſΣς中文日本한글각ﬁ½²①㎏Ａｂ"
    "\u0301\u0300\u0327\u200d\u200b\u00a0\u2028\u3000\ufeff\u00ad\u0000\u0007©®™😀👍🏽👩\u0915\u094d\u0937\u0600\u0903\u302e≠Å"
)


def sentences():
    draw = random.Random(7)
    return [" ".join(draw.choice(WORDS) for _ in range(12)) + draw.choice(".?!") for _ in range(400)]


def strings():
    draw = random.Random(11)
    out = ["", " ", "  ", "the river", " The  RIVER's stone,\nbright.", "don't DON'T we'Ll it'ſ", "unhappily re-read 1234567!"]
    out += ["[MASK] the [SEP]", "<mask> a  <mask>", "x\n\n  y", "\u0301a", "각 글 世界、こんにちは", "a" * 120, "😀" * 5]
    out += ["the river" + " " * 9 + "stone", "foo bar XX ing thing XX", "stone</s>river<s>", "é e\u0301 E\u0327\u0301 ﬁ ½"]
    for _ in range(60):
        out.append("".join(draw.choice(ALPHABET) for _ in range(draw.randint(1, 16))))
    for _ in range(20):
        out.append("".join(draw.choice(WORDS + list(ALPHABET)) + draw.choice(["", " "]) for _ in range(8)))
    return out


def charsmap():
    """A character map in Darts-clone's layout, built by hand: each rule's string
    is a chain of units in a block of its own."""
    rules = {"ﬁ": "fi", "①": "1", "\u00a0": " ", "\t": " ", "\n": " ", "Å": "Å", "é": "é", "㎏": "kg", "\u200b": ""}
    forms, places = b"", {}
    for old, new in rules.items():
        places[old] = len(forms)
        forms += new.encode() + b"\0"
    tree = {}
    for old in rules:
        node = tree
        for b in old.encode():
            node = node.setdefault(b, {})
        node["value"] = places[old]
    units = [0] * 256
    def lay(node, at, label):
        """Writes the unit at place at, whose children lie in a new block."""
        base = len(units)
        units.extend([0] * 256)
        offset = base ^ at
        leaf = "value" in node
        if offset >= 1 << 21:
            unit = (offset >> 8) << 10 | 1 << 9
        else:
            unit = offset << 10
        units[at] = unit | (1 << 8 if leaf else 0) | label
        if leaf:
            units[base] = 1 << 31 | node["value"]
        for b, child in sorted((k, v) for k, v in node.items() if k != "value"):
            lay(child, base ^ b, b)
    lay(tree, 0, 0)
    array = b"".join(u.to_bytes(4, "little") for u in units)
    return len(array).to_bytes(4, "little") + array + forms


def wordpiece():
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer(lowercase=True)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    t.train_from_iterator(sentences(), trainers.WordPieceTrainer(vocab_size=260, special_tokens=special, show_progress=False))
    t.add_tokens([AddedToken("XX", lstrip=True, rstrip=True), AddedToken("ing", single_word=True)])
    t.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return t


def cased():
    t = wordpiece()
    t.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False, clean_text=False)
    t.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return t


def bytelevel(pre, post=None, added=()):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(
        sentences(),
        trainers.BpeTrainer(
            vocab_size=420, special_tokens=["<s>", "</s>"], show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
        ),
    )
    t.add_tokens(list(added))
    if post:
        t.post_processor = post
    return t


def split(pattern):
    return pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )


def roberta():
    added = [AddedToken("<mask>", lstrip=True, special=True), AddedToken("foo bar"), AddedToken("ing", single_word=True)]
    return bytelevel(
        pre_tokenizers.ByteLevel(add_prefix_space=True), processors.RobertaProcessing(("</s>", 1), ("<s>", 0), True, True), added
    )


def gpt2():
    return bytelevel(pre_tokenizers.ByteLevel(add_prefix_space=False), processors.ByteLevel(trim_offsets=False))


def spm_bpe():
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    t.train_from_iterator(sentences(), trainers.BpeTrainer(vocab_size=480, special_tokens=special, show_progress=False))
    form = json.loads(t.to_str())
    form["pre_tokenizer"] = None
    form["added_tokens"] = [a for a in form["added_tokens"] if not a["content"].startswith("<0x")]
    t = Tokenizer.from_str(json.dumps(form))
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    t.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)])
    return t


def unigram():
    t = Tokenizer(models.Unigram())
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    t.train_from_iterator(
        sentences(), trainers.UnigramTrainer(vocab_size=220, special_tokens=special, unk_token="<unk>", show_progress=False)
    )
    t.normalizer = normalizers.Sequence(
        [normalizers.Precompiled(charsmap()), normalizers.Replace(Regex(" {2,}"), " "), normalizers.Strip(False, True)]
    )
    t.decoder = decoders.Metaspace()
    t.post_processor = processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)])
    return t


def gaps():
    """spm_bpe without the unknown token and without some of the bytes and letters: what
    cannot be written vanishes."""
    form = json.loads(spm_bpe().to_str())
    model = form["model"]
    lost = {"<unk>", "#", "é"} | {f"<0x{b:02X}>" for b in range(256) if b % 3 == 0}
    model["vocab"] = {p: i for p, i in model["vocab"].items() if p not in lost}
    model["merges"] = [m for m in model["merges"] if all(p in model["vocab"] for p in m) and "".join(m) in model["vocab"]]
    model["unk_token"] = None
    form["added_tokens"] = [a for a in form["added_tokens"] if a["content"] in model["vocab"]]
    return Tokenizer.from_str(json.dumps(form))


def deberta():
    """The chain of DeBERTa-v2 in transformers 5, with split_by_punct."""
    t = unigram()
    n, p = normalizers, pre_tokenizers
    t.normalizer = n.Sequence([n.Lowercase(), n.Replace(Regex(r"\s{2,}|[\n\r\t]"), " "), n.NFC(), n.Strip(False, True)])
    t.pre_tokenizer = p.Sequence([p.Punctuation("isolated"), p.Metaspace(prepend_scheme="always")])
    return t


def words(normalizer, pre):
    vocab = {w: i for i, w in enumerate(dict.fromkeys(["[UNK]", *WORDS, *ALPHABET]))}
    t = Tokenizer(models.WordLevel(vocab, unk_token="[UNK]"))
    t.normalizer = normalizer
    t.pre_tokenizer = pre
    return t


def suffix():
    t = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    t.normalizer = normalizers.BertNormalizer()
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.BPEDecoder()
    t.train_from_iterator(
        sentences(), trainers.BpeTrainer(vocab_size=260, special_tokens=["<unk>"], end_of_word_suffix="</w>", show_progress=False)
    )
    return t


def main():
    target = sys.argv[1]
    os.makedirs(target, exist_ok=True)
    n, p = normalizers, pre_tokenizers
    families = {
        "wordpiece": wordpiece(),
        "wordpiece-cased": cased(),
        "gpt2": gpt2(),
        "roberta": roberta(),
        "llama3": bytelevel(split(LLAMA3)),
        "bloom": bytelevel(split(BLOOM)),
        "llama2": spm_bpe(),
        "llama2-gaps": gaps(),
        "unigram": unigram(),
        "deberta": deberta(),
        "suffix": suffix(),
        "words-nfd": words(n.Sequence([n.NFD(), n.StripAccents(), n.Lowercase()]), p.Whitespace()),
        "words-nfc": words(n.NFC(), p.Sequence([p.WhitespaceSplit(), p.Digits(individual_digits=True), p.Punctuation("merged_with_previous")])),
        "words-nfkc": words(n.Sequence([n.NFKC(), n.Strip()]), p.Sequence([p.Punctuation("contiguous"), p.Digits(), p.CharDelimiterSplit("e")])),
        "words-nfkd": words(
            n.Sequence([n.NFKD(), n.Nmt(), n.Prepend("xé"), n.Replace("th", "ŧ")]),
            p.Sequence([p.Metaspace(prepend_scheme="first"), p.Punctuation("merged_with_next")]),
        ),
        "words-cut": words(n.Lowercase(), p.Sequence([p.Split(Regex(r"\s+"), "merged_with_previous", invert=True), p.FixedLength(3)])),
    }
    for name, t in families.items():
        t.save(os.path.join(target, name + ".tokenizer.json"), pretty=False)
        cases = []
        for s in strings():
            case = {"text": s}
            for key, literal in (("plain", True), ("allowed", False)):
                t.encode_special_tokens = literal
                e = t.encode(s, add_special_tokens=False)
                case[key] = {"ids": e.ids, "offsets": [x for o in e.offsets for x in o], "words": e.word_ids}
                if literal:
                    case["decoded"] = t.decode(e.ids)
                elif case[key] == case["plain"]:
                    del case[key]
            if any(a.special and a.content in s for a in t.get_added_tokens_decoder().values()):
                # The reference's Unigram gives control tokens for text even when
                # told not to look for them; package tokenize does not.
                if name in ("unigram", "deberta"):
                    continue
            t.encode_special_tokens = True
            e = t.encode(s, "the river")
            case["pair"] = {"ids": e.ids, "types": e.type_ids, "special": e.special_tokens_mask}
            cases.append(case)
        with open(os.path.join(target, name + ".cases.json"), "w", encoding="utf-8") as f:
            json.dump(cases, f, ensure_ascii=True, separators=(",", ":"))
            f.write("\n")


main()
