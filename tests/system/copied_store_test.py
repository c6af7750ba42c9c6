#!/usr/bin/env python3
"""Shows a store that was copied with `cp -a` while its server ran: the copy's snapshots are there at once, its
volumes only once it is adopted, and nothing that is done to it reaches the original."""

import host
import volumes
from program import host_directory, noise

MIB = 1 << 20


class CopiedStoreTest(volumes.VolumeTest):
    def setUp(self):
        super().setUp()
        self.disk = self.file("disk.raw", noise(8 * MIB, 1))
        self.snapshot = self.capture(self.disk)
        self.closed = self.create(self.snapshot, "--name", "closed")
        self.ok("volume", "hydrate", self.closed)
        self.open = self.create(self.snapshot, "--name", "open")
        self.copy = self.scratch / "copy"

    def test_a_copy_is_not_its_original(self):
        with self.served("--volume", self.open):
            self.io_ok(self.open, "write -P 7 1M 64k", "flush")
            self.do("cp", "-a", self.store, self.copy)

            # Needs packs and records only, so it works at once.
            out = self.scratch / "out.raw"
            self.ok("restore", self.snapshot, out, store=self.copy)
            self.assertEqual(out.read_bytes(), self.disk.read_bytes())
            self.ok("verify", "--all", store=self.copy)
            for words in (("volume", "hydrate", self.closed), ("volume", "delete", self.open), ("instances", "list")):
                self.fails(1, *words, says=("is a copy of", str(self.store), "store adopt"), code="invalid",
                           store=self.copy)

            adopted = self.ok_json("store", "adopt", store=self.copy)
            self.assertEqual(adopted, {"was_copy": True, "original": str(self.store), "kept_volumes": [self.closed],
                                       "torn_volumes": [self.open], "stopped_instances": []})
            self.assertFalse(self.ok_json("store", "adopt", store=self.copy)["was_copy"])
            torn = host_directory(self.copy) / "torn" / self.open
            self.fails(3, "volume", "describe", self.open, says=("set aside", str(torn)), store=self.copy)
            self.fails(1, "capture", torn / "data", says="set aside", code="invalid", store=self.copy)
            kept = self.ok_json("volume", "describe", self.closed, store=self.copy)["state"]
            self.assertEqual(kept["absent_bytes"], 0)
            self.ok("volume", "delete", self.closed, store=self.copy)

            # The original goes on with both.
            self.assertTrue(self.state(self.open)["served"])
            self.io_ok(self.open, "read -P 7 1M 64k")
            self.assertEqual(self.state(self.closed)["absent_bytes"], 0)

    def test_a_moved_store_is_the_same_store(self):
        self.store = self.store.rename(self.scratch / "moved")
        self.assertFalse(self.ok_json("store", "adopt")["was_copy"])
        with self.served("--all"):
            self.compare(self.disk, self.open)
            self.compare(self.disk, self.closed)


if __name__ == "__main__":
    host.main()
