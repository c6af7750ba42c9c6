#!/usr/bin/env python3
"""Shows disks with real file systems on loop devices: captured, edited, captured again, restored, and found
clean."""

import signal
import subprocess
import time

import host
from program import noise

MIB = 1 << 20


class RealDisk:
    """The tests for each file system; a subclass says how it is made and checked."""

    def setUp(self):
        super().setUp()
        self.need(self.make[0], self.check[0], "fsfreeze")
        self.init()
        self.disk = self.image("disk.raw", self.size)
        self.device = self.loop(self.disk)
        self.do(*self.make, self.device)
        self.folder = self.mount_on(self.device)
        host.copy_some_files(self.folder, self.size // 4)

    def mount_again(self):
        self.folder = self.mount_on(self.device)

    def edit(self):
        """Changes the disk as a day of use does: it writes into a file, lets one grow, removes one and adds
        one."""
        files = sorted((p for p in self.folder.rglob("*") if p.is_file()), key=lambda p: (p.stat().st_size, str(p)))
        with open(files[-1], "r+b") as file:
            file.seek(files[-1].stat().st_size // 2)
            file.write(noise(100_000, 3))
        with open(files[-2], "ab") as file:
            file.write(noise(300_000, 4))
        files[-3].unlink()
        (self.folder / "new").write_bytes(noise(MIB, 5))

    def is_clean(self, path):
        self.do(*self.check, path)

    def test_a_disk_over_two_days(self):
        self.unmount(self.folder)
        first = self.ok_json("capture", self.device)
        self.assertEqual(first["snapshot"]["consistency"], "quiescent")
        self.assertIsNone(first["snapshot"]["parent"])
        monday = self.disk.read_bytes()
        self.mount_again()
        self.edit()
        self.unmount(self.folder)

        second = self.ok_json("capture", self.device)
        self.assertEqual(second["snapshot"]["parent"], first["snapshot"]["id"], "found by its identity")
        self.assertGreaterEqual(second["new_bytes"], MIB)
        self.assertLess(second["new_bytes"], 8 * MIB)
        self.assertLess(second["new_bytes"], first["new_bytes"] // 2)

        restored = self.restored(second["snapshot"]["id"])
        self.same(self.disk, restored)
        self.is_clean(restored)
        restored = self.restored(first["snapshot"]["id"])
        self.assertEqual(restored.read_bytes(), monday)
        self.is_clean(restored)
        self.restored_onto_a_device(second["snapshot"]["id"], first["snapshot"]["id"], monday)
        self.ok("verify", "--all")

    def restored_onto_a_device(self, snapshot, older, old_bytes):
        backing = self.image("target.raw", self.size + MIB)
        with open(backing, "r+b") as file:
            for _ in range(self.size // MIB + 1):
                file.write(noise(MIB, 6))  # old data of the target must not remain visible
        target = self.loop(backing)
        self.ok("restore", snapshot, target, "--force", "--verify")
        self.do("cmp", "-n", self.size, self.device, target)
        self.is_clean(target)
        self.fails(1, "restore", older, target, says=(self.make[0].split(".")[1], "--force"), code="busy")
        self.do("cmp", "-n", self.size, self.device, target)
        back = self.ok_json("restore", older, target, "--delta", "--force")
        self.assertLess(back["written_bytes"], self.size // 4, "only what differs is written")
        with open(target, "rb") as file:
            self.assertEqual(file.read(self.size), old_bytes)
        self.ok("verify", older, "--against", target)

        small = self.loop(self.image("small.raw", self.size - MIB))
        self.fails(1, "restore", snapshot, small, "--force", says=(str(small), "larger"))

    def test_a_disk_in_use(self):
        self.fails(1, "capture", self.device, says=(str(self.folder), "--freeze", "--live"), code="busy")
        report = self.ok_json("capture", self.device, "--freeze", self.folder)
        self.assertEqual(report["snapshot"]["consistency"], "frozen")
        self.assert_writable()
        snapshot = report["snapshot"]["id"]
        restored = self.restored(snapshot)
        # A frozen XFS keeps its log for the next mount to replay.
        self.unmount(self.mount_on("-o", f"loop{self.replay}", restored))
        self.is_clean(restored)
        self.fails(1, "restore", snapshot, self.device, "--force", says=str(self.device), code="busy")
        self.assert_writable()

    def test_a_capture_killed_while_it_freezes(self):
        caught, wanted = 0, 5 if host.LONG else 2
        for _ in range(10 * wanted):
            running = self.start("capture", self.device, "--freeze", self.folder, "--threads", "1", "--parent", "none")
            self.wait_until(lambda: self.is_frozen() or running.poll() is not None, "it never froze")
            caught += running.poll() is None  # a capture may end before it is seen frozen
            running.send_signal(signal.SIGKILL)
            running.wait()
            began = time.monotonic()
            self.assert_writable()
            self.assertLess(time.monotonic() - began, 5)
            if caught == wanted:
                break
        self.assertEqual(caught, wanted, "killed while frozen")
        self.ok("capture", self.device, "--freeze", self.folder)

    def is_frozen(self):
        # A freeze is not a way to find out: it is refused when the file system is frozen, and has to be
        # undone when not. So the test looks whether a write of a child waits.
        probe = subprocess.Popen(["sh", "-c", f"echo x > '{self.folder}/probe'"])
        try:
            probe.wait(timeout=0.15)
            return False
        except subprocess.TimeoutExpired:
            return True
        finally:
            probe.kill()
            self.addCleanup(probe.wait, timeout=20)  # it ends once the file system is writable again

    def assert_writable(self):
        with subprocess.Popen(["sh", "-c", f"echo x > '{self.folder}/after' && sync -f '{self.folder}'"]) as writing:
            try:
                self.assertEqual(writing.wait(timeout=10), 0)
            except subprocess.TimeoutExpired:
                subprocess.run(["fsfreeze", "-u", self.folder], capture_output=True)
                self.fail("the file system is still frozen")


class Ext4(RealDisk, host.HostTest):
    make = ("mkfs.ext4", "-q", "-F")
    check = ("e2fsck", "-fn")
    replay = ""
    size = (512 if host.LONG else 96) * MIB


class Xfs(RealDisk, host.HostTest):
    make = ("mkfs.xfs", "-q", "-f")
    check = ("xfs_repair", "-n")
    replay = ",nouuid"
    size = (512 if host.LONG else 320) * MIB  # mkfs.xfs refuses less than 300 MiB


if __name__ == "__main__":
    host.main()
