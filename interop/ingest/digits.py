"""How many of the numbers that a reader of an article sees are left in a text made of it.

usage: digits.py DUMP.xml TEXTS.jsonl...    each file has lines {"id": ..., "text": ...}

What a reader sees is worked out by mwparserfromhell, which knows wikitext but no
templates: the numbers of the running text, of link texts, headings, lists and formulas,
and the unnamed arguments of templates that stand inside a line of text. Footnotes,
tables, infoboxes (templates that are not inside a line), pictures, categories and the
sections of sources are not part of the running text and count for nobody.
"""
import collections
import json
import re
import sys
import xml.etree.ElementTree as ET

import mwparserfromhell as mw

number = re.compile(r"\d+(?:[.,]\d+)*")
boilerplate = re.compile(r"(?i)references|notes|external links?|see also|further reading|bibliography|sources|footnotes|citations|works cited|notes and references")
# Footnotes, marks and what shows no argument, by the documentation of each.
unseen = re.compile(r"(?i)(sfn|efn|refn|r$|rp$|harv|cite|citation|cn$|fact|clarify|when|who|dubious|main|see ?also|further|use |reflist|defaultsort|anchor|audio|listen|pp-|portal|commons|dead link|webarchive|isbn|flag|coord|col|div|multi|clear|wikt|commons|sister|ref |note)")


def seen(code, out, nested=False):
    for node in code.nodes:
        if isinstance(node, mw.nodes.Text):
            out.append(str(node))
        elif isinstance(node, mw.nodes.Wikilink):
            title = str(node.title).strip()
            if re.match(r"(?i)(file|image|category|media|[a-z]{2,3}|simple):", title):
                continue
            if node.text is None:
                out.append(title)
            else:
                seen(node.text, out, True)
        elif isinstance(node, mw.nodes.ExternalLink):
            if node.title is not None and node.brackets:
                seen(node.title, out, True)
        elif isinstance(node, mw.nodes.Heading):
            seen(node.title, out, True)
        elif isinstance(node, mw.nodes.Tag):
            tag = str(node.tag).lower()
            if tag in ("ref", "table", "gallery", "references", "timeline", "imagemap", "score", "graph"):
                continue
            if node.contents is not None:
                seen(node.contents, out, nested) if tag != "math" else out.append(str(node.contents))
        elif isinstance(node, mw.nodes.Template):
            if unseen.match(str(node.name).strip()) or "\n" in str(node):
                continue
            before = out[-1] if out else "\n"
            if before.endswith("\n") and not nested:
                out.append("")  # on a line of its own
                continue
            name = str(node.name).strip().lower()
            first = name in ("convert", "cvt", "conv", "as of", "update after", "inflation")  # the rest says how, not what
            for p in node.params[: 1 if first else None]:
                if not p.showkey:
                    out.append(" ")
                    seen(p.value, out, True)
                    out.append(" ")


def numbers(text):
    return collections.Counter(n.replace(",", "") for n in number.findall(text))


def pages(path):
    for _, e in ET.iterparse(path):
        if e.tag.endswith("}page"):
            ns = {"m": e.tag[1:].split("}")[0]}
            if e.findtext("m:ns", "0", ns) == "0" and e.find("m:redirect", ns) is None:
                yield e.findtext("m:id", "", ns), e.findtext("m:revision/m:text", "", ns) or ""
            e.clear()


table = re.compile(r"(?s)\n[ :]*\{\|(?:(?!\n[ :]*\{\|).)*?\n\|\}")


def reader(wikitext):
    wikitext = re.sub(r"(?s)<!--.*?-->", "", wikitext)
    while True:  # the inner first
        wikitext, n = table.subn("\n", wikitext)
        if not n:
            break
    parts = re.split(r"(?m)^==([^=].*?)==\s*$", wikitext)
    out = []
    for title, section in zip([""] + parts[1::2], parts[::2]):
        if not boilerplate.fullmatch(title.strip()):
            out.append("\n" + title + "\n")
            seen(mw.parse(section), out)
    return numbers("".join(out))


def main():
    texts = []
    for path in sys.argv[2:]:
        with open(path, encoding="utf8") as f:
            texts.append({str(d["id"]): numbers(d["text"]) for d in map(json.loads, f)})
    total, left, articles = 0, [0] * len(texts), 0
    lost = [collections.Counter() for _ in texts]
    for ident, wikitext in pages(sys.argv[1]):
        if any(ident not in t for t in texts) or re.match(r"(?i)#redirect", wikitext):
            continue
        want = reader(wikitext)
        total += sum(want.values())
        articles += 1
        for k, t in enumerate(texts):
            left[k] += sum((want & t[ident]).values())
            lost[k].update({(ident, n): c for n, c in (want - t[ident]).items()})
    for path, n, l in zip(sys.argv[2:], left, lost):
        print(f"{path}: {n} of {total} numbers in {articles} articles, {100 * n / total:.2f} %")
        if len(sys.argv) == 3:
            print(l.most_common(40))


main()
