#!/usr/bin/env python3
"""Shows that bad input and a failing environment give one line that says what to do, the right exit status,
and no loss."""

import fcntl
import json
import pathlib
import os
import shutil
import subprocess

import program

UNKNOWN = "snap-0123456789abcdef0"


class Errors(program.ProgramTest):
    def setUp(self):
        super().setUp()
        self.init()
        self.source = self.file("disk.raw", program.noise(1 << 20))

    def test_not_a_store(self):
        other = self.scratch / "other"
        self.fails(1, "snapshots", store=other, says=(str(other), "does not exist"))
        other.mkdir()
        self.fails(1, "snapshots", store=other, says=("not a store", "ashlar init"))
        self.fails(1, "capture", self.source, store=self.source, says=str(self.source))

    def test_what_can_hardly_be_meant_is_said(self):
        for name, says in (("empty.raw", "is empty"), ("other.vmdk", "import-disk")):
            source = self.file(name, b"" if says == "is empty" else b"KDMV")
            done = self.run_ashlar("capture", source)
            self.assertEqual(done.returncode, 0)
            self.assertIn(says, done.stderr.decode())
        self.assertNotIn("warning", self.run_ashlar("capture", self.source).stderr.decode())

    def test_a_newer_store(self):
        (self.store / "ashlar.json").write_text(
            '{"checksum": "f9610a837a19a174", "format": "ashlar store", "version": 3}')
        for verb in (["snapshots"], ["capture", self.source], ["verify", "--all"], ["reindex"]):
            self.fails(1, *verb, says="newer ashlar", code="unsupported")

    def test_a_version_that_rotted_is_damage(self):
        config = self.store / "ashlar.json"
        config.write_text(config.read_text().replace('"version": 2', '"version": 3'))
        self.fails(3, "snapshots", says=("ashlar.json", "checksum"), code="corrupt")

    def test_a_damaged_description_of_the_store(self):
        config = self.store / "ashlar.json"
        config.write_text(config.read_text().replace('"zstd_level": 1', '"zstd_level": 2'))
        self.fails(3, "snapshots", says=("ashlar.json", "checksum"), code="corrupt")

    def test_a_damaged_parent_costs_time_only(self):
        parent = self.capture(self.source)
        for pack in (self.store / "meta").rglob("*.pack"):
            pack.unlink()
        self.fails(3, "capture", self.source, "--parent", parent)
        again = self.run_ashlar("capture", self.source)
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertIn(b"the parent is not used, everything is read", again.stderr)
        self.ok("verify", again.stdout.decode().strip())

    def test_a_mistyped_device_does_not_become_a_file(self):
        snapshot = self.capture(self.source)
        self.fails(1, "restore", snapshot, "/dev/no-such-disk", says="no such device")
        self.assertFalse(pathlib.Path("/dev/no-such-disk").exists())
        self.assertFalse(pathlib.Path("/dev/no-such-disk.ashlar-partial").exists())

    def test_init_touches_nothing_that_is_there(self):
        self.fails(1, "init", self.store, says="is a store already", store=False)
        self.fails(1, "init", self.scratch, says="not empty", store=False)
        self.fails(1, "snapshots", store=self.scratch / "nowhere", says="does not exist")
        self.fails(1, "snapshots", store=self.file("plain", b"x"), says="not a directory")
        self.fails(1, "init", self.source, store=False, says=f"{self.source} is a file, not a directory", code="invalid")
        self.fails(1, "init", self.scratch / "no" / "such", store=False, says="no/such")
        self.ok("snapshots")

    def test_unknown_ids(self):
        other = self.capture(self.source)
        for words in (["describe", UNKNOWN], ["delete", UNKNOWN], ["restore", UNKNOWN, self.scratch / "target"],
                      ["diff", other, UNKNOWN], ["verify", UNKNOWN], ["verify", UNKNOWN, "--against", self.source],
                      ["capture", self.source, "--parent", UNKNOWN]):
            self.fails(1, *words, says=UNKNOWN, code="not_found")
        self.assertFalse((self.scratch / "target").exists())

    def test_delete_is_done_once(self):
        snapshot = self.capture(self.source)
        self.ok("delete", snapshot)
        self.fails(1, "delete", snapshot, says=snapshot, code="not_found")
        self.assertEqual(self.ok_json("snapshots")["snapshots"], [])

    def test_bad_sources(self):
        self.fails(1, "capture", self.scratch / "missing.raw", says="missing.raw")
        self.fails(1, "capture", self.scratch, says="directory")
        self.fails(1, "capture", "/dev/null", says="/dev/null")
        self.fails(1, "capture", "nbd+unix:///?socket=" + str(self.scratch / "no.sock"), says=("no NBD server answers at", "no.sock"))
        self.fails(1, "analyze", self.source, self.scratch / "missing.raw", says="missing.raw")

    def test_bad_changed_maps(self):
        good = {"since": "a", "token": "b", "ranges": []}
        bad = ["", "{", "[]", "null", '"x"', json.dumps({**good, "more": 1}), json.dumps({"since": "a", "token": "b"}),
               json.dumps({**good, "since": 1}), json.dumps({**good, "ranges": {}}),
               json.dumps({**good, "ranges": [1]})]
        ranges = [{"offset": 0}, {"offset": -1, "length": 1}, {"offset": 0, "length": "1"},
                  {"offset": 0, "length": 1.5}, {"offset": 2**63, "length": 2**63}, {"offset": 0, "length": 2**60},
                  {"offset": 0, "length": 1, "x": 0}]
        bad += [json.dumps({**good, "ranges": [{"offset": 0, "length": 1}, r]}) for r in ranges]
        for text in bad:
            with self.subTest(text):
                self.fails(1, "capture", self.source, "--changed", self.file("map.json", text.encode()),
                           says="map.json", code="invalid")
        self.fails(1, "capture", self.source, "--changed", self.scratch / "no.json", says="no.json")
        self.fails(1, "capture", self.source, "--changed", self.scratch, says=(str(self.scratch), "directory"))
        self.fails(1, "capture", self.source, "--changed", "bitmap:b", says="NBD")
        map_file = self.file("map.json", json.dumps(good).encode())
        self.fails(1, "capture", self.source, "--changed", map_file, "--change-token", "c", says=("'c'", "'b'"))
        self.assertEqual(self.ok_json("snapshots")["snapshots"], [])

    def test_targets(self):
        snapshot = self.capture(self.source)
        small = self.file("small.raw", b"\0" * 4096)
        self.fails(1, "restore", snapshot, small, says="small.raw")
        self.assertEqual(small.read_bytes(), b"\0" * 4096)
        self.fails(1, "restore", snapshot, self.scratch / "no" / "such.raw", says="such.raw")
        self.fails(1, "restore", snapshot, self.scratch, says=str(self.scratch))

    def test_targets_that_could_never_be_written(self):
        snapshot = self.capture(self.source)
        dangling, link = self.scratch / "dangling", self.scratch / "link"
        dangling.symlink_to(self.scratch / "nothing")
        link.symlink_to(self.store)
        self.fails(1, "restore", snapshot, dangling, says="symbolic link", code="invalid")
        self.fails(2, "restore", snapshot, "", code="usage")
        before = sorted(path for path in self.store.rglob("*") if "index" not in path.parts)
        pack = next((self.store / "packs").rglob("*.pack"))
        content = pack.read_bytes()
        for target in (self.store / "disk.raw", link / "packs" / "disk.raw", pack, link / pack.relative_to(self.store)):
            self.fails(1, "restore", snapshot, target, "--force", says="lies in the store", code="invalid")
        done = self.run_ashlar("restore", snapshot, "disk.raw", cwd=self.store)
        self.assertIn(b"lies in the store", done.stderr)
        self.assertEqual(pack.read_bytes(), content)
        self.assertEqual(sorted(path for path in self.store.rglob("*") if "index" not in path.parts), before)
        self.ok("restore", snapshot, self.scratch / "store-like-name")

    def test_two_restores_to_one_name(self):
        one, two = self.capture(self.source), self.capture(self.file("two.raw", program.noise(1 << 20, 2)))
        partial = self.scratch / "target.ashlar-partial"
        with open(partial, "wb") as held:  # as the first restore holds it
            held.truncate(1 << 20)
            fcntl.flock(held, fcntl.LOCK_EX)
            self.fails(1, "restore", two, self.scratch / "target", says="written by another restore", code="busy")
        self.ok("restore", one, self.scratch / "target", "--verify")
        self.assertFalse(partial.exists())

    def test_a_target_that_holds_something(self):
        snapshot = self.capture(self.source)
        target = self.scratch / "used.raw"
        subprocess.run(["truncate", "-s", "8M", target], check=True)
        if subprocess.run(["mkfs.ext4", "-q", "-F", target], capture_output=True).returncode != 0:
            self.skipTest("mkfs.ext4 is missing")
        before = target.read_bytes()
        self.fails(1, "restore", snapshot, target, says=("ext4", "--force"), code="busy")
        self.assertEqual(target.read_bytes(), before)
        self.ok("restore", snapshot, target, "--force", "--verify")
        after = target.read_bytes()
        self.assertEqual(after[: 1 << 20], self.source.read_bytes())
        self.assertEqual(after[1 << 20 :], before[1 << 20 :], "what lies behind the snapshot is left alone")

    def test_a_target_that_differs(self):
        snapshot = self.capture(self.source)
        changed = bytearray(self.source.read_bytes())
        changed[5000] ^= 1
        other = self.file("other.raw", changed)
        done = self.run_ashlar("verify", snapshot, "--against", other, "--json")
        self.assertEqual(done.returncode, 3)
        self.assertEqual(json.loads(done.stdout)["different"], [{"offset": 4096, "length": 4096}])

    def test_damage_is_named(self):
        snapshot = self.capture(self.source)
        pack = next((self.store / "packs").rglob("*.pack"))
        data = bytearray(pack.read_bytes())
        data[len(data) // 2] ^= 1
        pack.write_bytes(data)
        done = self.run_ashlar("verify", "--all", "--json")
        self.assertEqual(done.returncode, 3)
        damage = json.loads(done.stdout)["damages"][0]
        self.assertIn(pack.name, damage["object"])
        self.assertEqual(damage["losses"][0]["snapshot"], snapshot)
        self.assertEqual(self.run_ashlar("verify", snapshot).returncode, 3)
        target = self.scratch / "restored.raw"
        self.fails(3, "restore", snapshot, target, says=(pack.stem, "--skip-damaged"))
        self.assertFalse(target.exists())

    def test_a_restore_leaves_out_what_is_damaged(self):
        snapshot = self.capture(self.source)
        pack = next((self.store / "packs").rglob("*.pack"))
        data = bytearray(pack.read_bytes())
        data[len(data) // 2] ^= 1
        pack.write_bytes(data)
        target = self.scratch / "restored.raw"
        done = self.run_ashlar("restore", snapshot, target, "--skip-damaged", "--verify")
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertRegex(done.stderr.decode(), r"left out of \S+restored.raw: 65536 bytes at \d+: damaged or missing in")
        former = program.noise(1 << 20, seed=2)
        target.write_bytes(former)
        done = self.run_ashlar("restore", snapshot, target, "--skip-damaged", "--verify", "--json")
        self.assertEqual(done.returncode, 3, done.stderr)
        report = json.loads(done.stdout)
        self.assertTrue(report["verified"])
        (left_out,) = report["left_out"]
        start, end = left_out["offset"], left_out["offset"] + left_out["length"]
        source = self.source.read_bytes()
        self.assertEqual(target.read_bytes(), source[:start] + former[start:end] + source[end:])
        self.fails(2, "restore", snapshot, "-", "--skip-damaged", says="a stream")

    def test_a_damaged_record_hides_no_other(self):
        kept = self.capture(self.source)
        damaged = self.capture(self.source)
        record = self.store / "snapshots" / damaged
        data = bytearray(record.read_bytes())
        data[40] ^= 1
        record.write_bytes(data)
        done = self.run_ashlar("snapshots", "--json")
        self.assertEqual(done.returncode, 3)
        body = json.loads(done.stdout)
        self.assertEqual([s["id"] for s in body["snapshots"]], [kept])
        self.assertEqual([d["id"] for d in body["unread"]], [damaged])
        done = self.run_ashlar("stats", "--json")
        self.assertEqual(done.returncode, 3)
        body = json.loads(done.stdout)
        self.assertEqual((body["snapshots"], body["logical_bytes"]), (1, 1 << 20))
        self.assertEqual([d["id"] for d in body["unread"]], [damaged])
        done = self.run_ashlar("stats")
        self.assertEqual(done.returncode, 3)
        self.assertRegex(done.stdout.decode(), r"snapshots +1\n")
        self.assertIn(damaged, done.stderr.decode())
        for verb in ("describe", "delete"):
            self.fails(3, verb, damaged, says=f"store discard {damaged} --yes", code="corrupt")
        self.assertEqual(record.read_bytes(), bytes(data))
        self.ok("store", "discard", damaged, "--yes")
        self.assertFalse(record.exists())
        self.ok("snapshots")

    def test_lists_show_what_can_be_read(self):
        self.need_root()  # to become a user who may not read one file
        self.scratch.chmod(0o755)
        deleted, rotten = self.capture(self.source), self.capture(self.source)
        for snapshot in (deleted, rotten):
            self.ok("delete", snapshot)
        damaged = {
            "bin": (f"snapshots/{rotten}", ["bin", "list"]),
            "sessions": ("sessions/" + "0" * 31 + "1", ["sessions", "list"]),
            "Images": ("images/ami-00000000000000001", ["image", "list"]),
            "volumes": ("volumes/vol-00000000000000001", ["volume", "list"]),
            "LaunchTemplates": ("launch-templates/lt-00000000000000001", ["template", "list"]),
            "Policies": ("lifecycle-policies/policy-00000000000000001", ["lifecycle", "list"]),
        }
        for member, (key, verb) in damaged.items():
            path = self.store / key
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"rotten")
            subprocess.run(["chown", "-R", "65534", self.store], check=True)
            for status, how in ((3, {}), (1, {"user": 65534})):
                with self.subTest(verb=verb, status=status):
                    path.chmod(0 if how else 0o644)
                    done = self.run_ashlar(*verb, "--json", **how)
                    self.assertEqual(done.returncode, status, done.stderr)
                    self.assertIn(path.name, done.stderr.decode())
                    listed = json.loads(done.stdout)[member]
                    self.assertEqual([one["id"] for one in listed], [deleted] if member == "bin" else [])
            path.unlink()
        (self.store / "snapshots" / rotten).write_bytes(b"rotten")
        done = self.run_ashlar("bin", "purge", "--all", "--json")
        self.assertEqual((done.returncode, json.loads(done.stdout)), (3, {"purged": [deleted]}))
        self.assertIn(rotten, done.stderr.decode())

    def test_a_store_that_cannot_be_written(self):
        snapshot = self.capture(self.source)
        folder = self.mount("--bind", self.store)
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        self.fails(1, "capture", self.source, store=folder, says="Read-only file system")
        self.fails(1, "delete", snapshot, store=folder, says="Read-only file system")
        self.fails(1, "init", folder / "new", store=False, says="Read-only file system")
        self.fails(1, "reindex", store=folder, says=("index", "Read-only file system"), code="io")
        self.ok("snapshots", store=folder)
        self.ok("restore", snapshot, self.scratch / "out.raw", store=folder)
        self.assertEqual((self.scratch / "out.raw").read_bytes(), self.source.read_bytes())
        shutil.rmtree(program.host_directory(self.store) / "index")
        self.fails(1, "reindex", store=folder, says=("index", "Read-only file system"))
        self.ok("verify", "--all", store=folder)

    def test_a_full_disk(self):
        folder = self.mount("-t", "tmpfs", "-o", "size=12M", "tmpfs")
        store = folder / "store"
        self.ok("init", store, store=False)
        first = self.capture(self.source, store=store)
        big = self.file("big.raw", program.noise(32 << 20, seed=2))
        self.fails(1, "capture", big, store=store, says="No space left", code="exhausted")
        self.assertEqual([s["id"] for s in self.ok_json("snapshots", store=store)["snapshots"]], [first])
        self.ok("restore", first, self.scratch / "out.raw", "--verify", store=store)
        self.ok("delete", first, store=store)

    def test_an_index_without_room(self):
        self.capture(self.file("big.raw", program.noise(8 << 20, seed=2)))
        index = program.host_directory(self.store) / "index"
        shutil.rmtree(index)
        index.mkdir()
        self.mount("-t", "tmpfs", "-o", "size=16k", "tmpfs", at=index)
        self.fails(1, "reindex", says=("index", "No space left on device"), code="exhausted")
        self.ok("verify", "--all")

    def test_a_full_standard_output(self):
        self.capture(self.source)
        with open("/dev/full", "wb") as full:
            done = self.run_ashlar("snapshots", stdout=full)
        self.assertEqual(done.returncode, 1)
        self.assertIn("standard output", done.stderr.decode())

    def test_a_capture_whose_answer_is_lost_still_names_its_snapshot(self):
        for words in ([], ["--json"]):
            with open("/dev/full", "wb") as full:
                done = self.run_ashlar("capture", self.source, *words, stdout=full)
            self.assertEqual(done.returncode, 1)
            newest = self.ok_json("snapshots")["snapshots"][-1]["id"]
            self.assertRegex(done.stderr.decode(), rf"\Aashlar: {newest} is made, [^\n]+\n\Z")

    def test_a_full_standard_error_fails_nothing(self):
        done = self.run_ashlar("capture", self.source, "--progress", "json",
                               preexec_fn=lambda: os.dup2(os.open("/dev/full", os.O_WRONLY), 2))
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout.decode(), r"\Asnap-0[0-9a-f]{16}\n\Z")

    def test_closed_standard_descriptors_become_no_files_of_the_store(self):
        def without(*closed):
            return lambda: [os.close(fd) for fd in closed]

        done = self.run_ashlar("capture", self.source, "--progress", "json", preexec_fn=without(0, 1, 2))
        self.assertEqual(done.returncode, 1, "the id could not be printed")
        self.assertEqual(len(self.ok_json("snapshots")["snapshots"]), 1)
        for closed in ((0,), (2,), (0, 2)):
            done = self.run_ashlar("capture", self.source, "--parent", "none", "--progress", "json",
                                   preexec_fn=without(*closed))
            self.assertEqual(done.returncode, 0, closed)
            self.assertRegex(done.stdout.decode(), r"\Asnap-0[0-9a-f]{16}\n\Z")
        self.assertEqual(self.run_ashlar("capture", "-", preexec_fn=without(0)).returncode, 1)
        self.assertEqual(self.run_ashlar("snapshots", preexec_fn=without(1)).returncode, 1)
        self.assertEqual(len(self.ok_json("snapshots")["snapshots"]), 4)
        self.ok("verify", "--all")

    def test_the_first_file_that_is_opened_is_no_standard_descriptor(self):
        done = self.run_ashlar("init", self.scratch / "other", store=False, preexec_fn=lambda: os.closerange(0, 3))
        self.assertEqual(done.returncode, 1)
        self.assertEqual(json.loads((self.scratch / "other" / "ashlar.json").read_text())["version"], 2)
        self.assertEqual(self.ok_json("snapshots", store=self.scratch / "other")["snapshots"], [])

    def test_a_stream_of_another_size_is_no_snapshot(self):
        data = program.noise((5 << 20) + 777)
        stream = self.file("stream", data)
        for size in (len(data) - 1, len(data) + 1, "0", "4M", "5M", "64M", "1P"):
            with stream.open("rb") as sent:
                done = self.run_ashlar("capture", "-", "--expect-size", size, stdin=sent)
            self.assertEqual((done.returncode, done.stdout), (1, b""), size)
            self.assertRegex(done.stderr.decode(), r"\Aashlar: [^\n]*expected[^\n]*\n\Z")
        self.assertEqual(self.ok_json("snapshots")["snapshots"], [])
        with stream.open("rb") as sent:
            self.capture("-", "--expect-size", len(data), stdin=sent)

    def test_a_reader_that_went_away(self):
        big = self.file("big.raw", program.noise(8 << 20))
        snapshot = self.capture(big)
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "wb") as gone:
            done = self.run_ashlar("restore", snapshot, "-", stdout=gone)
        self.assertEqual(done.returncode, 1)
        self.assertIn("Broken pipe", done.stderr.decode())

    def test_text_of_others_steers_no_terminal(self):
        snapshot = self.capture(self.source, "--name", "red\x1b[31m", "--tag", "k=\x07\x9b")
        for words in (["snapshots"], ["describe", snapshot]):
            self.assertNotIn("\x1b", self.ok(*words))
            self.assertNotIn("\x07", self.ok(*words))
        self.assertEqual(self.ok_json("describe", snapshot)["snapshot"]["name"], "red\x1b[31m")


if __name__ == "__main__":
    program.main()
