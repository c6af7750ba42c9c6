#!/usr/bin/env python3
"""Holds the engine's sources to the module order that engine/CMakeLists.txt declares.

The ashlar_module() lines stand bottom first. A file of engine/<m>/ may include headers of <m> itself and of the modules
in the MAY_INCLUDE of <m>, and a MAY_INCLUDE may name only modules that stand above it in the file. A module has no grant
that it does not use, and a folder tests/<m>/ with tests. A header whose head says "Internal to the module." is included
by its own module and that module's tests only.

How to run it: house.py.
"""

import re

import house

MODULE = re.compile(r"^ashlar_module\(\s*(\w+)([^)]*)\)", re.MULTILINE)
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')
KEYWORDS = {"MAY_INCLUDE", "LIBRARIES"}
INTERNAL = "Internal to the module."


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


def included(file):
    """The modules' headers that a file includes: [(line, "module/header.h")…]."""
    for number, line in enumerate(file.read_text().splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(2)


def sources(folder):
    return sorted(p for p in folder.rglob("*") if p.suffix in (".h", ".cc"))


def unused_grants(modules, cmake, engine):
    for name, line, may in modules:
        used = {target.split("/")[0] for file in sources(engine / name) for _, target in included(file)}
        for other in may:
            if other not in used:
                yield f"{cmake}:{line}: {name} may include {other} and does not"


def internal_breaches(modules, root):
    names = {name for name, _, _ in modules}
    internal = set()
    for name in names:
        for header in (root / "engine" / name).glob("*.h"):
            head = header.read_text().split("#pragma once")[0]
            if INTERNAL in head:
                internal.add(f"{name}/{header.name}")
    for top in ("engine", "tools", "tests", "bench"):
        for file in sources(root / top):
            home = file.relative_to(root / top).parts[0]
            for number, target in included(file):
                if target in internal and not (top in ("engine", "tests") and home == target.split("/")[0]):
                    yield f'{file}:{number}: "{target}" is internal to its module'


def untested(modules, cmake, tests):
    for name, line, _ in modules:
        if not any((tests / name).glob("*_test.cc")):
            yield f"{cmake}:{line}: {name} has no test in tests/{name}/"


def breaches(root):
    cmake = root / "engine" / "CMakeLists.txt"
    modules = read_modules(cmake)
    if not modules:
        return [f"{cmake}:1: declares no module"]
    return [*order_breaches(modules, cmake), *include_breaches(modules, root / "engine"),
            *unused_grants(modules, cmake, root / "engine"), *internal_breaches(modules, root),
            *untested(modules, cmake, root / "tests")]


ORDERLY = "ashlar_module(low LIBRARIES fmt::fmt)\nashlar_module(high MAY_INCLUDE low LIBRARIES x)\n"
TESTED = {"tests/low/a_test.cc": "", "tests/high/b_test.cc": "", "tests/odd/c_test.cc": ""}


def tree(cmake, files):
    """A tree whose module high uses its grant; paths of `files` are below engine/ unless they start with tests/."""
    named = {name if name.startswith("tests/") else f"engine/{name}": text for name, text in files.items()}
    return {"engine/CMakeLists.txt": cmake, "engine/high/uses.cc": '#include "low/a.h"\n', **TESTED, **named}


# Name, CMakeLists.txt, files of engine/, the one breach expected.
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
    ("a folder that is not a module", ORDERLY, {"odd/a.cc": "\n"}, "engine/odd/a.cc:1: module odd is not declared"),
    ("a module that looks upwards", "ashlar_module(low MAY_INCLUDE high)\nashlar_module(high MAY_INCLUDE low)\n",
     {"low/a.h": '#include "high/b.h"\n'}, "engine/CMakeLists.txt:1: low may include high, which is not declared above"),
    ("no module at all", "# nothing\n", {"low/a.h": ""}, "engine/CMakeLists.txt:1: declares no module"),
    ("a grant that is not used", ORDERLY, {"high/uses.cc": ""}, "engine/CMakeLists.txt:2: high may include low and does"),
    ("an internal header used inside", ORDERLY,
     {"high/b.h": "// B. Internal to the module.\n#pragma once\n", "high/b.cc": '#include "high/b.h"\n',
      "tests/high/b_test.cc": '#include "high/b.h"\n'}, None),
    ("an internal header used outside", ORDERLY, {"low/a.h": "// A. Internal to the module.\n#pragma once\n"},
     'engine/high/uses.cc:1: "low/a.h" is internal to its module'),
    ("an internal header used by tests of another module", ORDERLY,
     {"high/b.h": "// B. Internal to the module.\n#pragma once\n", "tests/low/a_test.cc": '#include "high/b.h"\n'},
     'tests/low/a_test.cc:1: "high/b.h" is internal to its module'),
    ("a module without tests", "ashlar_module(low)\nashlar_module(high MAY_INCLUDE low)\nashlar_module(bare)\n",
     {"bare/a.h": ""}, "engine/CMakeLists.txt:3: bare has no test in tests/bare/"),
]

if __name__ == "__main__":
    house.main(breaches, [(what, tree(cmake, files), expected) for what, cmake, files, expected in CASES],
               "all includes follow engine/CMakeLists.txt")
