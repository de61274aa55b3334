"""The quality filters of datatrove, over the words and sentences that it is given.

usage: quality_peer.py judge    each line of standard input is {"text", "words", "sentences"}: the words of the text, and
                                how many sentences each of its lines has. Prints for each the reason for which each
                                filter drops it ("" when it keeps it), and the text that C4 leaves.
       quality_peer.py time     the same input; prints the processor time of all filters, with datatrove's own words
                                ("own") and with those that are given ("given"), and the bytes of the texts
"""
import json
import sys
import time

from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.utils.word_tokenizers import WordTokenizer


class Given(WordTokenizer):
    """A word tokenizer that looks up what it was told."""

    def __init__(self):
        super().__init__(None)
        self.words, self.sentences = {}, {}

    def word_tokenize(self, text):
        return self.words[text]

    def sent_tokenize(self, text):
        raise NotImplementedError

    def span_tokenize(self, text):
        return [(0, 0)] * self.sentences[text]


given = Given()


def read():
    for line in sys.stdin:
        doc = json.loads(line)
        given.words = {doc["text"]: doc["words"]}
        given.sentences = doc["sentences"]
        yield doc["text"]


def filters(**language):
    return {
        "gopher-quality": GopherQualityFilter(**language),
        "gopher-repetition": GopherRepetitionFilter(**language),
        "fineweb": FineWebQualityFilter(**language),
        "c4": C4QualityFilter(**language),
    }


def reason(result):
    return "" if result is True else result[1] if isinstance(result, tuple) else "dropped"


if sys.argv[1] == "judge":
    all_filters = filters(language=given)
    for text in read():
        doc = Document(text=text, id="0")
        out = {name: reason(f.filter(doc)) for name, f in all_filters.items()}  # C4 is last: it changes the text
        out["c4_text"] = doc.text
        print(json.dumps(out))
elif sys.argv[1] == "time":
    texts = []
    words, sentences = {}, {}
    for text in read():
        texts.append(text)
        words.update(given.words)
        sentences.update(given.sentences)
    given.words, given.sentences = words, sentences
    out = {"bytes": sum(len(t.encode()) for t in texts), "texts": len(texts)}
    for name, all_filters in {"own": filters(), "given": filters(language=given)}.items():
        for f in all_filters.values():  # what is loaded and compiled once
            f.filter(Document(text=texts[0], id="0"))
        start = time.process_time()
        for text in texts:
            for f in all_filters.values():
                f.filter(Document(text=text, id="0"))
        out[name] = time.process_time() - start
    print(json.dumps(out))
