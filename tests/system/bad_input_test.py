#!/usr/bin/env python3
"""Shows what happens when the environment fails during use: full disks, damaged packs, sources that shrink,
folders without write permission. Each gives one line of text and loses nothing; what is lost already is
named, and never returned as zeros."""

import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import host
from program import PROGRAM, ROOT, noise

sys.path.insert(0, str(ROOT / "tests" / "format"))
import read_store  # noqa: E402

MIB = 1 << 20
BLOCK = host.BLOCK


def ranges_of(blocks):
    ranges = []
    for block in sorted(blocks):
        if ranges and ranges[-1]["offset"] + ranges[-1]["length"] == block * BLOCK:
            ranges[-1]["length"] += BLOCK
        else:
            ranges.append({"offset": block * BLOCK, "length": BLOCK})
    return ranges


def flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 0x20]))


class FullDisk(host.HostTest):
    def setUp(self):
        super().setUp()
        self.source = self.file("disk.raw", noise(40 * MIB))

    def grow(self, folder, size):
        self.do("mount", "-o", f"remount,size={size}", folder)

    def test_a_store_without_room_and_then_with(self):
        folder = self.mount_on("-t", "tmpfs", "-o", "size=16M", "tmpfs")
        self.store = folder / "store"
        self.init()
        small = self.file("small.raw", noise(MIB, 2))
        first = self.capture(small)
        for _ in range(3):
            self.fails(1, "capture", self.source, says="No space left", code="exhausted")
            self.assertEqual(self.snapshots(), [first])
            self.assertEqual({one["writer"] for one in self.ok_json("sessions", "list")["sessions"]} - {"ended"}, set())
        self.ok("verify", first, "--against", small)
        self.grow(folder, "96M")
        second = self.capture(self.source)
        self.assertEqual(self.snapshots(), [first, second])
        self.ok("verify", "--all")
        self.same(self.source, self.restored(second))
        self.assertEqual([p for p in (self.store / "incoming").rglob("*") if p.is_file() and p.suffix != ".lock"], [])

    def test_every_moment_of_running_out(self):
        """Shows for disks of many sizes that the outcome is the same wherever the space runs out."""
        folder = self.mount_on("-t", "tmpfs", "-o", "size=64M", "tmpfs")
        source = self.file("small.raw", noise(4 * MIB, 3))
        outcomes = set()
        for kib in range(256, 6144, 128 if host.LONG else 640):
            with self.subTest(kib=kib):
                self.store = folder / f"store-{kib}"
                self.init()
                used = int(self.do("df", "--output=used", "-k", folder).split()[-1])
                self.grow(folder, f"{used + kib}k")
                done = self.run_ashlar("capture", source)
                self.assertIn(done.returncode, (0, 1), done.stderr)
                outcomes.add(done.returncode)
                if done.returncode == 1:
                    self.assertRegex(done.stderr.decode(), r"\Aashlar: [^\n]+\n\Z")
                    self.assertEqual(self.snapshots(), [])
                self.grow(folder, "64M")
                snapshot = self.capture(source)
                self.ok("verify", "--all")
                self.ok("verify", snapshot, "--against", source)
                self.do("rm", "-r", self.store)
        self.assertEqual(outcomes, {0, 1})

    def test_a_full_index_alone(self):
        self.init()
        first = self.capture(self.file("small.raw", noise(MIB, 2)))
        index = self.host_folder / "index"
        self.do("rm", "-r", index)
        index.mkdir()
        self.do("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", index)
        self.addCleanup(self.unmount, index)
        # The index is a cache: entries without room on its disk are kept in memory.
        second = self.capture(self.source)
        self.assertEqual(self.snapshots(), [first, second])
        self.same(self.source, self.restored(second))
        self.assertEqual(self.ok_json("capture", self.source, "--parent", "none")["new_bytes"], 0)
        self.ok("delete", first)
        self.grow(index, "64M")
        self.assertEqual(self.ok_json("capture", self.source, "--parent", "none")["new_bytes"], 0)
        self.ok("verify", "--all")
        self.same(self.source, self.restored(second))

    def test_a_target_without_room(self):
        self.init()
        snapshot = self.capture(self.source)
        folder = self.mount_on("-t", "tmpfs", "-o", "size=8M", "tmpfs")
        target = folder / "restored.raw"
        self.fails(1, "restore", snapshot, target, says="No space left", code="exhausted")
        self.assertFalse(target.exists())
        self.grow(folder, "64M")
        self.ok("restore", snapshot, target)
        self.same(self.source, target)


