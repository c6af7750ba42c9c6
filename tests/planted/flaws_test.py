#!/usr/bin/env python3
"""Holds the list of planted flaws to the sources: each flaw applies, and there are at least 30.

    flaws_test.py ROOT         exit 1 and a line for each flaw that does not apply
    flaws_test.py --catches    exit 1 when a made-up flaw that does not apply is not found
"""
import sys
from pathlib import Path

import plant
from flaws import BATTERIES, FLAWS, Flaw

LEAST = 30
SOURCES = {"low/a.cc": '#include "low/a.h"\nint f() { return 1; }\nint g() { return 2; }\nint h() { return 2; }\n'}
BATTERY = next(iter(BATTERIES))
FLAW = Flaw("wrong-result", "returns another number", BATTERY,
            [("low/a.cc", "return 1;", 'return planted("wrong-result") ? 2 : 1;')])
CASES = [
    ("a flaw that applies", [FLAW], None),
    ("a text that is not there", [FLAW._replace(edits=[("low/a.cc", "return 3;", 'planted("wrong-result")')])],
     "wrong-result: engine/low/a.cc has 0 times"),
    ("a text that is there twice", [FLAW._replace(edits=[("low/a.cc", "return 2;", 'planted("wrong-result")')])],
     "wrong-result: engine/low/a.cc has 2 times"),
    ("a file that is not there", [FLAW._replace(edits=[("low/b.cc", "return 2;", 'planted("wrong-result")')])],
     "wrong-result: there is no engine/low/b.cc"),
    ("a battery that is not there", [FLAW._replace(battery="none")], "wrong-result: 'none' is not a battery"),
    ("a name that is not asked for", [FLAW._replace(name="other")], "other: no edit asks for it"),
    ("a flaw that is there twice", [FLAW, FLAW._replace(
        edits=[("low/a.cc", "int g() { return 2; }", 'int g() { return planted("wrong-result"); }')])],
     "wrong-result: planted twice"),
]


def catches():
    failed = 0
    for what, flaws, expected in CASES:
        _, wrong = plant.planted(SOURCES, flaws)
        good = wrong == [] if expected is None else len(wrong) == 1 and wrong[0].startswith(expected)
        print(f"{'ok  ' if good else 'FAIL'} {what}: {wrong}")
        failed += not good
    return failed


def main():
    if sys.argv[1:] == ["--catches"]:
        sys.exit(1 if catches() else 0)
    _, wrong = plant.planted(plant.sources_of(Path(sys.argv[1])), FLAWS)
    if len(FLAWS) < LEAST:
        wrong.append(f"{len(FLAWS)} flaws, at least {LEAST} are wanted")
    print("\n".join(wrong) or f"all {len(FLAWS)} flaws apply")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
