#!/usr/bin/env python3
"""Holds comments to plain words: docs/style.md has the rules with examples.

A comment block does not open with a word whose subject is left to guess ("Of …", "One …", "Those …", "The same …",
"What …", "Again …"), and does not say "whoever", "nobody" or "somebody", or "is no" where "is not a" is meant.

How to run it: house.py.
"""

import re

import house

SOURCE_FOLDERS = ("engine", "tools", "tests", "bench")
OPENING = re.compile(
    r"(Of|One(?! (?:thread|process|writer|session|data pack))|Those|The same|What|Again|Also|Not|Nothing|Nobody|Somebody|Whoever|Whatever|Null where|Ok when)\b")
WORD = re.compile(r"\b([Ww]hoever|[Nn]obody|[Ss]omebody)\b|(?<![Tt]here )\bis no (?!longer\b|more than\b)")
MARK = {".h": "//", ".cc": "//", ".py": "#"}


def comments(file):
    """[(line, text, opens a block)…] of the comments that stand alone on a line or at its end."""
    mark = MARK[file.suffix]
    whole = re.compile(r"^\s*" + mark + r" ?(.*)$")
    tail = re.compile(r"[;{},)]  " + mark + r" (.*)$")
    inside = False
    for number, line in enumerate(file.read_text().splitlines(), 1):
        match = whole.match(line)
        if match and not line.startswith("#!"):
            text = match.group(1)
            yield number, text, not inside and bool(text)
            inside = bool(text.strip())
            continue
        inside = False
        match = tail.search(line)
        if match and '"' not in match.group(1):
            yield number, match.group(1), False


def breaches(root):
    found = []
    for folder in SOURCE_FOLDERS:
        for file in sorted((root / folder).rglob("*")):
            if file.suffix not in MARK or not file.is_file():
                continue
            for number, text, opens in comments(file):
                match = OPENING.match(text) if opens else None
                if match:
                    found.append(f"{file}:{number}: a comment opens with '{match.group(0)}'")
                match = WORD.search(text)
                if match:
                    found.append(f"{file}:{number}: '{match.group(0).strip()}' in a comment")
    return found


CASES = [
    ("a comment that names its subject", {"engine/low/a.h": "// Returns the size.\nint size();\n"}, None),
    ("an opening that leaves it to guess", {"engine/low/a.h": "int a;\n// Of a file, in bytes.\nint size();\n"},
     "engine/low/a.h:2: a comment opens with 'Of'"),
    ("the same word inside a block", {"tests/a.cc": "// Returns the size\n// Of Things.\n"}, None),
    ("a block after an empty line of a comment", {"tests/a.cc": "// A picture.\n//\n// Those are files.\n"},
     "tests/a.cc:3: a comment opens with 'Those'"),
    ("a word that begins alike", {"tests/a.cc": "// Offsets count bytes.\n"}, None),
    ("a vague person", {"bench/a.cc": "int a;  // held by whoever asks\n"}, "bench/a.cc:1: 'whoever' in a comment"),
    ("a negated noun", {"tools/a.cc": "// The file is no image.\n"}, "tools/a.cc:1: 'is no' in a comment"),
    ("a thing that does not exist", {"tools/a.cc": "// Returns 0 when there is no image.\n"}, None),
    ("a comment of Python", {"tests/a.py": "# The file that nobody reads.\n"}, "tests/a.py:1: 'nobody' in a comment"),
]

if __name__ == "__main__":
    house.main(breaches, CASES, "all comments use plain words")
