#!/usr/bin/env python3
"""Shows volumes under clients that check every byte: fio with verification during hydration and snapshots,
nbdcopy, and libnbd through nbdsh."""

import json
import os
import subprocess

import host
import volumes
from program import noise

MIB = 1 << 20
# Debian's Python has the module of libnbd; another Python that comes first in PATH may not have it.
SHELL = {**os.environ, "PATH": f"/usr/bin:/bin:{os.environ['PATH']}"}

# Each job has a connection of its own. Writes of parts of blocks have to be merged with bytes that are not
# fetched yet.
JOBS = """
[global]
{engine}
thread=1
randseed={seed}
size=12M
[blocks]
rw=randwrite
bsrange=4k-64k
iodepth=16
numjobs=3
offset_increment=12M
verify=crc32c
verify_fatal=1
{backlog}
fsync=32
[sectors]
rw=randwrite
bsrange=512-16k
bs_unaligned=0
blockalign=512
iodepth=8
offset=36M
verify=crc32c
verify_fatal=1
{backlog}
fsync=64
"""
TRIMS = """
[trims]
rw=randtrim
bsrange=4k-64k
iodepth=4
offset=48M
"""
TRIMMED = 48
SIZE = 96


class Verified(volumes.VolumeTest):
    def setUp(self):
        super().setUp()
        self.disk = self.file("disk.raw", noise(SIZE * MIB, 1))
        self.volume = self.create(self.capture(self.disk))

    def jobs(self, name, engine, backlog=64, trims=""):
        text = JOBS.format(engine=engine, seed=self.seed, backlog=f"verify_backlog={backlog}" if backlog else "") + trims
        return self.file(name, text.encode())

    def fio(self, *words, ends=0):
        """Runs fio and returns the bytes read, written and trimmed, summed by the name of the job."""
        report = self.scratch / "report"
        done = subprocess.run(["fio", "--output-format=json", f"--output={report}", *map(str, words)],
                              capture_output=True, text=True, timeout=150, cwd=self.scratch)
        self.assertEqual(done.returncode != 0, ends != 0, done.stdout + done.stderr)
        text = report.read_text()
        sums = {}
        for job in json.loads(text[text.index("{"):])["jobs"]:
            sum_of = sums.setdefault(job["jobname"], {"read": 0, "write": 0, "trim": 0})
            for kind in sum_of:
                sum_of[kind] += job[kind]["io_bytes"]
        return sums

    def test_fio_beside_hydration_and_snapshots(self):
        self.need("fio")
        self.seed = host.seeded().randrange(1 << 31)
        over_nbd = f"ioengine=nbd\nuri={self.uri(self.volume)}"
        both = self.jobs("write", over_nbd, trims=TRIMS)
        taken = []
        with self.served("--volume", self.volume, "--hydrate", "--rate", "12M"):
            running = subprocess.Popen(["fio", "--output-format=json", "--output=/dev/null", "--loops=3", both],
                                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=self.scratch)
            self.addCleanup(self.stop, running)
            self.wait_until(lambda: self.state(self.volume)["dirty_bytes"] > 0, "nothing is written")
            self.assertTrue(self.state(self.volume)["hydrating"])
            while running.poll() is None:
                taken.append(self.ok("volume", "snapshot", self.volume).strip())
            text = running.communicate(timeout=150)[0]
            self.assertEqual(running.returncode, 0, text)
            self.assertGreater(len(taken), 1, "snapshots were taken meanwhile")
            sums = self.fio(both)
            for name, size in (("blocks", 36 * MIB), ("sectors", 12 * MIB)):
                self.assertEqual((sums[name]["write"], sums[name]["read"]), (size, size), "all is read back")
            self.assertEqual(sums["trims"]["trim"], 12 * MIB)
            self.wait_until(lambda: not self.state(self.volume)["hydrating"], "it never ends")
            self.assertEqual(self.state(self.volume)["absent_bytes"], 0)
        with self.served("--volume", self.volume):
            self.fio("--verify_only=1", self.jobs("again", over_nbd, backlog=0))
            self.io_ok(self.volume, f"read -P 0 {TRIMMED}M 12M")
            snapshot = self.ok("volume", "snapshot", self.volume).strip()
            restored = self.restored(snapshot)
            self.compare(restored, self.volume)
        self.fio("--verify_only=1", self.jobs("file", f"ioengine=psync\nfilename={restored}", backlog=0))
        with open(restored, "rb") as file, open(self.disk, "rb") as disk:
            for untouched in (file, disk):
                untouched.seek((TRIMMED + 12) * MIB)
            self.assertTrue(file.read() == disk.read(), "what fio did not touch")
        self.one_wrong_byte_is_found(restored)
        self.ok("verify", "--all")

    def one_wrong_byte_is_found(self, restored):
        with open(restored, "r+b") as file:
            file.seek(20 * MIB + 1000)
            byte = file.read(1)[0]
            file.seek(20 * MIB + 1000)
            file.write(bytes([byte ^ 1]))
        self.fio("--verify_only=1", self.jobs("wrong", f"ioengine=psync\nfilename={restored}", backlog=0), ends=1)

    def test_nbdcopy_beside_hydration(self):
        self.need("nbdcopy")
        other = self.file("other.raw", noise(40 * MIB, 2) + bytes(16 * MIB) + noise((SIZE - 56) * MIB, 3))
        copy = self.scratch / "nbdcopy.raw"
        with self.served("--volume", self.volume, "--hydrate", "--rate", "24M"):
            self.do("nbdcopy", "--connections=4", self.uri(self.volume), copy)
            self.same(self.disk, copy)
            self.do("nbdcopy", "--connections=4", "--flush", other, self.uri(self.volume))
            self.do("nbdcopy", "--connections=1", "--synchronous", self.uri(self.volume), copy)
            self.same(other, copy)
        self.assertEqual(self.state(self.volume)["dirty_bytes"], (SIZE - 16) * MIB)

    def test_nbdsh(self):
        done = subprocess.run(["nbdsh", "-c", "pass"], capture_output=True, env=SHELL)
        if done.returncode != 0:
            self.skipTest("this host has no nbdsh")
        with self.served("--volume", self.volume):
            done = subprocess.run(["nbdsh", "-c", SCRIPT], capture_output=True, text=True, timeout=60,
                                  env={**SHELL, "URI": self.uri(self.volume)})
            self.assertEqual((done.returncode, done.stdout), (0, "as it should be\n"), done.stderr)
        with self.served("--volume", self.volume):
            self.io_ok(self.volume, "read -P 97 1M 64k", "read -P 0 2M 128k", "read -P 98 4M 4k")


