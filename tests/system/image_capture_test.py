#!/usr/bin/env python3
"""Shows images made of the disks of a host: several file systems under writes, frozen at the same time."""

import os
import threading

import host
from program import noise

MIB = 1 << 20


class Twins:
    """Writes one number after the other to two files, each durable before the next begins: the number in the
    first file is equal to that in the second, or larger by one."""

    WIDTH = 12

    def __init__(self, folders):
        self.files = [os.open(folder / "number", os.O_RDWR | os.O_CREAT) for folder in folders]
        self.ending = threading.Event()
        self.number = 0
        for file in self.files:
            self.write(file)
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def write(self, file):
        os.pwrite(file, b"%0*d" % (self.WIDTH, self.number), 0)
        os.fsync(file)

    def run(self):
        while not self.ending.is_set():
            self.number += 1
            for file in self.files:
                self.write(file)

    def end(self):
        self.ending.set()
        self.thread.join(timeout=60)
        for file in self.files:
            os.close(file)
        self.files = []


class Captured(host.HostTest):
    def setUp(self):
        super().setUp()
        self.need("mkfs.ext4", "losetup")
        self.need_root()
        self.init()

    def disks(self, folder):
        made = [folder / f"disk{number}.raw" for number in range(2)]
        for disk in made:
            with open(disk, "wb") as file:
                file.truncate(32 * MIB)
            self.do("mkfs.ext4", "-q", "-F", disk)
        return made

    def written_to(self, disks):
        mounts = [self.mount_on("-o", "loop", disk) for disk in disks]
        twins = Twins(mounts)
        self.addCleanup(twins.end)
        self.wait_until(lambda: twins.number > 20, "nothing is written")
        return mounts, twins

    def goes_on(self, twins):
        before = twins.number
        self.wait_until(lambda: twins.number > before + 3, "the file systems stay frozen")

    def numbers_in(self, image):
        numbers = []
        for mapping in self.ok_json("image", "describe", image)["Images"][0]["BlockDeviceMappings"]:
            disk = self.restored(mapping["Ebs"]["SnapshotId"], f"out{len(numbers)}.raw")
            numbers.append(int((self.mount_on("-o", "loop", disk) / "number").read_bytes()))
        return numbers

    def of_one_moment(self, disks):
        mounts, twins = self.written_to(disks)
        words = [f"--device=/dev/sda={disks[0]}", f"--device=/dev/sdb={disks[1]}"]
        self.fails(1, "image", "capture", "--name", "now", *words, says=(str(mounts[0]), "--freeze"), code="busy")
        self.assertEqual((self.ok_json("image", "list")["Images"], self.snapshots()), ([], []))
        freeze = [f"--freeze={mount}" for mount in mounts]
        image = self.ok("image", "capture", "--name", "now", *words, *freeze, "--tag", "a=b").strip()
        self.goes_on(twins)
        shown = self.ok_json("image", "describe", image)["Images"][0]
        self.assertEqual((shown["State"], shown["Consistency"], shown["RootDeviceName"]), ("available", "frozen", "/dev/sda"))
        first, second = self.numbers_in(image)
        self.assertIn(first - second, (0, 1), "not of one moment")
        live = self.ok("image", "capture", "--name", "live", *words, "--live").strip()
        self.assertEqual(self.ok_json("image", "describe", live)["Images"][0]["Consistency"], "live")
        twins.end()
        for mount in mounts:
            self.unmount(mount)
        quiet = self.ok("image", "capture", "--name", "quiet", *words).strip()
        self.assertEqual(self.ok_json("image", "describe", quiet)["Images"][0]["Consistency"], "stopped")
        self.assertEqual(self.numbers_in(quiet), [twins.number] * 2)
        self.ok("image", "verify", quiet)

    def test_two_disks_under_one_freeze(self):
        self.of_one_moment(self.disks(self.scratch))

    def test_two_files_that_can_be_cloned(self):
        self.need("mkfs.xfs")
        backing = self.image("xfs.img", 2 << 30)
        self.do("mkfs.xfs", "-q", "-m", "reflink=1", backing)
        disks = self.disks(self.mount_on("-o", "loop", backing))
        self.of_one_moment(disks)
        self.make_long(disks[0])
        mounts, twins = self.written_to(disks)
        running = self.start("image", "capture", "--name", "long", f"--device=/dev/sda={disks[0]}", f"--device=/dev/sdb={disks[1]}",
                             *(f"--freeze={mount}" for mount in mounts))
        packs = len(list((self.store / "packs").rglob("*.pack")))
        self.wait_until(lambda: len(list((self.store / "packs").rglob("*.pack"))) > packs, "nothing is stored")
        self.goes_on(twins)
        self.assertIsNone(running.poll(), "writers go on before the capture ends")
        self.assertEqual(running.wait(timeout=120), 0)
        first, second = self.numbers_in(running.communicate()[0].decode().strip())
        self.assertIn(first - second, (0, 1), "not of one moment")

    def make_long(self, disk):
        with open(disk, "r+b") as file:
            file.seek(32 * MIB)  # after the end of the file system
            for seed in range(6):
                file.write(noise(64 * MIB, seed))

    def test_a_file_system_on_a_file_of_another(self):
        """Shows that a file system and one on a file in it can be frozen together, in whichever order they
        are named."""
        outer = self.image("outer.img", 256 * MIB)
        self.do("mkfs.ext4", "-q", "-F", outer)
        below = self.mount_on("-o", "loop", outer)
        inner = self.disks(below)[0]
        above = self.mount_on("-o", "loop", inner)
        for name, freeze in (("one", [below, above]), ("two", [above, below])):
            image = self.ok("image", "capture", "--name", name, f"--device=/dev/sda={inner}", f"--device=/dev/sdb={outer}",
                            *(f"--freeze={mount}" for mount in freeze)).strip()
            self.assertEqual(self.ok_json("image", "describe", image)["Images"][0]["Consistency"], "frozen")
            (above / "more").write_text("writing works again")
            self.ok("capture", outer, *(f"--freeze={mount}" for mount in freeze))

    def test_what_somebody_uses_already_stays(self):
        disks = self.disks(self.scratch)
        self.make_long(disks[1])
        running = self.start("image", "capture", "--name", "now", f"--device=/dev/sda={disks[0]}", f"--device=/dev/sdb={disks[1]}")
        self.wait_until(lambda: self.snapshots() or running.poll() is not None, "no snapshot is made")
        self.assertIsNone(running.poll(), "too quick for this test")
        first = self.snapshots()[0]
        volume = self.ok("volume", "create", "--snapshot", first).strip()
        running.terminate()
        running.communicate()
        self.assertEqual((self.ok_json("image", "list")["Images"], self.snapshots()), ([], [first]))
        self.ok("volume", "hydrate", volume)

    def test_what_goes_wrong_leaves_nothing(self):
        disks = self.disks(self.scratch)
        words = ["image", "capture", "--name", "now", f"--device=/dev/sda={disks[0]}"]
        self.fails(1, *words, f"--device=/dev/sdb={self.scratch}/none", says="none", code="not_found")
        self.fails(1, *words, "--freeze", self.scratch, says="mount point", code="invalid")
        for more in (["--device=sdb"], ["--device=/dev/sda=x"], ["--device=/dev/sdb=-"], ["--root-device", "/dev/sdc"],
                     ["--live", "--freeze", "/"]):
            self.fails(2, *words, *more, code="usage")
        self.assertEqual((self.ok_json("image", "list")["Images"], self.snapshots()), ([], []))

    def test_a_capture_that_is_killed(self):
        disks = self.disks(self.scratch)
        self.make_long(disks[0])
        mounts, twins = self.written_to(disks)
        words = ["image", "capture", "--name", "now", f"--device=/dev/sda={disks[0]}", f"--device=/dev/sdb={disks[1]}",
                 *(f"--freeze={mount}" for mount in mounts)]
        running = self.start(*words)
        self.wait_until(lambda: list((self.store / "packs").rglob("*.pack")) or running.poll() is not None, "nothing is stored")
        self.assertIsNone(running.poll(), "too quick for this test")
        running.kill()
        running.communicate()
        self.goes_on(twins)
        self.assertEqual([one["State"] for one in self.ok_json("image", "list")["Images"]], ["failed"])
        image = self.ok(*words).strip()
        self.assertEqual(self.ok_json("image", "describe", image)["Images"][0]["State"], "available")


if __name__ == "__main__":
    host.main()
