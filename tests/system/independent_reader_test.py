#!/usr/bin/env python3
"""Shows that what the program stores of a real disk can be read without the program: by
tests/format/read_store.py, which was written from the format pages alone and shares no code with the
engine."""

import subprocess
import sys

import host
from program import ROOT, noise

sys.path.insert(0, str(ROOT / "tests" / "format"))
import read_store  # noqa: E402

MIB = 1 << 20
SIZE = (512 if host.LONG else 64) * MIB + 512  # deliberately not a multiple of a block


class IndependentReader(host.HostTest):
    def setUp(self):
        super().setUp()
        self.need("mkfs.ext4", "zstd")
        self.init()
        self.disk = self.image("disk.raw", SIZE)
        self.device = self.loop(self.disk)
        self.do("mkfs.ext4", "-q", "-F", self.device)
        self.folder = self.mount_on(self.device)
        host.copy_some_files(self.folder, SIZE // 4)
        (self.folder / "noise").write_bytes(noise(3 * MIB, 1))
        self.unmount(self.folder)

    def edit(self):
        self.folder = self.mount_on(self.device)
        with open(self.folder / "noise", "r+b") as file:
            file.seek(MIB)
            file.write(noise(100_000, 2))
        (self.folder / "new").write_bytes(noise(MIB, 3))
        largest = max((p for p in self.folder.rglob("*") if p.is_file()), key=lambda p: (p.stat().st_size, str(p)))
        largest.unlink()
        self.unmount(self.folder)

    def read(self, snapshot):
        path = self.scratch / f"{snapshot}.raw"
        with open(path, "w+b") as out:
            read_store.write_volume(read_store.Store(str(self.store)), snapshot, out)
        return path

    def test_two_days_of_a_disk(self):
        monday_id = self.capture(self.disk)  # a file: it has holes and an odd size
        monday = self.scratch / "monday.raw"
        self.do("cp", "--sparse=always", self.disk, monday)
        self.edit()
        tuesday_id = self.capture(self.disk)
        self.assertEqual(self.ok_json("describe", tuesday_id)["snapshot"]["parent"], monday_id)

        self.assertEqual(read_store.Store(str(self.store)).snapshots(), sorted([monday_id, tuesday_id]))
        self.assertNotEqual(subprocess.run(["cmp", "-s", monday, self.disk]).returncode, 0)
        self.same(monday, self.read(monday_id))
        self.same(self.disk, self.read(tuesday_id))

    def test_a_device_into_a_store_of_other_frames(self):
        for frame, level in (("4K", 3), ("256K", 19)):
            with self.subTest(frame=frame):
                self.store = self.scratch / f"store-{frame}"
                self.ok("init", self.store, "--frame", frame, "--level", level, store=False)
                snapshot = self.capture(self.device)
                read = self.read(snapshot)
                self.assertEqual(read.stat().st_size, self.ok_json("describe", snapshot)["snapshot"]["size_bytes"])
                self.do("cmp", self.device, read)


if __name__ == "__main__":
    host.main()