SCRIPT = """
import os, errno
MIB = 1 << 20
h.add_meta_context("base:allocation")
h.add_meta_context("ashlar:dirty")
h.connect_uri(os.environ["URI"])
second = nbd.NBD()
second.connect_uri(os.environ["URI"])
assert h.get_size() == 96 * MIB and h.can_multi_conn() and h.can_fast_zero() and not h.is_read_only()

def extents(offset, size):
    found = {}
    h.block_status(size, offset, lambda context, at, entries, error: found.update({context: entries}))
    return found

assert extents(0, MIB)["ashlar:dirty"] == [MIB, 0]
h.pwrite(b"a" * 65536, MIB, nbd.CMD_FLAG_FUA)
assert extents(MIB, 131072)["ashlar:dirty"][:2] == [65536, 1]
assert second.pread(65536, MIB) == b"a" * 65536
h.trim(65536, 2 * MIB)
h.zero(65536, 2 * MIB + 65536, nbd.CMD_FLAG_NO_HOLE)
assert second.pread(131072, 2 * MIB) == bytes(131072)
assert extents(2 * MIB, 65536)["base:allocation"][1] & 2
h.cache(MIB, 8 * MIB)
second.pwrite(b"b" * 4096, 4 * MIB)
h.flush()
got = []
h.pread_structured(8192, 4 * MIB, lambda data, offset, status, error: got.append((len(data), offset, status)),
                   nbd.CMD_FLAG_DF)
assert got == [(8192, 4 * MIB, nbd.READ_DATA)], got
# Beyond the end, as far as the library lets it through.
h.set_strict_mode(h.get_strict_mode() & ~nbd.STRICT_BOUNDS)
for act, wanted in ((lambda: h.pread(4096, 96 * MIB - 2048), errno.EINVAL),
                    (lambda: h.pwrite(bytes(4096), 96 * MIB - 2048), errno.ENOSPC),
                    (lambda: h.trim(4096, 96 * MIB), errno.ENOSPC)):
    try:
        act()
    except nbd.Error as error:
        assert error.errnum == wanted, error
    else:
        assert False, "beyond the end"
# Many at once, answered in any order.
buffers = [(nbd.Buffer(4096), at) for at in range(MIB, MIB + 65536, 4096)]
cookies = [h.aio_pread(buffer, at) for buffer, at in buffers]
for cookie in cookies:
    while not h.aio_command_completed(cookie):
        h.poll(-1)
assert all(buffer.to_bytearray() == b"a" * 4096 for buffer, _ in buffers)
second.shutdown()
h.shutdown()
print("as it should be")
"""


if __name__ == "__main__":
    host.main()
