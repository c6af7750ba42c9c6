#!/usr/bin/env python3
"""Shows that collection gives space back while all else runs, wherever it is killed, and on a full disk."""

import json
import os
import signal
import subprocess
import time

import host
import program
from program import noise

MIB = 1 << 20
ROUNDS = 40 if host.LONG else 10


class Collect(host.HostTest):
    def setUp(self):
        super().setUp()
        self.init()
        self.random = host.seeded()

    def disk(self, name, size, seed):
        return self.file(name, noise(size, seed))

    def size(self):
        return sum(p.stat().st_size for p in self.store.rglob("*.pack"))

    def contents(self):
        """Returns the store's files with their bytes; the host's own folder apart."""
        return {str(p.relative_to(self.store)): p.read_bytes() for p in self.store.rglob("*")
                if p.is_file() and "host" not in p.parts and "incoming" not in p.parts}

    def destroy(self, *snapshots):
        for snapshot in snapshots:
            self.ok("delete", snapshot)
        self.ok("bin", "purge", "--all")

    def test_space_comes_back(self):
        disk = self.disk("disk.raw", 24 * MIB, 1)
        first = self.capture(disk)
        with open(disk, "r+b") as file:
            file.seek(4 * MIB)
            file.write(noise(12 * MIB, 2))
        second = self.capture(disk)
        before = self.size()
        self.assertEqual(self.ok_json("stats")["collectable_bytes"], 0)
        self.ok("delete", first)
        self.assertEqual(self.ok_json("collect")["freed_packs"], 0, "it can come back from the bin")
        self.ok("bin", "purge", "--all")
        left = self.contents()
        plan = self.ok_json("collect", "--dry-run")
        self.assertEqual(self.contents(), left, "a dry run changes nothing")
        self.assertEqual(len(plan["packs"]), len([p for p in left if p.endswith(".pack")]))
        promised = self.ok_json("stats")["collectable_bytes"]
        self.assertGreater(promised, 11 * MIB)
        done = self.ok_json("collect")
        self.assertLess(abs(before - self.size() - promised), 64 * 1024)
        self.assertGreater(done["freed_bytes"] - (before - self.size()), done["written_bytes"], "new packs have ends, too")
        self.assertEqual(self.snapshots(), [second])
        self.ok("verify", "--all")
        self.same(disk, self.restored(second))
        self.assertEqual(self.ok_json("collect")["freed_packs"], 0)
        self.ok("reindex")
        self.same(disk, self.restored(second))
        self.assertEqual(self.ok_json("capture", disk)["new_bytes"], 0, "what was moved is still known")
        self.leaves(second, disk)
        self.destroy(*self.snapshots())
        self.ok("collect")
        self.assertEqual(self.size(), 0)
        left = sorted(p for p in self.contents() if "/" in p and not p.startswith("image-names/"))
        self.assertEqual(left, ["collect/state"])

    def leaves(self, snapshot, disk):
        """Shows that what a collection has moved is copied and exported like anything else."""
        image = self.ok("image", "create", "--name", "web", "--map", f"/dev/sda={snapshot}").strip()
        there, elsewhere = self.scratch / "there", self.scratch / "elsewhere"
        for store in (there, elsewhere):
            self.ok("init", store, store=False)
        self.ok("image", "copy", image, "--to", there)
        self.ok("image", "export", image, self.scratch / "web.ashlar")
        self.ok("image", "import", self.scratch / "web.ashlar", store=elsewhere)
        for store in (there, elsewhere):
            [copied] = [s["id"] for s in self.ok_json("snapshots", store=store)["snapshots"]]
            self.ok("verify", copied, "--against", disk, store=store)
            self.ok("verify", "--all", store=store)
        self.ok("image", "deregister", image)

    def test_a_capture_runs_on_and_keeps_what_it_leans_on(self):
        old = self.disk("old.raw", 8 * MIB, 1)
        self.destroy(self.capture(old))
        stream = subprocess.Popen([program.PROGRAM, "capture", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, env={**os.environ, "ASHLAR_STORE": str(self.store)})
        self.addCleanup(self.stop, stream, signal.SIGKILL)
        stream.stdin.write(noise(8 * MIB, 1))  # all of it is stored, in packs that no snapshot needs
        stream.stdin.flush()
        time.sleep(1)
        began = time.monotonic()
        running = self.start("collect", "--json")
        self.wait_until(lambda: running.poll() is not None, "the collection ends when the capture has beaten", 60)
        self.assertEqual(running.returncode, 0, running.stderr.read())
        self.assertLess(time.monotonic() - began, 45)
        stream.stdin.write(noise(MIB, 9))
        out, err = stream.communicate(timeout=30)
        self.assertEqual(stream.returncode, 0, err)
        self.ok("verify", "--all")
        target = self.restored(out.decode().strip())
        self.assertEqual(target.read_bytes(), noise(8 * MIB, 1) + noise(MIB, 9))

    def test_a_reader_finds_what_was_moved(self):
        self.need("nbdcopy")
        disk = self.disk("disk.raw", 16 * MIB, 1)
        snapshot = self.capture(disk)
        with open(disk, "r+b") as file:
            file.truncate(12 * MIB)
        kept = self.capture(disk, "--parent", "none")
        socket = self.scratch / "nbd.sock"
        self.serve(program.PROGRAM, "--store", self.store, "serve", kept, "--socket", socket, socket=socket)
        self.do("nbdcopy", f"nbd+unix:///?socket={socket}", self.scratch / "before.raw")
        self.destroy(snapshot)
        self.assertGreater(self.ok_json("collect", "--max-live", "100")["freed_packs"], 0)
        self.do("nbdcopy", f"nbd+unix:///?socket={socket}", self.scratch / "after.raw")
        self.same(disk, self.scratch / "before.raw")
        self.same(disk, self.scratch / "after.raw")

    def test_killed_anywhere_the_next_one_goes_on(self):
        disk = self.disk("disk.raw", 8 * MIB, 1)
        killed = 0
        whole = 0.5
        for number in range(ROUNDS):
            with open(disk, "r+b") as file:
                file.seek(self.random.randrange(6) * MIB)
                file.write(noise(2 * MIB, 100 + number))
            snapshot = self.capture(disk)
            self.destroy(*[s for s in self.snapshots() if s != snapshot])
            moment = self.random.uniform(0, whole)
            with self.subTest(round=number, moment=moment):
                running = self.start("collect", "--max-live", "100")
                began = time.monotonic()
                try:
                    running.wait(timeout=moment)
                    whole = max(0.05, time.monotonic() - began)
                except subprocess.TimeoutExpired:
                    running.kill()
                    killed += 1
                running.communicate()
                self.same(disk, self.restored(snapshot))
                for _ in range(3):
                    self.ok("collect")
                plan = self.ok_json("collect", "--dry-run")
                self.assertEqual({p["verdict"] for p in plan["packs"]}, {"keep"})
                self.assertEqual([p for p in self.contents() if p.startswith("sessions/")], [])
                self.assertEqual([p for p in self.contents() if p.startswith("collect/")], ["collect/state"])
                self.ok("verify", "--all")
                self.same(disk, self.restored(snapshot))
        self.assertGreater(killed, 1)

    def test_a_full_disk(self):
        folder = self.mount_on("-t", "tmpfs", "-o", "size=160M", "tmpfs")
        self.store = folder / "store"
        self.init()
        first = self.capture(self.disk("one.raw", 16 * MIB, 1))
        both = self.scratch / "both.raw"
        both.write_bytes(noise(8 * MIB, 2) + noise(16 * MIB, 3))
        second = self.capture(both)
        both.write_bytes(noise(8 * MIB, 2))
        third = self.capture(both, "--parent", "none")
        filler = folder / "filler"
        with open(filler, "wb") as file:
            try:
                while True:
                    file.write(bytes(64 * 1024))
                    file.flush()
            except OSError:
                pass
        self.fails(1, "capture", self.disk("more.raw", 8 * MIB, 5), says="No space left", code="exhausted")
        self.destroy(first, second)
        before = self.size()
        self.ok("collect")
        self.assertLess(self.size(), before - 28 * MIB)
        self.ok("verify", "--all")
        self.same(both, self.restored(third))
        filler.unlink()
        self.capture(self.disk("more.raw", 8 * MIB, 5))
        self.assertEqual((self.store / "reserve").stat().st_size, 80 * MIB)

    def test_refusals(self):
        disk = self.disk("disk.raw", 2 * MIB, 1)
        snapshot = self.capture(disk)
        self.destroy(self.capture(self.disk("other.raw", 2 * MIB, 2)))
        record = self.store / "snapshots" / snapshot
        good = record.read_bytes()
        record.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        before = self.size()
        self.fails(3, "collect", says=("nothing is freed", snapshot), code="corrupt")
        self.assertEqual(self.size(), before)
        self.assertIsNone(self.ok_json_with(3, "stats")["collectable_bytes"])
        record.write_bytes(good)
        self.fails(2, "collect", "--max-live", "101", says="--max-live", code="usage")
        self.fails(2, "collect", "--level", "0", says="--level", code="usage")
        self.ok("collect")
        self.assertLess(self.size(), before)
        self.same(disk, self.restored(snapshot))

    def ok_json_with(self, status, *words):
        done = self.run_ashlar(*words, "--json")
        self.assertEqual(done.returncode, status, done.stderr)
        return json.loads(done.stdout)


if __name__ == "__main__":
    host.main()
