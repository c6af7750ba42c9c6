#!/usr/bin/env python3
"""Shows that sources in use are refused with a reason, are captured with --live or --freeze, and restore to a
file system that fsck finds clean."""

import fcntl
import os
import pathlib
import subprocess
import time

import program


class Mounts(program.ProgramTest):
    def setUp(self):
        super().setUp()
        self.need_root()
        self.init()
        self.source = self.scratch / "disk.raw"
        subprocess.run(["truncate", "-s", "64M", self.source], check=True)
        if subprocess.run(["mkfs.ext4", "-q", "-F", self.source], capture_output=True).returncode != 0:
            self.skipTest("mkfs.ext4 is missing")
        self.folder = self.mount("-o", "loop", self.source)
        for number in range(50):
            (self.folder / f"file-{number}").write_bytes(program.noise(50_000, number))

    def device(self):
        found = subprocess.run(["findmnt", "-n", "-o", "SOURCE", self.folder], capture_output=True, text=True)
        return pathlib.Path(found.stdout.strip())

    def restored_is_clean(self, snapshot):
        target = self.scratch / "restored.raw"
        self.ok("restore", snapshot, target, "--verify")
        checked = subprocess.run(["fsck.ext4", "-f", "-n", target], capture_output=True, text=True)
        self.assertEqual(checked.returncode, 0, checked.stdout)
        target.unlink()

    def test_a_mounted_source_is_refused(self):
        for source in (self.source, self.device()):
            self.fails(1, "capture", source, says=(str(self.folder), "--freeze", "--live"), code="busy")
        self.fails(1, "capture", self.device(), "--freeze", self.scratch, says=str(self.folder))
        self.assertEqual(self.ok_json("snapshots")["snapshots"], [])

    def test_live_says_so(self):
        report = self.ok_json("capture", self.device(), "--live")
        self.assertEqual(report["snapshot"]["consistency"], "live")

    def test_freeze_gives_a_clean_file_system_and_thaws(self):
        report = self.ok_json("capture", self.device(), "--freeze", self.folder)
        self.assertEqual(report["snapshot"]["consistency"], "frozen")
        (self.folder / "after").write_text("writing works again")
        self.restored_is_clean(report["snapshot"]["id"])

    def test_freezing_something_else_is_not_recorded(self):
        other = self.file("other.raw", program.noise(1 << 20))
        done = self.run_ashlar("--json", "capture", other, "--freeze", self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("other.raw", done.stderr.decode())
        self.assertIn('"consistency": "quiescent"', done.stdout.decode())
        inside = self.folder / "inside.raw"
        inside.write_bytes(program.noise(1 << 20))
        report = self.ok_json("capture", inside, "--freeze", self.folder)
        self.assertEqual(report["snapshot"]["consistency"], "frozen", "its writers were held still")

    def test_freezing_what_covers_the_mount_does_not_count(self):
        device = self.device()
        cover = self.scratch / "cover.raw"
        subprocess.run(["truncate", "-s", "16M", cover], check=True)
        subprocess.run(["mkfs.ext4", "-q", "-F", cover], check=True)
        subprocess.run(["mount", "-o", "loop", cover, self.folder], check=True)
        self.mounts.append(self.folder)
        self.fails(1, "capture", device, "--freeze", self.folder, says=str(self.folder), code="busy")

    def test_a_log_on_the_frozen_file_system_is_refused(self):
        log = self.folder / "log"
        for fd, name in enumerate(("input", "output", "error")):
            log.write_text("")
            with log.open("r+b") as file:
                done = self.run_ashlar("capture", self.device(), "--freeze", self.folder, "--progress", "json",
                                       preexec_fn=lambda: os.dup2(file.fileno(), fd))
            self.assertEqual(done.returncode, 1)
            said = log.read_text() if fd == 2 else done.stderr.decode()
            self.assertRegex(said, rf"\Aashlar: {self.folder}: [^\n]*standard {name}[^\n]*\n\Z")
        self.assertEqual(self.ok_json("snapshots")["snapshots"], [])

    def test_a_reader_of_the_progress_that_hangs_keeps_nothing_frozen(self):
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        try:
            while True:
                os.write(writer, b" " * 4096)
        except BlockingIOError:
            os.set_blocking(writer, True)
        environment = {**os.environ, "ASHLAR_STORE": str(self.store)}
        running = subprocess.Popen([program.PROGRAM, "capture", self.device(), "--freeze", self.folder, "--progress",
                                    "json"], env=environment, stdout=subprocess.DEVNULL, stderr=writer)
        self.addCleanup(running.wait)
        self.addCleanup(running.kill)
        os.close(writer)
        while not (self.store / "snapshots").exists():
            self.assertIsNone(running.poll())
            time.sleep(0.01)
        subprocess.run(["touch", self.folder / "after"], check=True, timeout=60)
        with os.fdopen(reader, "rb") as rest:
            rest.read()
        self.assertEqual(running.wait(60), 0)

    def test_a_failed_capture_thaws_too(self):
        self.fails(1, "capture", self.device(), "--freeze", self.folder, "--parent", "snap-00000000000000000")
        self.fails(1, "capture", self.device(), "--freeze", self.folder, "--name", "n" * 2000)
        (self.folder / "after").write_text("writing works again")

    def test_a_store_on_the_frozen_file_system_is_refused(self):
        inside = self.folder / "store"
        self.ok("init", inside, store=False)
        self.fails(1, "capture", self.device(), "--freeze", self.folder, store=inside)
        (self.folder / "after").write_text("writing works again")

    def test_mounted_read_only_is_quiescent(self):
        subprocess.run(["mount", "-o", "remount,ro", self.folder], check=True)
        report = self.ok_json("capture", self.device())
        self.assertEqual(report["snapshot"]["consistency"], "quiescent")
        self.restored_is_clean(report["snapshot"]["id"])

    def test_a_loop_device_that_is_held_without_a_mount(self):
        other = self.capture(self.file("other.raw", program.noise(1 << 20)))
        subprocess.run(["umount", self.folder], check=True)
        self.mounts.remove(self.folder)
        losetup = ["losetup", "-f", "--show", self.source]
        device = subprocess.run(losetup, capture_output=True, text=True, check=True).stdout.strip()
        try:
            self.capture(self.source)  # attached, but not in use
            holder = os.open(device, os.O_RDWR | os.O_EXCL)  # as device-mapper, md and swap open it
            self.fails(1, "capture", self.source, says=(device, "--live"), code="busy")
            self.ok("capture", self.source, "--live")
            before = self.source.read_bytes()
            self.fails(1, "restore", other, self.source, "--force", says=device, code="busy")
            self.assertEqual(self.source.read_bytes(), before)
            os.close(holder)
            self.ok("restore", other, self.source, "--force")
        finally:
            subprocess.run(["losetup", "-d", device], check=True)

    def test_an_image_that_a_virtual_machine_has_locked(self):
        other = self.capture(self.file("other.raw", program.noise(1 << 20)))
        image = self.file("image.raw", program.noise(1 << 20, 2))
        with open(image, "r+b") as held:
            fcntl.lockf(held, fcntl.LOCK_SH, 1, 100)  # as QEMU locks it
            self.fails(1, "capture", image, says=("locked", "--live"), code="busy")
            self.ok("capture", image, "--live")
            self.fails(1, "restore", other, image, "--force", says="locked", code="busy")
        self.assertEqual(image.read_bytes(), program.noise(1 << 20, 2))
        self.ok("capture", image)
        self.ok("restore", other, image, "--force")

    def test_a_mounted_target_is_refused(self):
        other = self.file("other.raw", program.noise(1 << 20))
        snapshot = self.capture(other)
        for target in (self.device(), self.source):
            self.fails(1, "restore", snapshot, target, "--force", says=str(target), code="busy")


if __name__ == "__main__":
    program.main()
