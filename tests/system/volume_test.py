#!/usr/bin/env python3
"""Shows volumes as users see them: there at once, grown, read and written by QEMU, hydrated, cut off from
their store, short of space, and never deleted while in use."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import time

import host
import volumes
from program import noise

MIB, TIB = 1 << 20, 1 << 40
BLOCK = host.BLOCK


class Life(volumes.VolumeTest):
    """The life of volumes, from create to delete."""

    def setUp(self):
        super().setUp()
        self.disk = self.file("disk.raw", noise(6 * MIB, 1) + bytes(6 * MIB) + noise(4 * MIB + 512, 2))
        self.size = self.disk.stat().st_size
        self.snapshot = self.capture(self.disk)

    def test_a_volume_is_the_disk_that_it_was_made_from(self):
        self.need("nbdinfo")
        volume = self.create(self.snapshot, "--name", "first")
        other = self.create(self.snapshot, "--size", "64M")
        self.assertRegex(volume, r"\Avol-0[0-9a-f]{16}\Z")
        listed = self.ok_json("volume", "list")["volumes"]
        self.assertEqual([(v["id"], v["size_bytes"], v["snapshot"]) for v in listed],
                         [(volume, self.size, self.snapshot), (other, 64 * MIB, self.snapshot)])
        self.fails(1, "volume", "create", "--snapshot", self.snapshot, "--size", "16M", says=str(self.size),
                   code="invalid")
        self.assertEqual(len(self.ok_json("volume", "list")["volumes"]), 2)
        with self.served("--all"):
            self.compare(self.disk, volume)
            self.io_ok(other, f"read -P 0 {self.size} {64 * MIB - self.size}")
            exports = json.loads(self.do("nbdinfo", "--list", "--json", f"nbd+unix:///?socket={self.socket}"))
            self.assertEqual({(e["export-name"], e["export-size"]) for e in exports["exports"]},
                             {(volume, self.size), (other, 64 * MIB)})
            self.assertTrue(self.state(volume)["served"])
            self.assertGreater(self.state(volume)["clean_bytes"], 10 * MIB, "what was read is kept")
        self.assertFalse(self.state(volume)["served"])
        with self.served(self.snapshot):
            self.compare(self.disk, self.snapshot)
            self.io_fails(self.snapshot, "write 0 4096", "ermi")

    def test_a_damaged_record_keeps_no_other_volume_from_being_served(self):
        good, bad = self.create(self.snapshot), self.create(self.snapshot)
        record = self.store / "volumes" / bad
        data = record.read_bytes()
        record.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        done = self.run_ashlar("volume", "list", "--json")
        self.assertEqual((done.returncode, [v["id"] for v in json.loads(done.stdout)["volumes"]]), (3, [good]))
        self.assertIn(bad, done.stderr.decode())
        done = self.run_ashlar("verify", "--all")
        self.assertEqual(done.returncode, 3)
        self.assertIn(f"damaged: volumes/{bad}", done.stdout.decode())
        running = self.server("--all")
        self.compare(self.disk, good)
        running.send_signal(signal.SIGTERM)
        _, err = running.communicate(timeout=60)
        self.assertEqual(running.returncode, 0)
        self.assertEqual(err.decode().count(bad), 1, err)
        self.ok("store", "discard", bad, "--yes")
        self.ok("verify", "--all")
        self.ok("volume", "list")

    def test_a_volume_grows(self):
        volume = self.create(self.snapshot)
        self.fails(1, "volume", "resize", volume, "--size", "1M", says="grow", code="invalid")
        self.fails(2, "volume", "resize", volume, says="--size", code="usage")
        self.fails(1, "volume", "resize", "vol-00000000000000abc", "--size", "1G", says="no volume", code="not_found")
        self.ok("volume", "resize", volume, "--size", "40M")
        with self.served("--volume", volume):
            self.io_ok(volume, f"read -P 0 {self.size} {40 * MIB - self.size}", "write -P 9 39M 1M", "flush")
            self.ok("volume", "resize", volume, "--size", "80M")
            self.io_ok(volume, "read -P 9 39M 1M", "read -P 0 40M 40M", "write -P 4 79M 1M", "flush")
            self.fails(1, "volume", "resize", volume, "--size", "79M", says="grow", code="invalid")
        with self.served("--volume", volume):
            self.io_ok(volume, "read -P 9 39M 1M", f"read -P 0 {self.size} {39 * MIB - self.size}", "read -P 4 79M 1M")
            with open(self.copy_of(volume), "rb") as copy:
                self.assertEqual(copy.read(self.size), self.disk.read_bytes())

    def test_a_hydrated_volume_needs_no_store(self):
        volume = self.create(self.snapshot, "--size", "24M")
        with self.served("--volume", volume):
            self.io_ok(volume, "write -P 7 1M 100k", "write -z 3M 1M", "discard 4M 1M", "write -P 8 20M 64k")
            truth = self.copy_of(volume)
        self.fails(1, "volume", "detach-store", volume, says="hydrate", code="invalid")
        self.ok("volume", "hydrate", volume)
        self.assertEqual(self.state(volume)["absent_bytes"], 0)
        data = pathlib.Path(self.ok("volume", "detach-store", volume).strip())
        self.assertEqual(data, self.overlay(volume) / "data")
        for folder in (self.store / "packs", self.store / "meta", self.store / "snapshots", self.host_folder / "index"):
            folder.rename(self.scratch / folder.name)
        self.same(truth, data)
        with self.served("--volume", volume):
            self.compare(truth, volume)
            self.io_ok(volume, "write -P 5 10M 1M", "flush")
        with open(data, "rb") as file:
            file.seek(10 * MIB)
            self.assertEqual(file.read(MIB), bytes([5]) * MIB)
        self.fails(1, "volume", "snapshot", volume, says="detached", code="unsupported")
        self.ok("volume", "resize", volume, "--size", "40M")
        with self.served("--volume", volume):
            self.io_ok(volume, "read -P 0 24M 16M", "write -P 6 39M 100", "read -P 6 39M 100", "read -P 5 10M 1M")

    def test_a_server_hydrates_its_volumes(self):
        volume = self.create(self.snapshot)
        with self.served("--volume", volume, "--hydrate"):
            self.wait_until(lambda: self.state(volume)["absent_bytes"] == 0, "it never ends")
            self.compare(self.disk, volume)
        self.ok("volume", "detach-store", volume)
        self.same(self.disk, self.overlay(volume) / "data")

    def test_a_client_of_a_server_that_died_does_not_go_on(self):
        volume = self.create(self.snapshot)
        server = self.server("--all")
        self.assertIn(f"{volume}@1", self.ask_server(verb="open", volume=volume)["address"])
        self.io_ok(f"{volume}@1", "write -P 7 0 1M")
        server.kill()
        server.communicate(timeout=20)
        with self.served("--all"):
            # A write that was answered but not flushed may be lost; a client that was told of it must not be
            # served as if it were not.
            self.io_fails(f"{volume}@1", "read 0 4k", "export")
            self.io_ok(f"{volume}@2", "write -P 8 0 1M")
        with self.served("--all"):
            self.io_ok(f"{volume}@2", "read -P 8 0 1M")  # a clean end loses nothing
            self.io_ok(volume, "read -P 8 0 1M")
            for name in (f"{volume}@", f"{volume}@02", f"{volume}@2@2", "@2"):
                self.io_fails(name, "read 0 4k", "export")

    def test_nonsense_on_the_control_sockets_ends_nothing(self):
        volume = self.create(self.snapshot)
        with self.served("--all"):
            for request in ({"verb": "open", "volume": 7}, {"verb": []}, {"verb": "close", "volume": None}, {}):
                self.assertIn("error", self.ask_server(**request))
            for request in ({"verb": "hydrate", "rate": "x"}, {"verb": "snapshot", "tags": 5}, {"verb": 1}):
                self.assertIn("error", self.ask_server(folder=self.overlay(volume), **request))
            self.io_ok(volume, "read 0 4k")

    def ask_server(self, folder=None, **request):
        with socket.socket(socket.AF_UNIX) as control:
            held = os.open(folder or self.overlay(""), os.O_PATH)
            try:
                control.connect(f"/proc/self/fd/{held}/control")
            finally:
                os.close(held)
            control.sendall(json.dumps(request).encode() + b"\n")
            return json.loads(control.makefile().readline())

    def test_one_bad_volume_keeps_no_other_from_being_served(self):
        bad, good = self.create(self.snapshot), self.create(self.snapshot)
        (self.overlay(bad) / "map").unlink()
        server = self.server("--all")
        self.io_ok(good, "read 0 4k")
        server.terminate()
        self.assertIn(bad, server.communicate(timeout=20)[1].decode())
        self.assertEqual(server.returncode, 0)

    def test_the_raw_file_is_captured_only_when_it_is_the_volume(self):
        volume = self.create(self.snapshot)
        data = self.overlay(volume) / "data"
        self.fails(1, "capture", data, says="volume snapshot", code="invalid")
        self.ok("volume", "hydrate", volume)
        self.ok("volume", "detach-store", volume)
        with self.served("--volume", volume):
            self.fails(1, "capture", data, says="served", code="busy")
        again = self.ok_json("capture", data)["snapshot"]
        self.assertEqual(again["content"], self.ok_json("describe", self.snapshot)["snapshot"]["content"])

    def test_nothing_in_use_is_deleted(self):
        volume = self.create(self.snapshot)
        self.fails(1, "delete", self.snapshot, says=volume, code="busy")
        with self.served("--volume", volume):
            self.io_ok(volume, "write -P 7 0 1M", "flush")
            self.fails(1, "volume", "delete", volume, says="open", code="busy")
            second = self.server_refused("--volume", volume)
            self.assertIn("open", second)
            newer = self.ok("volume", "snapshot", volume).strip()
            self.io_ok(volume, "read -P 7 0 1M")
        # The volume has the new snapshot as its base, so the old one is free.
        self.fails(1, "delete", newer, says=volume, code="busy")
        self.ok("delete", self.snapshot)
        with self.served("--volume", volume):
            self.io_ok(volume, "read -P 7 0 1M")
        self.ok("volume", "delete", volume)
        self.assertFalse(self.overlay(volume).exists())
        self.fails(1, "volume", "describe", volume, says=volume, code="not_found")
        self.ok("delete", newer)

    def test_a_server_of_all_volumes_takes_new_ones_and_lets_them_go(self):
        first = self.create(self.snapshot)
        with self.served("--all"):
            self.io_ok(first, "write -P 7 0 1M", "flush")
            later = self.capture(self.file("later.raw", noise(3 * MIB, 9)))  # by a process of its own
            second = self.create(later)
            self.compare(self.scratch / "later.raw", second)
            clone = self.ok("volume", "clone", first, "--size", "32M").strip()
            self.io_ok(first, "write -P 8 0 1M", "flush")
            self.io_ok(clone, "read -P 7 0 1M", f"read -P 0 {self.size} {32 * MIB - self.size}")
            self.assertIn("another", self.server_refused("--all"))
            client = subprocess.Popen(["qemu-io", "-f", "raw", "-c", "read 0 4k", "-c", "sleep 60000",
                                       self.uri(second)], stdout=subprocess.DEVNULL)
            self.addCleanup(self.stop, client, signal.SIGKILL)
            self.wait_until(lambda: self.state(second)["reads"] > 0, "it never connects")
            self.fails(1, "volume", "delete", second, says="client", code="busy")
            self.stop(client, signal.SIGKILL)
            self.ok("volume", "delete", second)
            self.io_fails(second, "read 0 4k", "export")
            self.assertFalse(self.overlay(second).exists())
            self.io_ok(first, "read -P 8 0 1M")

    def test_a_clone_of_a_volume_that_nobody_serves(self):
        volume = self.create(self.snapshot)
        with self.served("--volume", volume):
            self.io_ok(volume, "write -P 7 0 1M", "flush")
        clone = self.ok("volume", "clone", volume, "--name", "again").strip()
        with self.served("--all"):
            self.io_ok(volume, "write -P 6 0 1M", "flush")
            self.io_ok(clone, "read -P 7 0 1M")

    def test_hydrated_and_detached_under_its_client(self):
        volume = self.create(self.snapshot)
        with self.served("--volume", volume):
            self.fails(1, "volume", "detach-store", volume, says="hydrate", code="invalid")
            self.ok("volume", "hydrate", volume)
            self.assertEqual(self.state(volume)["absent_bytes"], 0)
            data = pathlib.Path(self.ok("volume", "detach-store", volume).strip())
            self.same(self.disk, data)
            for folder in ("packs", "meta"):
                (self.store / folder).rename(self.scratch / folder)
            self.ok("volume", "resize", volume, "--size", "40M")
            self.compare_with_zeros_behind(volume)

    def compare_with_zeros_behind(self, volume):
        with open(self.copy_of(volume), "rb") as copy:
            self.assertTrue(copy.read(self.size) == self.disk.read_bytes())
            self.assertEqual(copy.read().count(0), 40 * MIB - self.size)

    def test_what_is_deleted_leaves_nothing_behind(self):
        volume = self.create(self.snapshot)
        server = self.server("--volume", volume)
        self.io_ok(volume, "write -P 7 0 1M")
        server.kill()
        server.communicate(timeout=20)
        self.ok("volume", "delete", volume)
        # A disk cannot be larger than a file may be, which depends on the file system.
        self.run_ashlar("volume", "create", "--snapshot", self.snapshot, "--size", "65536T")
        left = [v["id"] for v in self.ok_json("volume", "list")["volumes"]]
        self.assertEqual([path.name for path in self.overlay("").iterdir()], left)

    def server_refused(self, *words):
        done = self.run_ashlar("serve", "--socket", self.scratch / "second", *words)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertFalse((self.scratch / "second").exists())
        return done.stderr.decode()

    def test_terminated_with_unflushed_data(self):
        volume = self.create(self.snapshot)
        with self.served("--volume", volume):
            client = subprocess.Popen(["qemu-io", "-f", "raw", "-c", "write -P 3 0 1M", "-c", "write -P 4 12M 64k",
                                       "-c", "sleep 60000", self.uri(volume)], stdout=subprocess.DEVNULL)
            self.addCleanup(self.stop, client, signal.SIGKILL)
            self.wait_until(lambda: self.state(volume)["dirty_bytes"] == MIB + 65536, "nothing is written")
            self.assertIsNone(client.poll(), "it is still connected")
        self.assertEqual(self.state(volume)["dirty_bytes"], MIB + 65536)
        with self.served("--volume", volume):
            self.io_ok(volume, "read -P 3 0 1M", "read -P 4 12M 64k", "read -P 0 8M 1M")


class Large(volumes.VolumeTest):
    def test_64_tib_are_there_at_once(self):
        folder = self.sparse_folder()
        self.store = folder / "store"
        self.init()
        disk = folder / "disk.raw"
        with open(disk, "wb") as file:
            file.truncate(64 * TIB)
            file.seek(63 * TIB)
            file.write(noise(MIB, 1))
        snapshot = self.capture(disk)
        began = time.monotonic()
        volume = self.create(snapshot)
        self.assertLess(time.monotonic() - began, 5, "hours would be O(n)")
        with self.served("--volume", volume):
            self.io_ok(volume, "read -P 0 0 1M", f"write -P 6 {40 * TIB} 64k", "flush")
            piece = self.file("piece", noise(MIB, 1))
            self.io_ok(volume, f"write -s {piece} {62 * TIB} 1M", "flush")
            before = time.monotonic()
            report = self.ok_json("volume", "snapshot", volume)
            self.assertLess(time.monotonic() - before, 10)
            self.assertEqual(report["new_bytes"], BLOCK, "one piece is known, the other is one block")
        self.assertLess(sum(p.stat().st_blocks * 512 for p in self.overlay(volume).iterdir()), 16 * MIB)


class Faults(volumes.VolumeTest):
    def away(self):
        for folder in ("packs", "meta"):
            (self.store / folder).rename(self.scratch / folder)

    def back(self):
        for folder in ("packs", "meta"):
            (self.scratch / folder).rename(self.store / folder)

    def test_a_store_that_is_away_for_a_while(self):
        disk = self.file("disk.raw", noise(16 * MIB, 1))
        volume = self.create(self.capture(disk))
        with self.served("--volume", volume):
            self.io_ok(volume, "read 0 4M")
        with self.served("--volume", volume):
            self.away()
            self.io_ok(volume, "read 0 4M", "read 1M 64k")
            for command in ("read 8M 4k", "read 3M 2M", "write 9000000 100"):
                self.io_fails(volume, command, "Input/output error")
            # Writes of whole blocks do not need the store.
            self.io_ok(volume, "write -P 5 12M 1M", "flush", "read -P 5 12M 1M")
            self.back()
            self.io_ok(volume, "read 8M 4k", "read 3M 2M", "write -P 6 9000000 100")
            copy = self.copy_of(volume).read_bytes()
        truth = bytearray(disk.read_bytes())
        truth[12 * MIB : 13 * MIB] = bytes([5]) * MIB
        truth[9000000:9000100] = bytes([6]) * 100
        self.assertTrue(copy == truth)

    def test_wrong_bytes_are_never_given_out(self):
        disk = self.file("disk.raw", noise(16 * MIB, 1))
        volume = self.create(self.capture(disk))
        with self.served("--volume", volume):
            sound = {}
            for pack in (self.store / "packs").rglob("*.pack"):
                sound[pack] = pack.read_bytes()
                pack.chmod(0o600)
                pack.write_bytes(self.spoiled(sound[pack]))
            self.io_fails(volume, "read 8M 4k", "Input/output error")
            self.io_fails(volume, "read 0 16M", "Input/output error")
            for pack, data in sound.items():
                pack.write_bytes(data)
            self.compare(disk, volume)

    def spoiled(self, data):
        """Returns the data with one byte of each 4 KiB changed."""
        data = bytearray(data)
        data[77::BLOCK] = bytes(byte ^ 1 for byte in data[77::BLOCK])
        return data

    def test_a_full_disk_under_the_overlay(self):
        folder = self.mount_on("-t", "tmpfs", "-o", "size=32M", "tmpfs")
        self.store = folder / "store"
        self.init()
        volume = self.create(self.capture(self.file("small.raw", noise(MIB, 1))), "--size", "256M")
        held, full = [], None
        with self.served("--volume", volume):
            for number in range(2, 60):
                status, text = self.io(volume, f"write -P {number} {number}M 1M")
                if "No space left" in text:
                    full = number
                    break
                self.assertEqual(status, 0, text)
                held.append(number)
            self.assertTrue(full and len(held) > 10, "32 MiB hold about 30")
            # The failed write changed nothing, and the answered ones stay.
            self.io_ok(volume, f"read -P 0 {full}M 1M")
            for number in held:
                self.io_ok(volume, f"read -P {number} {number}M 1M")
            self.compare_start(volume)
            self.do("mount", "-o", "remount,size=64M", folder)
            self.io_ok(volume, f"write -P {full} {full}M 1M", "flush", f"read -P {full} {full}M 1M")
        with self.served("--volume", volume):
            for number in [*held, full]:
                self.io_ok(volume, f"read -P {number} {number}M 1M")

    def compare_start(self, volume):
        """Checks that reads from the store succeed without room to keep what they fetch."""
        with open(self.copy_of(volume), "rb") as copy:
            self.assertEqual(copy.read(MIB), noise(MIB, 1))


if __name__ == "__main__":
    host.main()
