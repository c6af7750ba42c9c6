#!/usr/bin/env python3
"""Shows file systems mounted from volumes: snapshotted while they are written to, and with their server
killed. Files that were synced are always there afterwards."""

import os
import random
import subprocess
import threading
import time

import host
import volumes
from program import noise

MIB = 1 << 20


class Writer:
    """Replaces files by new ones, each synced before it takes the name, and records what is durable."""

    SLOTS = 24

    def __init__(self, folder, versions):
        self.folder = folder
        self.durable = dict(versions)
        self.last = max(versions.values(), default=0)
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    @staticmethod
    def content(version):
        start = version.to_bytes(8, "little")
        return start + noise(random.Random(version).choice((10, 3000, 40_000, 400_000)), version)

    def run(self):
        try:
            while not self.ending.is_set():
                self.write(self.last + 1)
        except OSError:
            pass  # the disk disappeared

    def write(self, version):
        slot = f"slot{random.Random(version).randrange(self.SLOTS)}"
        self.last = version
        with open(self.folder / "new", "wb") as file:
            file.write(self.content(version))
            file.flush()
            os.fsync(file.fileno())
        (self.folder / "new").rename(self.folder / slot)
        directory = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        self.durable[slot] = version

    def end(self):
        self.ending.set()
        self.thread.join(timeout=60)
        return not self.thread.is_alive()


