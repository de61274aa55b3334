"""Main text of labelled pages by trafilatura, with the processor time it takes.

usage: html_peer.py DIR [fast]    DIR holds *.html; prints one JSON object: texts by file name, seconds, pages
"""
import json
import os
import sys
import time

import trafilatura

texts = {}
fast = "fast" in sys.argv[2:]
pages = {}
for name in sorted(os.listdir(sys.argv[1])):
    if name.endswith(".html"):
        with open(os.path.join(sys.argv[1], name), "rb") as f:
            pages[name] = f.read()
for data in list(pages.values())[:5]:  # imports and compiled patterns
    trafilatura.extract(data, include_comments=False, fast=fast)
start = time.process_time()
for name, data in pages.items():
    texts[name] = trafilatura.extract(data, include_comments=False, fast=fast) or ""
seconds = time.process_time() - start
json.dump({"texts": texts, "seconds": seconds, "pages": len(pages), "bytes": sum(map(len, pages.values()))}, sys.stdout)
