#!/usr/bin/env python3
"""House rules that a compiler does not check.

    * every header of the engine opens with a comment that says what it holds
    * no source file is longer than 500 lines, and no verb of the program longer than 200
    * no note of unfinished work stays in a source file
    * every format header names its page under docs/format/, the page exists and names the header, and no page is left
      without a header
    * no TRY stands among the arguments of `new`: what was allocated would leak when TRY returns

How to run it: house.py.
"""

import re

import house

SOURCE_FOLDERS = ("engine", "tools", "tests", "bench")
SUFFIXES = (".h", ".cc", ".py", ".sh")
MAX_LINES = 500
MAX_VERB_LINES = 200
UNFINISHED = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")) + r")\b")
PAGE = re.compile(r"docs/format/(\w+\.md)")
NEW_WITH_TRY = re.compile(r"\bnew\s+[\w:<>]+\s*[({][^;]*\bTRY\(")
FORMATS = ("format", "document")
HEADER = re.compile(r"engine/(?:format|document)/(\w+\.h)")
NO_FORMAT = {"cursor.h", "tags.h", "binary_record.h"}  # parts of formats


def sources(root):
    for folder in SOURCE_FOLDERS:
        for file in sorted((root / folder).rglob("*")):
            if file.is_file() and file.suffix in SUFFIXES:
                yield file


def text_breaches(root):
    for file in sources(root):
        lines = file.read_text().splitlines()
        limit = MAX_VERB_LINES if file.is_relative_to(root / "tools" / "verbs") else MAX_LINES
        if len(lines) > limit:
            yield f"{file}:{limit + 1}: the file has {len(lines)} lines; at most {limit} are allowed"
        for number, line in enumerate(lines, 1):
            if UNFINISHED.search(line):
                yield f"{file}:{number}: a note of unfinished work"
        is_header = file.suffix == ".h" and file.is_relative_to(root / "engine")
        if is_header and not (lines and lines[0].startswith("// ")):
            yield f"{file}:1: a header opens with a comment that says what it holds"


def new_breaches(root):
    for file in sources(root):
        if file.suffix not in (".h", ".cc"):
            continue
        text = file.read_text()
        for match in NEW_WITH_TRY.finditer(text):
            yield f"{file}:{text.count(chr(10), 0, match.start()) + 1}: TRY among the arguments of new"


def page_breaches(root):
    headers = {h.name: h for f in FORMATS for h in sorted((root / "engine" / f).glob("*.h")) if h.name not in NO_FORMAT}
    pages = {p.name: p for p in sorted((root / "docs" / "format").glob("*.md"))}
    for header in headers.values():
        named = PAGE.findall(header.read_text())
        if not named:
            yield f"{header}:1: names no page under docs/format/"
        for name in sorted(set(named)):
            if name not in pages:
                yield f"{header}:1: names docs/format/{name}, which does not exist"
            elif header.name not in HEADER.findall(pages[name].read_text()):
                yield f"{pages[name]}:1: does not name engine/{header.parent.name}/{header.name}, which names it"
    for page in pages.values():
        for name in sorted(set(HEADER.findall(page.read_text()))):
            if name not in headers and name not in NO_FORMAT:
                yield f"{page}:1: names {name}, which is no header of a format"
        if not HEADER.findall(page.read_text()):
            yield f"{page}:1: names no header of a format"


def breaches(root):
    return [*text_breaches(root), *new_breaches(root), *page_breaches(root)]


GOOD = {
    "engine/format/a.h": "// The bytes of a. Page: docs/format/a.md.\n",
    "docs/format/a.md": "# a\n\nHeader: `engine/format/a.h`.\n",
}
UNFINISHED_WORD = "TO" + "DO"
CASES = [
    ("an orderly tree passes", {}, None),
    ("a header without a head", {"engine/low/b.h": "#pragma once\n"}, "engine/low/b.h:1: a header opens with"),
    ("an empty header", {"engine/low/b.h": ""}, "engine/low/b.h:1: a header opens with"),
    ("a long file", {"tests/t.cc": "x\n" * 501}, "tests/t.cc:501: the file has 501 lines"),
    ("a long verb", {"tools/verbs/image/t.cc": "x\n" * 201}, "tools/verbs/image/t.cc:201: the file has 201 lines"),
    ("unfinished work", {"tools/t.cc": f"\n// {UNFINISHED_WORD}: more\n"}, "tools/t.cc:2: a note of unfinished work"),
    ("a format header without a page", {"engine/format/b.h": "// Bytes.\n"}, "engine/format/b.h:1: names no page"),
    ("a page that is missing", {"engine/format/b.h": "// docs/format/b.md\n"},
     "engine/format/b.h:1: names docs/format/b.md, which does not exist"),
    ("a page that names no header", {"docs/format/b.md": "# b\n"}, "docs/format/b.md:1: names no header"),
    ("a page of a header that is gone", {"docs/format/b.md": "engine/format/gone.h\n"},
     "docs/format/b.md:1: names gone.h, which is no header of a format"),
    ("a page that does not name its header", {"engine/format/b.h": "// docs/format/a.md\n"},
     "docs/format/a.md:1: does not name engine/format/b.h"),
    ("TRY while new allocates", {"engine/low/b.cc": "\nauto* b = new B(\n    TRY(a()));\n"},
     "engine/low/b.cc:2: TRY among the arguments of new"),
    ("TRY before new", {"engine/low/b.cc": "auto a = TRY(x());\nauto* b = new B(a);\nTRY(c());\n"}, None),
]

if __name__ == "__main__":
    house.main(breaches, [(what, {**GOOD, **files}, expected) for what, files, expected in CASES],
               "all house rules are kept")
