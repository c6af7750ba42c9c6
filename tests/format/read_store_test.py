#!/usr/bin/env python3
"""Reads the golden store with the independent reader, and shows that the reader notices damage.

    read_store_test.py tests/fixtures/formats
"""

import hashlib
import pathlib
import shutil
import sys
import tempfile

sys.dont_write_bytecode = True
import read_store  # noqa: E402


def volume_sum(store):
    with tempfile.TemporaryFile() as out:
        reader = read_store.Store(store)
        (name,) = reader.snapshots()
        read_store.write_volume(reader, name, out)
        out.seek(0)
        return hashlib.sha256(out.read()).hexdigest()


def refused(store):
    try:
        volume_sum(store)
    except (read_store.Damaged, read_store.Unsupported, read_store.subprocess.CalledProcessError):
        return True
    return False


def numbered(first):
    return bytes(range(first, first + 32)).hex()


def check_damage(fixtures, store):
    """The golden records of damage say what the page says they do."""
    data, meta = "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf", "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf"
    (store / "damage").mkdir()
    shutil.copy(fixtures / "damage.bin", store / "damage" / data)
    shutil.copy(fixtures / "meta-damage.bin", store / "damage" / meta)
    lines = list(read_store.Store(store).damage())
    assert lines[:3] == [f"{data} {numbered(0x20)} {frame} {state}"
                         for frame, state in ((0, "damaged"), (1, "damaged"), (9, "lost"))], lines[:3]
    assert lines[3:-3] == [f"{data} {numbered(0x80)} {frame} damaged" for frame in range(1024)]
    assert lines[-3:] == [f"{meta} whole lost", f"{meta} {numbered(0x20)} damaged", f"{meta} {numbered(0x40)} lost"]
    shutil.rmtree(store / "damage")


def main():
    fixtures = pathlib.Path(sys.argv[1])
    expected = (fixtures / "volume.sha256").read_text().split()[0]
    got = volume_sum(fixtures / "store")
    assert got == expected, f"the volume reads as {got}, not {expected}"

    # The reader has to notice one flipped bit in every place that a SHA-256 covers.
    places = {
        "packs/a0/a0a1a2a3a4a5a6a7a8a9aaabacadaeaf.pack": (0, 0x19, 0x40, 0x100, 0x500, 0x2000, 0x3694, 0x36E0, 0x3980, 0x3A48, 0x3A64),
        "meta/c0/c0c1c2c3c4c5c6c7c8c9cacbcccdcecf.pack": (0, 0x40, 0x90, 0x1C5, 0x1F5, 0x2E8),
        "snapshots/snap-01122334455667788": (0, 8, 14, 0x29, 0x41, 0x61, 0x81),
    }
    with tempfile.TemporaryDirectory() as scratch:
        copy = pathlib.Path(scratch) / "store"
        shutil.copytree(fixtures / "store", copy)
        for name, offsets in places.items():
            whole = (copy / name).read_bytes()
            for offset in offsets:
                damaged = bytearray(whole)
                damaged[offset] ^= 0x04
                (copy / name).write_bytes(damaged)
                assert refused(copy), f"{name}: a flipped bit at {offset:#x} was not noticed"
            (copy / name).write_bytes(whole)
        assert volume_sum(copy) == expected
        check_damage(fixtures, copy)
    print(f"the golden volume reads as {expected}")


if __name__ == "__main__":
    main()
