"""Makes texts for TestFile of folders with i18n/*.json, as MediaWiki and its extensions
have them: documents of more than 200 characters, of messages of more than 30, at most
100 a language, as JSON lines {"lang", "text"}. Messages are short sentences full of loan
words, and neighbours in the tree of languages are many: it is a hard test, and a blind
one, as the model has seen none of it.

    python messages.py FOLDER... > texts.jsonl
"""

import collections
import json
import pathlib
import random
import re
import sys

CODES = {code: code for code in "af ast bs ca co es fo fr fur gl hr id is it jv lij min ms nl nn oc pnb pt scn su ur vec".split()}
CODES |= {"nb": "no", "sr-el": "sr"}

texts = collections.defaultdict(list)
for folder in sorted(sys.argv[1:]):
    for file in sorted(pathlib.Path(folder).glob("**/i18n/**/*.json")):
        code = CODES.get(file.stem)
        if code is None:
            continue
        try:
            messages = json.loads(file.read_text(encoding="utf-8"))
        except ValueError:
            continue
        for key, text in messages.items():
            if key.startswith("@") or not isinstance(text, str) or len(text) < 40:
                continue
            text = re.sub(r"\{\{[^}]*\}\}|\$\d|<[^>]*>|\[\[[^\]|]*\||\[https?:\S*|[\[\]']{2,}", " ", text)
            text = re.sub(r"\s+", " ", text).strip()
            if len(text) > 30:
                texts[code].append(text)

random.seed(1)
for code, all_texts in sorted(texts.items()):
    random.shuffle(all_texts)
    document, documents = "", 0
    for text in all_texts:
        document = (document + "\n" + text).strip()
        if len(document) > 200 and documents < 100:
            print(json.dumps({"lang": code, "text": document}, ensure_ascii=False))
            document, documents = "", documents + 1
