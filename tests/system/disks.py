"""What tests of other programs' disks share: disks with data, holes and zeros, QEMU's tools, and their processes."""

import json
import pathlib

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
        """Data, holes and zeros."""
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
        """The programs of QEMU that it started and that run."""
        words = host.read_or_nothing(pathlib.Path(f"/proc/{pid}/task/{pid}/children")).split()
        return [int(word) for word in words if "qemu" in host.read_or_nothing(pathlib.Path("/proc", word, "comm"))]

    def ends(self, pids):
        """They end; a zombie that nobody has asked about has ended."""
        def runs(pid):
            state = host.read_or_nothing(pathlib.Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
            return bool(state) and state[0] != "Z"

        self.wait_until(lambda: not any(runs(pid) for pid in pids), f"{pids} have ended")

    def leftovers(self):
        return [path.name for path in self.scratch.iterdir() if "partial" in path.name]
