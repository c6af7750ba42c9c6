#!/usr/bin/env python3
"""Copies the engine's sources with the planted flaws in them: plant.py SOURCES TARGET.

SOURCES is the folder of the project. Files of TARGET that are right already are left as they are, so that a build
goes on from where it was. Fails when a flaw does not apply: its old text has to be in its file exactly once.
"""
import sys
from pathlib import Path

from flaws import BATTERIES, FLAWS

INCLUDE = '#include "planted.h"\n'


def planted(files, flaws):
    """Returns the changed files, and what is wrong with the flaws. `files` maps a path below engine/ to its text."""
    changed, wrong = {}, []
    for flaw in flaws:
        if flaw.battery not in BATTERIES:
            wrong.append(f"{flaw.name}: '{flaw.battery}' is not a battery")
        for path, old, new in flaw.edits:
            text = changed.get(path, files.get(path))
            if text is None:
                wrong.append(f"{flaw.name}: there is no engine/{path}")
                continue
            if text.count(old) != 1:
                wrong.append(f"{flaw.name}: engine/{path} has {text.count(old)} times:\n{old}")
                continue
            changed[path] = text.replace(old, new)
        if not any(f'planted("{flaw.name}")' in new for _, _, new in flaw.edits):
            wrong.append(f"{flaw.name}: no edit asks for it by its name")
    names = [flaw.name for flaw in flaws]
    wrong += [f"{name}: planted twice" for name in sorted(set(names)) if names.count(name) > 1]
    return {path: with_include(text) for path, text in changed.items()}, wrong


def with_include(text):
    """Returns the text with the include of planted.h before its first include."""
    at = text.index("#include")
    return text[:at] + INCLUDE + text[at:]


def sources_of(root):
    engine = root / "engine"
    return {path.relative_to(engine).as_posix(): path.read_text(encoding="utf-8")
            for path in sorted(engine.rglob("*")) if path.is_file()}


def main():
    root, target = Path(sys.argv[1]), Path(sys.argv[2])
    files = sources_of(root)
    changed, wrong = planted(files, FLAWS)
    if wrong:
        sys.exit("plant.py: the list of flaws does not fit the sources (tests/planted/flaws.py)\n" + "\n".join(wrong))
    files.update(changed)
    files["planted.h"] = (root / "tests/planted/planted.h").read_text(encoding="utf-8")
    for path in [path for path in target.rglob("*") if path.is_file()]:
        if path.relative_to(target).as_posix() not in files:
            path.unlink()
    for name, text in files.items():
        path = target / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
