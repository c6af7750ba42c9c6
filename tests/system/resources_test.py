#!/usr/bin/env python3
"""Shows what happens when a resource runs out: threads, memory, descriptors, the size of a file. Each time the
program ends soon, with one line that says why, and what is in the store stays usable."""

import os
import resource
import subprocess

import host
import program
from program import noise

MIB = 1 << 20
NOBODY = 65534  # limits on processes do not bind root


class Resources(host.HostTest):
    def setUp(self):
        super().setUp()
        self.need_root()
        os.chmod(self.scratch, 0o777)
        self.disk = self.file("disk.raw", noise(24 * MIB))
        self.limited(None, "init", self.store)
        self.snapshot = self.limited(None, "capture", self.disk).stdout.decode().strip()

    def limited(self, limit, *words):
        def before():
            if limit:
                resource.setrlimit(limit[0], (limit[1], limit[1]))
            os.setgid(NOBODY)
            os.setuid(NOBODY)

        return subprocess.run([program.PROGRAM, *map(str, words)], preexec_fn=before, timeout=60, capture_output=True,
                              env={**os.environ, "ASHLAR_STORE": str(self.store), "HOME": str(self.scratch)})

    def tried(self, name, which, amounts):
        """Runs verbs under each limit. Returns how many were ended by it."""
        ended = 0
        for amount in amounts:
            for verb in (["capture", self.disk, "--parent", "none"], ["restore", self.snapshot, self.scratch / "out.raw"],
                         ["verify", "--all"], ["snapshots"]):
                with self.subTest(limit=name, amount=amount, verb=verb[0]):
                    done = self.limited((which, amount), *verb)
                    (self.scratch / "out.raw").unlink(missing_ok=True)
                    (self.scratch / "out.raw.ashlar-partial").unlink(missing_ok=True)
                    if done.returncode == 127:
                        continue  # the system could not load the program
                    error = done.stderr.decode()
                    self.assertIn(done.returncode, (0, 1), error)
                    if done.returncode == 1:
                        ended += 1
                        self.assertRegex(error, r"\A(ashlar: warning: [^\n]+\n)*ashlar: [^\n]+\n\Z")
                        self.assertNotRegex(error, "belief|std::|damaged")
        return ended

    def usable(self):
        again = self.limited(None, "capture", self.disk)
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertEqual(self.limited(None, "verify", "--all").returncode, 0)
        done = self.limited(None, "restore", again.stdout.decode().strip(), self.scratch / "again.raw")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.same(self.disk, self.scratch / "again.raw")
        (self.scratch / "again.raw").unlink()

    def test_threads(self):
        self.assertGreater(self.tried("threads", resource.RLIMIT_NPROC, range(1, 11)), 5)
        self.usable()

    def test_descriptors(self):
        self.assertGreater(self.tried("descriptors", resource.RLIMIT_NOFILE, range(4, 24, 2)), 5)
        self.usable()

    def test_memory(self):
        amounts = [size * MIB for size in (96, 112, 128, 160, 192, 256, 320, 384, 448, 512)]
        self.assertGreater(self.tried("memory", resource.RLIMIT_AS, amounts), 5)
        self.usable()

    def test_size_of_files(self):
        amounts = [size << 10 for size in (0, 1, 16, 256, 4096, 16384)]
        self.assertGreater(self.tried("file size", resource.RLIMIT_FSIZE, amounts), 5)
        self.usable()


if __name__ == "__main__":
    host.main()
