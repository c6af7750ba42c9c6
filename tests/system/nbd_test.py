#!/usr/bin/env python3
"""Shows disks that a server exports over NBD: what QEMU knows of holes and changes saves reading, bad sectors
are named, and a server that goes away gives one line."""

import json
import re
import signal
import time

import host
from program import noise

MIB = 1 << 20
SIZE = (4096 if host.LONG else 256) * MIB
LEAF, REGION = 4 * MIB, 65536


class Nbd(host.HostTest):
    def setUp(self):
        super().setUp()
        self.init()
        self.socket = self.scratch / "socket"
        self.uri = f"nbd+unix:///?socket={self.socket}"

    def exported(self, *words):
        self.server = self.serve(*words, socket=self.socket)
        return self.server

    def end_export(self):
        self.server.terminate()
        self.server.wait(timeout=20)
        self.socket.unlink(missing_ok=True)


class Qemu(Nbd):
    def setUp(self):
        super().setUp()
        self.need("qemu-nbd", "qemu-img", "qemu-io")
        self.disk = self.scratch / "disk.qcow2"
        self.do("qemu-img", "create", "-q", "-f", "qcow2", self.disk, SIZE + 512)

    def write(self, *commands):
        self.do("qemu-io", "-f", "qcow2", *(word for command in commands for word in ("-c", command)), self.disk)

    def put(self, offset, data):
        piece = self.file("piece", data)
        self.write(f"write -s {piece} {offset} {len(data)}")

    def qemu_nbd(self, *words):
        self.exported("qemu-nbd", "-t", "-r", "-f", "qcow2", "-k", self.socket, *words, self.disk)

    def raw(self):
        """Returns a copy of the disk as another program reads it."""
        path = self.scratch / "truth.raw"
        path.unlink(missing_ok=True)
        self.do("qemu-img", "convert", "-f", "qcow2", "-O", "raw", self.disk, path)
        return path

    def test_holes_of_an_image_are_never_read(self):
        for number in range(8):
            self.put(number * 24 * MIB, noise(MIB, number + 1))
        self.write("write -P 7 201M 128k", "write -z 202M 1M", "write -P 0 204M 1M")
        data = 8 * MIB + 128 * 1024
        self.qemu_nbd()
        report = self.ok_json("capture", self.uri)
        self.end_export()
        self.assertEqual(report["snapshot"]["source_kind"], "nbd")
        self.assertEqual(report["snapshot"]["size_bytes"], SIZE + 512)
        self.assertEqual(report["read_bytes"], data + MIB, "zeros that were written have to be read")
        self.assertEqual(report["snapshot"]["data_bytes"], data)
        self.assertEqual(report["snapshot"]["zero_bytes"], MIB)
        self.assertEqual(report["snapshot"]["unallocated_bytes"], SIZE + 4096 - data - MIB)
        restored = self.restored(report["snapshot"]["id"])
        self.same(self.raw(), restored)
        self.assertLess(restored.stat().st_blocks * 512, data + 2 * MIB, "holes stay holes")

    def with_a_bitmap(self, name):
        self.do("qemu-img", "bitmap", "--add", "-g", REGION, self.disk, name)

    def test_a_dirty_bitmap_says_what_to_read(self):
        for number in range(0, SIZE // (256 * MIB)):
            self.put(number * 256 * MIB, noise(64 * MIB, number + 1))
        self.with_a_bitmap("b1")
        self.qemu_nbd()
        first = self.ok_json("capture", self.uri, "--change-token", "b1")
        self.end_export()
        self.with_a_bitmap("b2")
        self.put(10 * MIB + 512, noise(700, 100))  # within a block
        self.put(33 * MIB, noise(MIB, 101))
        self.put(200 * MIB, noise(300_032, 102))  # into a hole
        self.write("discard 40M 2M", "write -z 50M 64k", f"write -P 9 {SIZE} 512")
        # Only the granules that a write touches are read; the discard and the zeros are reported as holes.
        changed = REGION + MIB + (300_032 // REGION + 1) * REGION + REGION
        audited = REGION * (SIZE // LEAF) * 2

        self.qemu_nbd("-B", "b1")
        second = self.ok_json("capture", self.uri, "--changed", "bitmap:b1", "--change-token", "b2")
        self.assertEqual(second["warnings"], [])
        self.assertEqual(second["snapshot"]["parent"], first["snapshot"]["id"])
        self.assertEqual(second["snapshot"]["change_token"], "b2")
        self.assertLessEqual(second["read_bytes"], changed + min(audited, 128 * REGION))
        self.assertGreaterEqual(second["new_bytes"], MIB + 300_032)
        self.assertLessEqual(second["new_bytes"], changed)

        with self.subTest("a full scan of the same state is equal"):
            other = self.scratch / "other"
            self.ok("init", other, store=False)
            scan = self.ok_json("capture", self.uri, store=other)
            self.assertEqual(scan["snapshot"]["content"], second["snapshot"]["content"])
            for kind in ("data_bytes", "zero_bytes", "unallocated_bytes"):
                self.assertEqual(scan["snapshot"][kind], second["snapshot"][kind], kind)
            self.assertGreater(scan["read_bytes"], 4 * second["read_bytes"])
        with self.subTest("a bitmap of another state is not believed"):
            again = self.ok_json("capture", self.uri, "--changed", "bitmap:b1")
            self.assertEqual(len(again["warnings"]), 1)
            self.assertEqual(again["snapshot"]["content"], second["snapshot"]["content"])
            self.assertEqual(again["read_bytes"], scan["read_bytes"])
            self.assertEqual(again["new_bytes"], 0)
        self.fails(1, "capture", self.uri, "--changed", "bitmap:b3", says="b3")
        self.end_export()

        self.put(100 * MIB, noise(MIB, 103))
        # b2 starts before the second capture: it holds all of b1's changes and the new one.
        self.qemu_nbd("-B", "b2")
        third = self.ok_json("capture", self.uri, "--parent", second["snapshot"]["id"], "--changed", "bitmap:b2")
        self.end_export()
        self.assertEqual(third["warnings"], [])
        self.assertEqual(third["new_bytes"], MIB)
        self.same(self.raw(), self.restored(third["snapshot"]["id"]))
        self.restored(second["snapshot"]["id"], "second.raw")
        self.ok("verify", "--all")

    def test_a_bitmap_that_lies_is_found_out(self):
        self.put(0, noise(16 * MIB, 1))
        self.qemu_nbd()
        self.ok("capture", self.uri, "--change-token", "b1")
        self.end_export()
        self.put(0, noise(16 * MIB, 2))
        self.with_a_bitmap("b1")  # too late: it has none of the changes
        self.qemu_nbd("-B", "b1")
        report = self.ok_json("capture", self.uri, "--changed", "bitmap:b1")
        self.assertRegex(report["warnings"][0], "[A-Z]{3}", "loud")
        self.end_export()
        self.same(self.raw(), self.restored(report["snapshot"]["id"]))


class Nbdkit(Nbd):
    def setUp(self):
        super().setUp()
        self.need("nbdkit")

    def bad_disk(self, size, bad_blocks):
        """Serves noise in which some blocks cannot be read."""
        self.disk = self.file("disk.raw", noise(size, 1))
        tests = "; ".join(f"[ $(($4 + $3)) -gt {b * 4096} ] && [ $4 -lt {(b + 1) * 4096} ] && bad" for b in bad_blocks)
        read = (f"bad() {{ echo EIO bad sector >&2; exit 1; }}; {tests}; "
                f"dd if={self.disk} skip=$4 count=$3 iflag=skip_bytes,count_bytes status=none")
        self.exported("nbdkit", "-f", "-U", self.socket, "eval", f"get_size=echo {size}", f"pread={read}")

    def test_bad_sectors(self):
        bad = [{"offset": 7 * 4096, "length": 8192}, {"offset": 1000 * 4096, "length": 4096}]
        self.bad_disk(8 * MIB, (7, 8, 1000))
        line = self.fails(1, "capture", self.uri, says=("can't be read", "--skip-unreadable"), code="io")
        named = [int(word) for word in re.search(r"bytes (\d+) to (\d+)", line).groups()]
        self.assertIn(named, [[r["offset"], r["offset"] + r["length"] - 1] for r in bad])
        self.assertEqual(self.snapshots(), [])

        done = self.run_ashlar("capture", self.uri, "--skip-unreadable", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("unreadable", done.stderr.decode())
        report = json.loads(done.stdout)
        self.assertEqual(report["unreadable"], bad)
        snapshot = report["snapshot"]["id"]
        self.assertEqual(self.ok_json("describe", snapshot)["snapshot"]["unreadable_bytes"], 3 * 4096)
        self.assertIn("12288", self.ok("describe", snapshot))
        self.ok("verify", "--all")  # the blocks that were stored are sound
        self.lost_is_an_error(snapshot, bad)

        self.end_export()
        self.exported("nbdkit", "-f", "-U", self.socket, "file", self.disk)
        healed = self.ok_json("capture", self.uri, "--parent", snapshot)
        self.assertEqual(healed["unreadable"], [])
        self.assertEqual(healed["new_bytes"], 3 * 4096)
        self.same(self.disk, self.restored(healed["snapshot"]["id"]))
        changed = self.ok_json("diff", snapshot, healed["snapshot"]["id"])
        self.assertEqual(changed["ranges"], bad)

    def lost_is_an_error(self, snapshot, bad):
        target = self.scratch / "target.raw"
        ranges = [(r["offset"], r["length"]) for r in bad]
        all_named = "bytes 28672 to 36863, 4096000 to 4100095 "
        partial = target.with_name(target.name + ".ashlar-partial")
        zeroed = bytearray(self.disk.read_bytes())
        for offset, length in ranges:
            zeroed[offset : offset + length] = bytes(length)
        for _ in range(2):  # the second restore uses what the first one left
            line = self.run_ashlar("restore", snapshot, target).stderr.decode()
            self.assertIn(all_named, line)
            self.assertIn(str(partial), line)
            self.assertFalse(target.exists(), "the name promises all of the disk")
            self.assertEqual(partial.read_bytes(), zeroed)
        partial.unlink()
        self.fails(3, "restore", snapshot, target, says=all_named, code="corrupt")
        partial.unlink()
        before = noise(8 * MIB, 2)
        for words in (["--force"], ["--force", "--delta"]):
            target.write_bytes(before)
            self.fails(3, "restore", snapshot, target, *words, says=all_named)
            wanted = bytearray(self.disk.read_bytes())
            for offset, length in ranges:
                wanted[offset : offset + length] = before[offset : offset + length]
            self.assertEqual(target.read_bytes(), wanted, "all that is there, and nothing made up")
        for data in (self.disk.read_bytes(), zeroed):
            target.write_bytes(data)
            against = self.run_ashlar("verify", snapshot, "--against", target, "--json")
            self.assertEqual(against.returncode, 3)
            self.assertEqual(json.loads(against.stdout)["different"], bad)
        stream = self.run_ashlar("restore", snapshot, "-")
        self.assertEqual(stream.returncode, 3)
        self.assertRegex(stream.stderr.decode(), r"bytes (28672 to 36863|4096000 to 4100095)")
        self.assertTrue(self.disk.read_bytes().startswith(stream.stdout))
        self.assertLessEqual(len(stream.stdout), 7 * 4096)

    def test_what_no_retry_can_help(self):
        self.exported("nbdkit", "-f", "-U", self.socket, "--filter=error", "pattern", "64M",
                      "error-pread=ENOMEM", "error-pread-rate=100%")
        self.fails(1, "capture", self.uri, "--skip-unreadable", says="Cannot allocate memory")
        self.assertEqual(self.snapshots(), [])

    def slow_server(self):
        self.exported("nbdkit", "-f", "-U", self.socket, "--filter=delay", "pattern", "256M", "rdelay=50ms")

    def running_capture(self):
        running = self.start("capture", self.uri, "--progress", "json", "--threads", "1")
        self.wait_until(lambda: list((self.store / "sessions").glob("*")) or running.poll() is not None, "no start")
        time.sleep(0.3)
        self.assertIsNone(running.poll(), "it ended before the server could")
        return running

    def test_a_server_that_dies(self):
        self.slow_server()
        running = self.running_capture()
        self.server.send_signal(signal.SIGKILL)
        out, err = running.communicate(timeout=30)
        lines = [line for line in err.decode().splitlines() if not line.startswith("{")]
        self.assertEqual((running.returncode, out, len(lines)), (1, b"", 1), err)
        self.assertRegex(lines[0], r"\Aashlar: nbd\+unix:")
        self.assertEqual(self.snapshots(), [])
        self.assertEqual(self.ok_json("stats")["sessions"], 0)
        self.ok("verify", "--all")

    def test_a_server_that_hangs_can_be_left(self):
        self.slow_server()
        running = self.running_capture()
        self.server.send_signal(signal.SIGSTOP)
        try:
            time.sleep(0.3)
            self.assertIsNone(running.poll())
            running.send_signal(signal.SIGINT)
            out, err = running.communicate(timeout=30)
        finally:
            self.server.send_signal(signal.SIGCONT)
        self.assertEqual((running.returncode, out), (1, b""), err)
        self.assertIn(b"stopped", err)
        self.assertEqual(self.snapshots(), [])
        self.assertEqual([one["writer"] for one in self.ok_json("sessions", "list")["sessions"]], ["ended"], "in order")


if __name__ == "__main__":
    host.main()
