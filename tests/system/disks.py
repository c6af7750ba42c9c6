"""DiskTest: the common part of tests of other programs' disks: disks with data, holes and zeros, QEMU's
tools, and their processes."""

import json
import os
import pathlib
import shutil

import host
from program import noise

MIB = 1 << 20
QEMU = {"raw": "raw", "qcow2": "qcow2", "vmdk": "vmdk", "vhd": "vpc", "vhdx": "vhdx"}


class DiskTest(host.HostTest):
    def setUp(self):
        super().setUp()
        self.need("qemu-img", "qemu-nbd")
        self.init()

    def disk(self, name="disk.raw", size=40 * MIB):
        """Makes a disk with data, holes and zeros, and returns its path."""
        path = self.image(name, size)
        with open(path, "r+b") as file:
            for at, length, seed in ((0, 700_000, 1), (9 * MIB + 4096, 3 * MIB, 2), (30 * MIB, 65536, 3)):
                if at + length + MIB < size:
                    file.seek(at)
                    file.write(noise(length, seed) + bytes(MIB))
            file.seek(size - 300)
            file.write(noise(300, 4))
        return path

    def converted(self, source, form, *words, name=None):
        target = self.scratch / (name or f"made.{form}")
        self.do("qemu-img", "convert", "-f", "raw", "-O", QEMU[form], *words, source, target)
        return target

    def compare(self, disk, form, target):
        self.do("qemu-img", "compare", "-f", "raw", "-F", QEMU[form], disk, target)
        info = json.loads(self.do("qemu-img", "info", "--output", "json", "-f", QEMU[form], target))
        self.assertEqual(info["virtual-size"], disk.stat().st_size)

    def imported(self, file, *words):
        return self.ok_json("import-disk", file, *words)["snapshot"]

    def nothing_visible(self):
        self.assertEqual(self.snapshots(), [])
        self.assertEqual(self.ok_json("image", "list")["Images"], [])

    def children(self, pid):
        """Returns the pids of the QEMU programs that this process started and that still exist."""
        words = host.read_or_nothing(pathlib.Path(f"/proc/{pid}/task/{pid}/children")).split()
        return [int(word) for word in words if "qemu" in host.read_or_nothing(pathlib.Path("/proc", word, "comm"))]

    def ends(self, pids):
        """Waits until all of them have ended; a zombie has ended too."""
        def runs(pid):
            state = host.read_or_nothing(pathlib.Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
            return bool(state) and state[0] != "Z"

        self.wait_until(lambda: not any(runs(pid) for pid in pids), f"{pids} have ended")

    def stand_in(self, name, script):
        """Returns a PATH on which `name` is this script."""
        folder = self.scratch / "programs"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
        return f"{folder}:{os.environ['PATH']}"

    def held_at_check(self, *words, call=1):
        """Starts import-disk WORDS..., or another verb with its words, and returns it when it waits in the
        given call of qemu-img, where it stays until go()."""
        for name in ("waits", "goes", "calls"):
            (self.scratch / name).unlink(missing_ok=True)
        path = self.stand_in("qemu-img", f"""cd {self.scratch}
echo >> calls
if [ $(wc -l < calls) = {call} ]; then touch waits; until [ -e goes ]; do sleep 0.01; done; fi
exec {shutil.which("qemu-img")} "$@" """)
        running = self.start(*(["import-disk", *words] if len(words) == 1 else words), path=path)
        self.wait_until((self.scratch / "waits").exists, "qemu-img waits")
        return running

    def go(self):
        (self.scratch / "goes").touch()

    def leftovers(self):
        return [path.name for path in self.scratch.iterdir() if "partial" in path.name]
