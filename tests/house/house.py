"""What the tests of the house share: run on a real tree, or prove on made-up trees that each rule is held.

    <name>_test.py ROOT         exit 1 and one line a breach: file:line: what is wrong
    <name>_test.py --catches    exit 1 when a made-up breach is not found
"""

import pathlib
import sys
import tempfile


def write_tree(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def missed(cases, breaches):
    """Runs each case (what, files, the one breach expected or None) on a tree of its files; how many went wrong."""
    failed = 0
    for what, files, expected in cases:
        with tempfile.TemporaryDirectory() as scratch:
            root = pathlib.Path(scratch)
            write_tree(root, files)
            found = [b.removeprefix(f"{root}/") for b in breaches(root)]
        good = found == [] if expected is None else len(found) == 1 and found[0].startswith(expected)
        print(f"{'ok  ' if good else 'FAIL'} {what}: {found or 'no breach'}")
        failed += not good
    return failed


def main(breaches, cases, all_well):
    if sys.argv[1:] == ["--catches"]:
        sys.exit(1 if missed(cases, breaches) else 0)
    found = breaches(pathlib.Path(sys.argv[1]))
    print("\n".join(found) or all_well)
    sys.exit(1 if found else 0)
