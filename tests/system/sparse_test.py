#!/usr/bin/env python3
"""Shows a volume of 64 TiB that holds little: every verb takes the time and the memory of its data, not of
its size."""

import json
import os
import random
import subprocess
import time

import host
from program import PROGRAM, noise

MIB, TIB = 1 << 20, 1 << 40
SIZE = 64 * TIB
PIECES = 2048 if host.LONG else 256
PIECE = 256 << 10
EDITS = 5
LEVELS = 3  # inner levels above the leaves at 64 TiB; a leaf is 4 MiB
# The longest inner node has 256 children that are nodes; a leaf of this test has few extents.
INNER_BYTES = 8 + 256 + 256 * 64
PEAK_BYTES = 512 * MIB
# Reading or walking through all of the holes would take hours, so this limit shows that no verb does.
SECONDS = 30


class Sparse(host.HostTest):
    def setUp(self):
        super().setUp()
        self.folder = self.sparse_folder()
        self.init()
        self.disk = self.folder / "disk.raw"
        self.random = random.Random(64)
        self.leaves = sorted(self.random.sample(range(SIZE // (4 * MIB)), PIECES))
        with open(self.disk, "wb") as file:
            file.truncate(SIZE)
            for number, leaf in enumerate(self.leaves):
                file.seek(leaf * 4 * MIB)
                file.write(noise(PIECE, number + 1))
        self.data = PIECES * PIECE

    def measured(self, *words, status=0):
        """Runs ashlar WORDS..., which must keep to the limits of time and memory, and returns its report."""
        with open(self.scratch / "out", "w+b") as out, open(self.scratch / "err", "w+b") as err:
            environment = {**os.environ, "ASHLAR_STORE": str(self.store)}
            began = time.monotonic()
            running = subprocess.Popen([PROGRAM, *map(str, words), "--json"], env=environment, stdout=out, stderr=err)
            self.addCleanup(self.stop, running)
            _, ended, used = os.wait4(running.pid, 0)
            running.returncode = os.waitstatus_to_exitcode(ended)
            seconds = time.monotonic() - began
            err.seek(0)
            self.assertEqual(running.returncode, status, err.read().decode())
            out.seek(0)
            report = json.load(out)
        print(f"{' '.join(map(str, words[:1] + words[3:]))}: {seconds:.2f} s, {used.ru_maxrss // 1024} MiB")
        self.assertLess(seconds, SECONDS, words)
        self.assertLess(used.ru_maxrss * 1024, PEAK_BYTES, words)
        return report

    def edit(self):
        """Changes 4 KiB in some pieces and in one hole, and returns the changed ranges."""
        ranges = []
        spare = next(leaf for leaf in range(self.leaves[100], SIZE) if leaf not in self.leaves)
        with open(self.disk, "r+b") as file:
            for leaf in [*self.leaves[:: PIECES // (EDITS - 1)][: EDITS - 1], spare]:
                at = leaf * 4 * MIB + 8 * 4096
                file.seek(at)
                file.write(noise(4096, at))
                ranges.append({"offset": at, "length": 4096})
        return sorted(ranges, key=lambda r: r["offset"])

    def same_data(self, target):
        """Checks that sizes and data are equal, without reading the holes of either file."""
        self.assertEqual(target.stat().st_size, SIZE)
        self.assertLessEqual(target.stat().st_blocks * 512, self.data + PIECES * 65536)
        with open(self.disk, "rb") as one, open(target, "rb") as other:
            for file in (one, other):
                at = 0
                while (at := self.next_data(file, at)) is not None:
                    end = os.lseek(file.fileno(), at, os.SEEK_HOLE)
                    size = end - at
                    self.assertEqual(os.pread(one.fileno(), size, at), os.pread(other.fileno(), size, at), at)
                    at = end

    def next_data(self, file, at):
        try:
            return os.lseek(file.fileno(), at, os.SEEK_DATA)
        except OSError:
            return None

    def test_two_days_of_64_tib(self):
        first = self.measured("capture", self.disk)
        self.assertEqual(first["read_bytes"], self.data)
        self.assertEqual(first["snapshot"]["data_bytes"], self.data)
        self.assertEqual(first["snapshot"]["unallocated_bytes"], SIZE - self.data)
        self.assertLessEqual(first["nodes_written"], 1 + LEVELS * PIECES)
        monday = first["snapshot"]["id"]
        old = self.folder / "monday.raw"
        self.assertEqual(self.measured("restore", monday, old)["written_bytes"], self.data)
        self.same_data(old)

        same = self.measured("capture", self.disk)
        self.assertEqual((same["nodes_written"], same["new_bytes"]), (0, 0))
        ranges = self.edit()
        second = self.measured("capture", self.disk)
        tuesday = second["snapshot"]["id"]
        self.assertEqual(second["new_bytes"], EDITS * 4096)
        # Each edit writes its leaf and its path to the root; the paths share nodes.
        self.assertLessEqual(second["nodes_written"], 1 + LEVELS * EDITS)
        self.assertLessEqual(second["node_bytes_written"], (1 + (LEVELS - 1) * EDITS) * INNER_BYTES + EDITS * 4096)
        print(f"{EDITS} edits: {second['nodes_written']} nodes, {second['node_bytes_written']} bytes")

        changed = self.measured("diff", monday, tuesday)
        self.assertEqual(changed["ranges"], ranges)
        self.assertLessEqual(changed["nodes_read"], 2 * (1 + LEVELS * EDITS))
        against = self.measured("verify", tuesday, "--against", old, status=3)
        self.assertEqual(against["different"], ranges)
        self.measured("verify", tuesday, "--against", self.disk)

        delta = self.measured("restore", tuesday, old, "--delta", "--force")
        self.assertEqual(delta["written_bytes"], EDITS * 4096)
        self.same_data(old)
        self.measured("restore", tuesday, self.folder / "tuesday.raw", "--verify")
        self.same_data(self.folder / "tuesday.raw")
        back = self.measured("restore", monday, old, "--delta", "--force")
        self.assertEqual(back["written_bytes"] + back["zeroed_bytes"], EDITS * 4096)
        self.measured("verify", monday, "--against", old)
        self.assertTrue(self.measured("verify", "--all")["ok"])
        self.measured("verify", tuesday)
        self.assertEqual(self.measured("stats")["logical_bytes"], 3 * SIZE)
        self.measured("snapshots")

    def test_a_map_of_what_changed(self):
        first = self.measured("capture", self.disk, "--change-token", "monday")
        ranges = self.edit()
        map_file = self.file("map.json", json.dumps({"since": "monday", "token": "tuesday", "ranges": ranges}).encode())
        second = self.measured("capture", self.disk, "--changed", map_file)
        self.assertEqual(second["warnings"], [])
        self.assertEqual(second["new_bytes"], EDITS * 4096)
        # The capture reads the regions of the edits, and the sample that is audited.
        self.assertLessEqual(second["read_bytes"], (EDITS + 128) * 65536)
        self.assertLessEqual(second["nodes_written"], 1 + LEVELS * EDITS)
        self.assertEqual(self.measured("diff", first["snapshot"]["id"], second["snapshot"]["id"])["ranges"], ranges)
        target = self.folder / "target.raw"
        self.measured("restore", second["snapshot"]["id"], target, "--verify")
        self.same_data(target)

    def test_onto_a_file_that_was_used(self):
        snapshot = self.measured("capture", self.disk)["snapshot"]["id"]
        for discard in ([], ["--discard"]):
            target = self.folder / "used.raw"
            with open(target, "wb") as file:
                file.truncate(SIZE)
                for at in (0, 5 * TIB + 4096, SIZE - 8192):
                    file.seek(at)
                    file.write(noise(8192, at))
            self.measured("restore", snapshot, target, "--force", *discard)
            self.measured("verify", snapshot, "--against", target)
            self.same_data(target)
            target.unlink()


if __name__ == "__main__":
    host.main()
