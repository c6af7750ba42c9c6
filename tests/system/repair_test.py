#!/usr/bin/env python3
"""Shows that decay is found by scrubs, and that what is damaged comes back from a store, a disk, a volume or a capture."""

import json
import re
import shutil
import time

import host
from program import noise

MIB = 1 << 20


class Repair(host.HostTest):
    def setUp(self):
        super().setUp()
        self.init()
        self.content = noise(12 * MIB, 1)
        self.disk = self.file("disk.raw", self.content)
        self.first = self.capture(self.disk)

    def ended(self, status, *words):
        done = self.run_ashlar(*words)
        self.assertEqual(done.returncode, status, done.stderr.decode())
        return done

    def packs(self, folder):
        return sorted((self.store / folder).rglob("*.pack"))

    def rot(self, path, offset, length=600):
        with open(path, "r+b") as file:
            file.seek(offset)
            was = file.read(length)
            file.seek(offset)
            file.write(bytes(b ^ 0x5A for b in was))

    def rot_data(self):
        """Rots frames of the data pack, far apart, and returns what a scrub says."""
        pack = self.packs("packs")[0]
        for offset in range(MIB, 11 * MIB, 2 * MIB):
            self.rot(pack, offset)
        found = json.loads(self.ended(3, "scrub", "--json").stdout)
        self.assertGreaterEqual(len(found["damages"]), 5)
        return found

    def restored(self, snapshot, *words, status=0):
        out = self.scratch / "out.raw"
        out.unlink(missing_ok=True)
        self.ended(status, "restore", snapshot, out, *words)
        return out.read_bytes()

    def expect_healed(self):
        self.assertEqual(self.restored(self.first), self.content)
        left = self.ok_json("repair")
        self.assertEqual((left["needed_blocks"], left["lost_blocks"]), (0, 0))
        self.ok("collect")
        self.ok("verify", "--all")
        self.assertEqual(self.restored(self.first), self.content)
        self.assertFalse(list((self.store / "damage").glob("*")))

    def test_a_scrub_says_how_old_its_knowledge_is(self):
        before = self.ok_json("scrub")
        self.assertEqual((before["packs"], before["unchecked_packs"]), (2, 0))
        self.assertEqual(self.ok_json("scrub", "--since", "1")["packs"], 0)
        metrics = self.scratch / "ashlar.prom"
        again = self.ok_json("scrub", "--cursor", before["cursor"], "--metrics", metrics)
        self.assertEqual(again["packs"], 2)
        figures = dict(re.findall(r"^(ashlar_\w+) (\d+)$", metrics.read_text(), re.M))
        self.assertEqual(figures["ashlar_scrub_damaged_places"], "0")
        self.assertLess(abs(int(figures["ashlar_scrub_oldest_check_time_seconds"]) - time.time()), 600)
        self.assertEqual(metrics.stat().st_mode & 0o777, 0o644)
        self.assertEqual(int(figures["ashlar_scrub_read_bytes"]), again["read_bytes"])
        self.fails(2, "scrub", "--cursor", "xyz", says=["three hexadecimal digits"])

    def test_a_scrub_names_what_is_missing(self):
        self.packs("packs")[0].unlink()
        found = json.loads(self.ended(3, "scrub", "--json").stdout)
        self.assertEqual(found["damages"][0]["losses"][0]["snapshot"], self.first)
        record = self.store / "snapshots" / self.first
        self.rot(record, 30, 2)
        found = json.loads(self.ended(3, "scrub", "--json").stdout)
        self.assertIn(f"snapshots/{self.first}", [d["object"] for d in found["damages"]])

    def test_a_damaged_directory_is_healed_and_its_pack_goes(self):
        copy = self.scratch / "copy"
        shutil.copytree(self.store, copy)
        pack = self.packs("packs")[0]
        self.rot(pack, pack.stat().st_size - 3000, 2)
        self.ended(3, "scrub")
        self.ok("repair", "--from", copy)
        self.expect_healed()

    def test_a_repair_changes_no_image_or_volume(self):
        volume = self.ok_json("volume", "create", "--snapshot", self.first)["volume"]["id"]
        copy = self.scratch / "copy"
        shutil.copytree(self.store, copy)
        record = self.store / "volumes" / volume
        self.rot(record, 30, 2)
        rotten = record.read_bytes()
        self.ended(3, "repair", "--from", copy)
        self.assertEqual(record.read_bytes(), rotten)

    def test_a_rate_holds(self):
        slow = self.ok_json("scrub", "--rate", "8M")
        self.assertGreater(slow["seconds"], 1.0, "12 MiB at 8 MiB/s")

    def test_it_comes_back_from_a_copy_of_the_store(self):
        copy = self.scratch / "copy"
        shutil.copytree(self.store, copy)
        self.rot_data()
        report = self.ok_json("repair", "--from", copy)
        self.assertEqual(report["healed_blocks"], report["needed_blocks"])
        self.assertTrue(all(d["sound_in"] and not d["losses"] for d in report["damages"]), report["damages"])
        self.expect_healed()

    def test_it_comes_back_from_another_store(self):
        other = self.scratch / "other"
        self.ok("init", other, store=False)
        self.ok("--store", other, "capture", self.file("more.raw", noise(MIB, 2) + self.content))
        self.rot_data()
        self.ok("repair", "--from", other)
        self.expect_healed()

    def test_it_comes_back_from_the_disk(self):
        self.rot_data()
        moved = self.file("moved.raw", bytes(8192) + self.content[6 * MIB:] + self.content[:6 * MIB])
        self.ok("repair", "--source", moved)
        self.expect_healed()

    def test_it_comes_back_from_a_volume(self):
        volume = self.ok_json("volume", "create", "--snapshot", self.first)["volume"]["id"]
        self.ok("volume", "hydrate", volume)
        self.rot_data()
        self.disk.unlink()
        self.ok("repair", "--volume", volume)
        self.expect_healed()

    def test_it_comes_back_with_the_next_capture(self):
        self.rot_data()
        self.capture(self.disk)
        self.expect_healed()

    def test_what_is_nowhere_is_lost_and_the_rest_is_restored(self):
        found = self.rot_data()
        report = json.loads(self.ended(3, "repair", "--json").stdout)
        self.assertGreater(report["lost_blocks"], 0)
        refused = self.ended(3, "restore", self.first, self.scratch / "no.raw")
        self.assertIn(b"given up as lost", refused.stderr)
        got = self.restored(self.first, "--skip-damaged", status=3)
        lost = bytearray(len(self.content))
        for damage in found["damages"]:
            for loss in damage["losses"]:
                for each in loss["ranges"]:
                    at = slice(each["offset"], each["offset"] + each["length"])
                    lost[at] = b"\1" * each["length"]
        self.assertEqual(sum(lost), report["lost_blocks"] * 4096)
        expected = bytes(0 if is_lost else byte for byte, is_lost in zip(self.content, lost))
        self.assertEqual(got, expected, "all but what the scrub named")

    def test_whole_packs_and_records_come_back(self):
        copy = self.scratch / "copy"
        shutil.copytree(self.store, copy)
        self.packs("packs")[0].unlink()
        self.packs("meta")[0].unlink()
        self.rot(self.store / "snapshots" / self.first, 30, 2)
        self.ended(3, "restore", self.first, self.scratch / "no.raw")
        report = self.ok_json("repair", "--from", copy)
        self.assertEqual(report["records"], [f"snapshots/{self.first}"])
        self.expect_healed()


if __name__ == "__main__":
    host.main()