class Damage(host.HostTest):
    """Damage in a store with two snapshots that share their first 12 MiB. A damaged frame must lose exactly
    the blocks that the independent reader finds in it, in each snapshot that has them."""

    def setUp(self):
        super().setUp()
        self.init()
        shared = noise(12 * MIB, 1)
        self.files = {}
        for name, tail in (("one", 2), ("two", 3)):
            path = self.file(f"{name}.raw", shared + noise(6 * MIB, tail) + bytes(2 * MIB) + shared[: 64 * BLOCK])
            self.files[self.capture(path, "--parent", "none")] = path
        self.ids = {snapshot: [hashlib.sha256(data[at : at + BLOCK]).digest() for at in range(0, len(data), BLOCK)]
                    for snapshot, data in ((s, p.read_bytes()) for s, p in self.files.items())}

    def packs(self, folder):
        return sorted((self.store / folder).rglob("*.pack"))

    def damages(self):
        done = self.run_ashlar("verify", "--all", "--json")
        self.assertEqual(done.returncode, 3, done.stderr)
        report = json.loads(done.stdout)
        self.assertFalse(report["ok"])
        plain = self.run_ashlar("verify", "--all")
        self.assertEqual(plain.returncode, 3)
        for damage in report["damages"]:
            self.assertIn(damage["object"], plain.stdout.decode() + plain.stderr.decode())
        return report["damages"]

    def expected_losses(self, lost_ids):
        return {snapshot: ranges_of(n for n, one in enumerate(ids) if one in lost_ids)
                for snapshot, ids in self.ids.items() if set(ids) & lost_ids}

    def losses(self, damages):
        """Returns all block ranges named as lost, by snapshot, joined over the damages that name them."""
        lost = {}
        for damage in damages:
            for loss in damage["losses"]:
                blocks = lost.setdefault(loss["snapshot"], set())
                for r in loss["ranges"]:
                    blocks.update(range(r["offset"] // BLOCK, (r["offset"] + r["length"]) // BLOCK))
        return {snapshot: ranges_of(blocks) for snapshot, blocks in lost.items()}

    def is_lost(self, lost, sound):
        """Checks that restoring a lost snapshot is an error and makes no file, and that the sound snapshots
        restore whole."""
        target = self.scratch / "target.raw"
        for snapshot in lost:
            # The partial file of another restore holds some of the lost bytes, and would be used.
            (self.scratch / "target.raw.ashlar-partial").unlink(missing_ok=True)
            done = self.run_ashlar("restore", snapshot, target)
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertRegex(done.stderr.decode(), r"\Aashlar: [^\n]+\n\Z")
            self.assertFalse(target.exists())
            stream = self.run_ashlar("restore", snapshot, "-")
            self.assertEqual(stream.returncode, 3)
            truth = self.files[snapshot].read_bytes()
            self.assertTrue(truth.startswith(stream.stdout), "what came before the error is right")
            self.assertLess(len(stream.stdout), len(truth))
            self.in_place(snapshot, truth)
        for snapshot in sound:
            self.same(self.files[snapshot], self.restored(snapshot))
            self.ok("verify", snapshot)

    def in_place(self, snapshot, truth):
        """Checks that after a restore onto an existing target each block is either the right one or the old
        one."""
        before = noise(len(truth), 9)
        target = self.file("used.raw", before)
        self.fails(3, "restore", snapshot, target, "--force", code="corrupt")
        after = target.read_bytes()
        for at in range(0, len(truth), BLOCK):
            self.assertIn(after[at : at + BLOCK], (truth[at : at + BLOCK], before[at : at + BLOCK]), at)

    def test_a_bit_in_a_frame(self):
        store = read_store.Store(str(self.store))
        for number, (segment_id, place) in enumerate(sorted(store.places.items())):
            if number % 3 and not host.LONG:
                continue
            segment = store.segment(segment_id)
            number = len(segment.frames) // 2
            first, count, offset, stored, _ = segment.frames[number]
            path = pathlib.Path(place[0].path)
            with self.subTest(segment=segment_id.hex(), frame=number):
                flip(path, offset + stored // 3)
                damages = self.damages()
                self.assertEqual(len(damages), 1)
                self.assertEqual(damages[0]["object"], f"packs/{path.parent.name}/{path.name}")
                self.assertEqual((damages[0]["segment"], damages[0]["frame"]), (segment_id.hex(), number))
                losses = self.losses(damages)
                self.assertEqual(losses, self.expected_losses(set(segment.ids[first : first + count])))
                self.assertTrue(losses)
                self.is_lost(losses, self.files.keys() - losses.keys())
                flip(path, offset + stored // 3)
        self.ok("verify", "--all")

    def held_by(self, path):
        store = read_store.Store(str(self.store))
        segments = [store.segment(s) for s, place in store.places.items() if place[0].path == str(path)]
        return {block for segment in segments for block in segment.ids}

    def test_a_pack_that_is_missing(self):
        path = self.packs("packs")[0]
        lost = self.expected_losses(self.held_by(path))
        places = read_store.Store(str(self.store)).places
        segments = {segment.hex() for segment, place in places.items() if place[0].path == str(path)}
        path.rename(self.scratch / "away")
        damages = self.damages()
        self.assertEqual({damage["segment"] for damage in damages}, segments, "nothing else knows what a pack held")
        self.assertEqual(self.losses(damages), lost)
        self.is_lost(lost, self.files.keys() - lost.keys())
        self.do("rm", "-r", self.host_folder / "index")
        self.is_lost(lost, self.files.keys() - lost.keys())
        (self.scratch / "away").rename(path)
        self.ok("reindex")
        self.ok("verify", "--all")
        for snapshot in self.files:
            self.same(self.files[snapshot], self.restored(snapshot))

    def test_a_pack_that_is_cut_short(self):
        path = self.packs("packs")[0]
        whole = path.read_bytes()
        held = self.held_by(path)
        for size in (len(whole) - 1, len(whole) // 2, 10, 0):
            with self.subTest(size=size):
                os.truncate(path, size)
                damages = self.damages()
                self.assertEqual({d["object"] for d in damages}, {f"packs/{path.parent.name}/{path.name}"})
                lost = self.losses(damages)
                self.assertEqual(lost.keys(), self.expected_losses(held).keys())
                if size <= 10:
                    self.assertEqual(lost, self.expected_losses(held))
                if size < len(whole) - 1:
                    self.is_lost(lost, self.files.keys() - lost.keys())
                path.write_bytes(whole)
        self.ok("verify", "--all")

    def test_a_meta_pack(self):
        for path in self.packs("meta"):
            for what in ("flip", "cut", "gone"):
                with self.subTest(pack=path.name, what=what):
                    whole = path.read_bytes()
                    if what == "flip":
                        flip(path, 64 + 100)
                    elif what == "cut":
                        os.truncate(path, len(whole) // 2)
                    else:
                        path.unlink()
                    damages = self.damages()
                    self.assertTrue(any(path.stem in d["object"] + d["what"] for d in damages) or what == "gone", damages)
                    lost = self.losses(damages)
                    self.assertTrue(lost)
                    if what != "cut":  # an index may still know the nodes of a pack that was cut short
                        self.is_lost(lost, self.files.keys() - lost.keys())
                    path.write_bytes(whole)
        self.ok("verify", "--all")

    def test_a_snapshot_record(self):
        one, two = self.files
        path = self.store / "snapshots" / one
        whole = path.read_bytes()
        for offset in (0, 14, 40, 70, 100, 140, 205, len(whole) - 1):
            with self.subTest(offset=offset):
                flip(path, offset)
                damages = self.damages()
                self.assertEqual([d["object"] for d in damages], [f"snapshots/{one}"])
                self.assertEqual(self.losses(damages), {one: []})
                self.fails(3, "restore", one, self.scratch / "target.raw", says=one)
                self.assertFalse((self.scratch / "target.raw").exists())
                self.ok("verify", two)
                path.write_bytes(whole)
        os.truncate(path, 0)
        self.assertEqual([d["object"] for d in self.damages()], [f"snapshots/{one}"])
        self.same(self.files[two], self.restored(two))
        self.assertEqual(len(self.capture(self.files[two])), len(one))


class Sources(host.HostTest):
    def setUp(self):
        super().setUp()
        self.init()

    def test_a_source_that_shrinks(self):
        size = 256 * MIB
        source = self.scratch / "disk.raw"
        for left in (size // 2 + 5000, 0):
            with self.subTest(left=left):
                with open(source, "wb") as file:
                    for _ in range(size // MIB):
                        file.write(os.urandom(MIB))
                # The capture reads ahead of what it stores, but far less than the rest of the file.
                running = self.stopped_early(source, size // 5)
                os.truncate(source, left)
                running.send_signal(signal.SIGCONT)
                out, err = running.communicate(timeout=60)
                lines = [line for line in err.decode().splitlines() if not line.startswith("{")]
                self.assertEqual((running.returncode, out, len(lines)), (1, b"", 1), err)
                self.assertIn(str(source), lines[0])
                self.assertRegex(lines[0], "shr[aiu]nk|shorter|ended|smaller")
                self.assertEqual(self.snapshots(), [])
        source.write_bytes(noise(16 * MIB))
        self.same(source, self.restored(self.capture(source)))
        self.ok("verify", "--all")

    def stopped_early(self, source, most):
        """Returns a stopped capture into a new store; it has stored something, but less than `most` bytes."""
        for _ in range(10):
            shutil.rmtree(self.store)
            self.init()
            running = self.start("capture", source, "--threads", "1", "--progress", "json", "--parent", "none")
            self.wait_until(lambda: running.poll() is not None or self.stored() > MIB, "it stores nothing")
            running.send_signal(signal.SIGSTOP)
            state = pathlib.Path(f"/proc/{running.pid}/stat")
            self.wait_until(lambda: running.poll() is not None or ") T " in state.read_text(), "it does not stop")
            if running.poll() is None and self.stored() < most:
                return running
            self.stop(running, signal.SIGKILL)
        self.fail("each time it was too far already")

    def stored(self):
        total = 0
        for folder, _, names in os.walk(self.store):  # skips folders that disappear; rglob does not
            for name in set(names) - {"reserve"}:
                try:
                    total += os.stat(os.path.join(folder, name)).st_size
                except FileNotFoundError:
                    pass
        return total


class Unwritable(host.HostTest):
    """Runs the program as a user who is not root, so that permissions have an effect."""

    def as_nobody(self, *words):
        return subprocess.run([PROGRAM, *map(str, words)], capture_output=True, timeout=60, user=65534, group=65534,
                              extra_groups=[], env={**os.environ, "ASHLAR_STORE": str(self.store)}, cwd="/")

    def setUp(self):
        super().setUp()
        self.need_root()
        self.init()
        self.source = self.file("disk.raw", noise(MIB))
        self.snapshot = self.capture(self.source)
        self.scratch.chmod(0o755)
        self.do("chmod", "-R", "a+rX", self.store)
        if self.as_nobody("version").returncode != 0:
            self.skipTest("another user can't run the program where it lies")

    def is_refused(self, *words):
        done = self.as_nobody(*words)
        line = done.stderr.decode()
        self.assertEqual(done.returncode, 1, line)
        self.assertRegex(line, r"\Aashlar: [^\n]*Permission denied[^\n]*\n\Z")

    def test_folders_of_others(self):
        secret = self.file("secret.raw", b"x")
        secret.chmod(0o600)
        self.is_refused("init", self.scratch / "new")
        self.is_refused("capture", self.source)
        self.is_refused("delete", self.snapshot)
        self.is_refused("capture", secret)
        self.is_refused("restore", self.snapshot, self.scratch / "restored.raw")
        self.is_refused("restore", self.snapshot, self.source, "--force")
        self.assertEqual(self.snapshots(), [self.snapshot])
        self.ok("verify", self.snapshot, "--against", self.source)

    def test_reading_a_store_of_others(self):
        mine = self.scratch / "mine"
        mine.mkdir()
        os.chown(mine, 65534, 65534)
        for words in (["snapshots"], ["describe", self.snapshot], ["restore", self.snapshot, mine / "restored.raw"],
                      ["verify", self.snapshot, "--against", mine / "restored.raw"], ["stats"], ["verify", "--all"]):
            done = self.as_nobody(*words)
            self.assertEqual(done.returncode, 0, f"{words}: {done.stderr}")
        self.same(self.source, mine / "restored.raw")


if __name__ == "__main__":
    host.main()
