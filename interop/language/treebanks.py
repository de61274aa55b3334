"""Makes texts for TestFile of folders of Universal Dependencies, one a treebank
(UD_Dutch-LassySmall or Dutch-LassySmall): documents of more than 200 characters, of
consecutive sentences, at most 150 a treebank, as JSON lines {"lang", "set", "text"}.

    python treebanks.py FOLDER... > texts.jsonl
"""

import json
import pathlib
import sys

# Where the files' names do not begin with the code that fastText uses.
CODES = {"Norwegian-Bokmaal": "no", "Norwegian-Nynorsk": "nn"}

for folder in sys.argv[1:]:
    folder = pathlib.Path(folder)
    name = folder.resolve().name.removeprefix("UD_")
    documents, text = 0, ""
    for file in sorted(folder.glob("*.conllu"), key=lambda f: ("test" not in f.name, "dev" not in f.name, f.name)):
        code = CODES.get(name, file.name.split("_")[0])
        for line in file.read_text(encoding="utf-8").splitlines():
            if not line.startswith("# text = "):
                continue
            text = (text + " " + line[9:]).strip()
            if len(text) > 200:
                print(json.dumps({"lang": code, "set": name, "text": text}, ensure_ascii=False))
                documents += 1
                text = ""
            if documents == 150:
                break
        if documents == 150:
            break