class Mounted:
    """The tests for each file system, mounted from a volume over NBD, FUSE and a loop device."""

    def setUp(self):
        super().setUp()
        self.need("nbdfuse", self.make[0], self.check[0])
        self.need_root()
        disk = self.image("disk.raw", self.size)
        self.do(*self.make, disk)
        folder = self.mount_on("-o", "loop", disk)
        host.copy_some_files(folder, 24 * MIB)
        self.unmount(folder)
        self.base = self.capture(disk)
        self.volume = self.create(self.base)
        self.number = 0

    def attach(self):
        """Attaches a loop device to the volume and returns it."""
        self.number += 1
        file = self.file(f"fuse-{self.number}", b"")
        fuse = subprocess.Popen(["nbdfuse", file, self.uri(self.volume)], stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)
        self.addCleanup(self.stop, fuse)
        self.addCleanup(subprocess.run, ["umount", "-l", file], capture_output=True)
        self.wait_until(lambda: file.stat().st_size > 0 or fuse.poll() is not None, "no FUSE file")
        if fuse.poll() is not None:
            self.skipTest("no FUSE here")
        self.file_of_fuse, self.fuse = file, fuse
        self.device = self.loop(file)
        return self.device

    def take_apart(self, folder, *how):
        self.do("umount", *how, folder)
        self.do("losetup", "-d", self.device)
        self.wait_until(lambda: not self.do("losetup", "-j", self.file_of_fuse).strip(), "the loop device stays")
        # The kernel shows the device as free before it releases the file.
        self.wait_until(lambda: self.tried("umount", *how, self.file_of_fuse), "the FUSE file stays in use")
        self.stop(self.fuse)

    def checked(self, device, durable, newest):
        """Mounts what a crash may have left, and checks that the file system is sound and every synced file
        is there."""
        self.unmount(self.mount_on(*self.options, device))  # the mount replays the journal
        self.do(*self.check, device)
        folder = self.mount_on(*self.options, device)
        found = {}
        for slot, version in durable.items():
            data = (folder / slot).read_bytes()
            found[slot] = int.from_bytes(data[:8], "little")
            self.assertTrue(data == Writer.content(found[slot]), f"{slot} is torn")
            self.assertGreaterEqual(found[slot], version, f"{slot} went back")
            self.assertLessEqual(found[slot], newest)
        return folder, found

    def full_capture(self):
        """Returns the content digest of a capture of the volume's bytes without a parent."""
        copy = self.copy_of(self.volume)
        return self.ok_json("capture", copy, "--parent", "none")["snapshot"]["content"]

    def test_snapshots_while_it_is_written_to(self):
        taken = []
        with self.served("--volume", self.volume):
            folder = self.mount_on(*self.options, self.attach())
            writer = Writer(folder, {})
            self.addCleanup(writer.end)
            for number in range(3):
                before = writer.last
                self.wait_until(lambda: writer.last > before + 20, "nothing is written", seconds=90)
                durable = dict(writer.durable)
                report = self.ok_json("volume", "snapshot", self.volume, "--name", f"live {number}")
                taken.append((report["snapshot"], durable, writer.last))
            self.assertTrue(writer.thread.is_alive(), "the guest went on")
            self.assertTrue(writer.end())
            self.take_apart(folder)
            quiet = self.ok_json("volume", "snapshot", self.volume)
            self.assertEqual(quiet["snapshot"]["content"], self.full_capture())
            again = self.ok_json("volume", "snapshot", self.volume)
            self.assertEqual((again["new_bytes"], again["snapshot"]["content"]),
                             (0, quiet["snapshot"]["content"]))
        parents = [self.base, *(s["id"] for s, _, _ in taken)]
        self.assertEqual([s["parent"] for s, _, _ in taken], parents[:-1])
        for snapshot, durable, newest in taken:
            self.assertEqual(snapshot["consistency"], "instant")
            restored = self.loop(self.restored(snapshot["id"], f"{snapshot['id']}.raw"))
            folder, _ = self.checked(restored, durable, newest)
            self.unmount(folder)
        self.ok("verify", "--all")

    def test_made_on_the_volume(self):
        # mkfs discards the whole volume first, also what it does not hold yet.
        with self.served("--volume", self.volume, "--hydrate"):
            device = self.attach()
            self.do(*self.make, device)
            folder = self.mount_on(*self.options, device)
            host.copy_some_files(folder, 24 * MIB)
            (folder / "copy").mkdir()
            self.do("cp", "-a", *(path for path in folder.iterdir() if path.name not in ("copy", "lost+found")),
                    folder / "copy")
            wanted = self.digests(folder)
            self.do("fstrim", folder)
            self.take_apart(folder)
        with self.served("--volume", self.volume):
            device = self.attach()
            self.do(*self.check, device)
            folder = self.mount_on(*self.options, device)
            self.assertEqual(self.digests(folder), wanted)
            self.assertGreater(len(wanted), 100)
            self.take_apart(folder)

    def digests(self, folder):
        self.do("sync", "-f", folder)
        return self.do("sh", "-c", "find . -type f -print0 | sort -z | xargs -0 sha256sum", cwd=folder).splitlines()

    def test_kill_9_of_the_server(self):
        chance = host.seeded()
        durable = {}
        newest = 0
        for cycle in range(self.cycles):
            with self.subTest(cycle=cycle):
                server = self.server("--volume", self.volume, *(["--hydrate"] if cycle % 2 else []))
                folder, durable = self.checked(self.attach(), durable, newest)
                writer = Writer(folder, durable)
                self.addCleanup(writer.end)
                if cycle % 3 == 1:
                    self.ok("volume", "snapshot", self.volume)
                self.wait_until(lambda: writer.last > newest + 2, "nothing is written", seconds=90)
                time.sleep(chance.uniform(0, 1))
                server.kill()
                server.communicate(timeout=60)
                self.assertTrue(writer.end())
                durable, newest = writer.durable, writer.last
                self.take_apart(folder, "-l")
        self.assertGreater(newest, self.cycles * 2, "it was written to")
        with self.served("--volume", self.volume):
            self.take_apart(self.checked(self.attach(), durable, newest)[0])
            # The snapshot relies on what the maps call unchanged after so many kills, so it is compared with
            # a full capture.
            report = self.ok_json("volume", "snapshot", self.volume)
            self.assertEqual(report["snapshot"]["content"], self.full_capture())
        self.ok("verify", "--all")


class Ext4(Mounted, volumes.VolumeTest):
    make = ("mkfs.ext4", "-q", "-F")
    check = ("e2fsck", "-fn")
    options = ()
    cycles = 200 if host.LONG else 20
    size = 96 * MIB


class Xfs(Mounted, volumes.VolumeTest):
    make = ("mkfs.xfs", "-q", "-f")
    check = ("xfs_repair", "-n")
    options = ("-o", "nouuid")  # a restored copy has the id of its original
    cycles = 200 if host.LONG else 20
    size = 320 * MIB


if __name__ == "__main__":
    host.main()
