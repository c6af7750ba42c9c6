#!/usr/bin/env python3
"""Holds the engine's sources to the module order that engine/CMakeLists.txt declares.

The ashlar_module() lines stand bottom first. A file of engine/<m>/ may include headers of <m> itself and of the modules
in the MAY_INCLUDE of <m>, and a MAY_INCLUDE may name only modules that stand above it in the file.

How to run it: house.py.
"""

import re

import house

MODULE = re.compile(r"^ashlar_module\(\s*(\w+)([^)]*)\)", re.MULTILINE)
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')
KEYWORDS = {"MAY_INCLUDE", "LIBRARIES"}


def read_modules(cmake):
    """[(name, line, [may include…])] in the order of declaration."""
    text = cmake.read_text()
    modules = []
    for match in MODULE.finditer(text):
        words = match.group(2).split()
        allowed = []
        if "MAY_INCLUDE" in words:
            for word in words[words.index("MAY_INCLUDE") + 1 :]:
                if word in KEYWORDS:
                    break
                allowed.append(word)
        modules.append((match.group(1), text.count("\n", 0, match.start()) + 1, allowed))
    return modules


def order_breaches(modules, cmake):
    seen = set()
    for name, line, allowed in modules:
        for other in allowed:
            if other not in seen:
                yield f"{cmake}:{line}: {name} may include {other}, which is not declared above it"
        seen.add(name)


def include_breaches(modules, engine):
    allowed = {name: {name, *may} for name, _, may in modules}
    for folder in sorted(p for p in engine.iterdir() if p.is_dir()):
        for file in sorted(p for p in folder.rglob("*") if p.suffix in (".h", ".cc")):
            if folder.name not in allowed:
                yield f"{file}:1: module {folder.name} is not declared in engine/CMakeLists.txt"
                continue
            for number, line in enumerate(file.read_text().splitlines(), 1):
                match = INCLUDE.match(line)
                if not match:
                    continue
                quote, target = match.groups()
                if quote == "<" and target.split("/")[0] not in allowed:
                    continue  # the system's
                if "/" not in target or ".." in target:
                    yield f'{file}:{number}: "{target}" does not name its module: "<module>/<file>" expected'
                elif target.split("/")[0] not in allowed[folder.name]:
                    yield f'{file}:{number}: module {folder.name} may not include "{target}"'


def breaches(root):
    cmake = root / "engine" / "CMakeLists.txt"
    modules = read_modules(cmake)
    if not modules:
        return [f"{cmake}:1: declares no module"]
    return [*order_breaches(modules, cmake), *include_breaches(modules, root / "engine")]


ORDERLY = "ashlar_module(low LIBRARIES fmt::fmt)\nashlar_module(high MAY_INCLUDE low LIBRARIES x)\n"


def tree(cmake, files):
    return {"engine/CMakeLists.txt": cmake, **{f"engine/{name}": text for name, text in files.items()}}


# What, CMakeLists.txt, files of engine/, the one breach expected.
CASES = [
    ("an orderly tree passes", ORDERLY, {"low/a.h": "", "high/b.cc": '#include "low/a.h"\n'}, None),
    ("an include upwards", ORDERLY, {"low/a.cc": '#include <vector>\n\n#include "high/b.h"\n'},
     'engine/low/a.cc:3: module low may not include "high/b.h"'),
    ("an include upwards in angle brackets", ORDERLY, {"low/a.cc": "#include <high/b.h>\n"},
     'engine/low/a.cc:1: module low may not include "high/b.h"'),
    ("an include that hides its module", ORDERLY, {"low/a.cc": '  # include "a.h"\n'},
     'engine/low/a.cc:1: "a.h" does not name its module'),
    ("an include that climbs", ORDERLY, {"low/a.cc": '#include "low/../high/b.h"\n'},
     'engine/low/a.cc:1: "low/../high/b.h" does not name its module'),
    ("a folder that is no module", ORDERLY, {"odd/a.cc": "\n"}, "engine/odd/a.cc:1: module odd is not declared"),
    ("a module that looks upwards", "ashlar_module(low MAY_INCLUDE high)\nashlar_module(high)\n", {"low/a.h": ""},
     "engine/CMakeLists.txt:1: low may include high, which is not declared above it"),
    ("no module at all", "# nothing\n", {"low/a.h": ""}, "engine/CMakeLists.txt:1: declares no module"),
]

if __name__ == "__main__":
    house.main(breaches, [(what, tree(cmake, files), expected) for what, cmake, files, expected in CASES],
               "all includes follow engine/CMakeLists.txt")
