#!/usr/bin/env python3
"""Shows that every verb's --json has the members and types that docs/cli.md shows."""

import json
import re
import shutil
import subprocess
import tarfile

import program

PAGE = (program.ROOT / "docs" / "cli.md").read_text()
DOCUMENTED = {name: json.loads(text) for name, text in re.findall(r"```json ([\w-]+)\n(.*?)```", PAGE, re.S)}
# The page shows these in part; "describe" and others show them whole.
WHOLE = {"capture": {"snapshot": DOCUMENTED["describe"]["snapshot"]},
         "snapshots": {"snapshots": [DOCUMENTED["describe"]["snapshot"]]},
         "volume-list": {"volumes": [DOCUMENTED["volume-create"]["volume"]]},
         "volume-describe": {"volume": DOCUMENTED["volume-create"]["volume"]},
         "instances-list": {"instances": DOCUMENTED["launch"]["instances"], "damaged": []}}
MAY_BE_NULL = {"parent", "source_identity", "segment", "frame", "dedup_ratio", "compression_ratio", "read_bytes",
               "new_bytes", "stored_bytes", "written_bytes", "eta_seconds", "pid", "released", "image",
               "volume", "file", "SnapshotId", "Error"}


class Json(program.ProgramTest):
    def setUp(self):
        super().setUp()
        self.init()
        self.source = self.file("disk.raw", program.noise(1 << 20) + bytes(1 << 20))

    def check(self, shown, got, where):
        if isinstance(shown, dict) and where.split(".")[-1] != "tags":
            self.assertEqual(set(shown), set(got), where)
            for key, value in shown.items():
                if key in MAY_BE_NULL and (got[key] is None or value is None):
                    continue
                self.check(value, got[key], f"{where}.{key}")
        elif isinstance(shown, list):
            self.assertIsInstance(got, list, where)
            if shown:
                self.assertTrue(got, f"{where} is shown with members")
                for item in got:
                    self.check(shown[0], item, f"{where}[]")
        elif isinstance(shown, (int, float)) and not isinstance(shown, bool):
            self.assertIsInstance(got, (int, float), where)
        else:
            self.assertIsInstance(got, type(shown), where)

    def documented(self, name, *words, **how):
        shown = {**DOCUMENTED[name], **WHOLE.get(name, {})}
        got = self.ok_json(*words, **how)
        self.check(shown, got, name)
        return got

    def test_every_verb(self):
        first = self.documented("capture", "capture", self.source, "--name", "one", "--tag", "a=b")["snapshot"]["id"]
        changed = bytearray(self.source.read_bytes())
        changed[10000] ^= 1
        self.source.write_bytes(changed)
        report = self.documented("capture", "capture", self.source)
        second = report["snapshot"]["id"]
        self.assertEqual(report["snapshot"]["parent"], first)
        self.assertEqual(report["new_bytes"], 4096)

        listed = self.documented("snapshots", "snapshots")
        self.assertEqual([s["id"] for s in listed["snapshots"]], [first, second])
        record = self.documented("describe", "describe", first)["snapshot"]
        self.assertEqual((record["name"], record["tags"], record["size_bytes"]), ("one", {"a": "b"}, 2 << 20))
        self.assertRegex(record["created"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        difference = self.documented("diff", "diff", first, second)
        self.assertEqual(difference["ranges"], [{"offset": 8192, "length": 4096}])
        self.documented("verify", "verify", "--all")
        self.documented("verify", "verify", second)
        self.documented("scrub", "scrub")
        self.documented("repair", "repair")
        self.documented("verify-against", "verify", second, "--against", self.source)
        self.documented("restore", "restore", second, self.scratch / "out.raw", "--verify")
        self.assertEqual((self.scratch / "out.raw").read_bytes(), bytes(changed))
        stats = self.documented("stats", "stats")
        self.assertEqual((stats["snapshots"], stats["logical_bytes"]), (2, 4 << 20))
        self.documented("collect", "collect")
        self.documented("reindex", "reindex")
        self.documented("analyze", "analyze", self.source, self.source, store=False)
        self.documented("version", "version", store=False)
        self.documented("delete", "delete", first)
        record = self.store / "snapshots" / second
        record.write_bytes(record.read_bytes()[:-1])
        self.fails(3, "delete", second, says=second, code="corrupt")
        self.fails(2, "store", "discard", second, says="--yes", code="usage")
        kept = self.documented("store-discard", "store", "discard", second, "--yes")["kept"]
        self.assertTrue((self.store / kept).is_file())
        self.fails(1, "store", "discard", second, "--yes", says="no snapshot", code="not_found")
        (self.store / "settings.json").unlink()
        self.fails(3, "settings", says="store discard settings", code="corrupt")
        self.documented("store-discard", "store", "discard", "settings", "--yes")
        self.documented("init", "init", self.scratch / "second", "--frame", "128K", "--level", "3", store=False)

    def test_every_verb_of_volumes(self):
        snapshot = self.capture(self.source)
        made = self.documented("volume-create", "volume", "create", "--snapshot", snapshot, "--name", "v", "--tag", "a=b")
        volume = made["volume"]["id"]
        self.assertEqual(self.documented("volume-list", "volume", "list")["volumes"], [made["volume"]])
        state = self.documented("volume-describe", "volume", "describe", volume)["state"]
        self.assertEqual((state["served"], state["absent_bytes"]), (False, 2 << 20))
        self.served(volume)
        grown = self.documented("volume-create", "volume", "resize", volume, "--size", "3M")
        self.assertEqual(grown["volume"]["size_bytes"], 3 << 20)
        self.assertEqual(self.documented("volume-hydrate", "volume", "hydrate", volume)["state"]["clean_bytes"], 3 << 20)
        report = self.documented("capture", "volume", "snapshot", volume, "--name", "later")
        self.assertEqual(report["snapshot"]["consistency"], "quiescent")
        self.documented("volume-detach-store", "volume", "detach-store", volume)
        self.documented("volume-delete", "volume", "delete", volume)

    def test_every_verb_of_images(self):
        snapshot = self.capture(self.source)
        made = self.documented("image-create", "image", "create", "--name", "web-1.4", "--map", f"/dev/sda={snapshot}",
                               "--tag", "stage=production")
        image = made["ImageId"]
        self.documented("image-create", "image", "capture", "--name", "host", "--device", f"/dev/sda={self.source}")
        for words in (["list"], ["describe", image], ["tag", image, "a=b"], ["untag", image, "a"],
                      ["modify", image, "--description", "d"], ["share", image, "--add", "123456789012"],
                      ["share", image, "--remove", "123456789012"], ["disable", image], ["enable", image]):
            got = self.ok_json("image", *words)["Images"][0]
            self.assertEqual(got["ImageId"], image)
            if words[0] != "share" or "--remove" in words:
                self.check(DOCUMENTED["image-describe"], {"Images": [got]}, "image-describe")
        key = self.scratch / "key.pem"
        self.documented("key-generate", "key", "generate", key, store=False)
        self.documented("key-trust", "key", "trust", key, "--name", "release")
        self.documented("key-list", "key", "list")
        self.documented("settings", "settings")
        self.ok("image", "sign", image, "--key", key)
        self.documented("image-verify", "image", "verify", image)
        self.inspected()
        self.ok("init", self.scratch / "other", store=False)
        copied = self.documented("image-copy", "image", "copy", image, "--to", self.scratch / "other")
        self.assertEqual(copied["SourceImageId"], image)
        self.assertEqual(self.ok("image", "wait", "available", image), "")
        bundle = self.scratch / "bundle"
        self.documented("image-export", "image", "export", image, bundle)
        self.documented("image-copy", "image", "import", bundle, "--name", "imported")
        self.documented("template-create", "template", "create", "web", image)
        self.documented("template-version", "template", "version", "web", image, "--cpus", "2")
        self.assertEqual(len(self.ok_json("template", "describe", "web")["LaunchTemplateVersions"]), 2)
        self.documented("template-delete", "template", "delete", "web")
        policy = json.dumps(DOCUMENTED["lifecycle-list"]["Policies"][0]["Policy"]).encode()
        self.documented("lifecycle-put", "lifecycle", "put", self.file("policy.json", policy))
        listed = self.documented("lifecycle-list", "lifecycle", "list")
        self.assertEqual(self.ok_json("lifecycle", "describe", "web"), listed)
        self.assertEqual(self.ok_json("lifecycle", "run"), {"DryRun": False, "Actions": []})
        self.documented("lifecycle-put", "lifecycle", "delete", "web")
        again = self.ok("image", "create", "--name", "second", "--map", f"/dev/sda={snapshot}", "--tag", "group=web").strip()
        first = policy.replace(b'"keep_last": 5, "after_days": 30', b'"keep_last": 1')
        self.ok("lifecycle", "put", self.file("policy.json", first))
        self.ok("image", "tag", image, "group=web")
        self.documented("lifecycle-run", "lifecycle", "run", "--dry-run")
        self.ok("image", "deregister", again)
        layout = self.scratch / "layout"
        self.documented("image-export-oci", "image", "export", image, layout, "--format", "oci")
        self.documented("image-copy", "image", "import", layout, "--format", "oci", "--name", "pulled")
        self.documented("image-deregister", "image", "deregister", image)
        self.ok("delete", snapshot)
        listed = self.documented("bin-list", "bin", "list")["bin"]
        self.assertEqual([entry["id"] for entry in listed], [again, image, snapshot])
        self.documented("bin-restore", "bin", "restore", snapshot)
        purged = self.documented("bin-purge", "bin", "purge", "--all")
        self.assertEqual(sorted(purged["purged"]), sorted([again, image]))

    def test_every_verb_of_other_formats(self):
        if not shutil.which("qemu-img") or not shutil.which("qemu-nbd"):
            self.skipTest("this host has no qemu-img or qemu-nbd")
        disk = self.scratch / "disk.vmdk"
        self.documented("export", "export", self.capture(self.source), disk)
        report = self.documented("capture", "import-disk", disk)
        self.assertEqual((report["snapshot"]["source_kind"], report["new_bytes"]), ("file", 0))
        descriptor = self.file("web.ovf", b"""<Envelope><References><File id="f" href="disk.vmdk"/></References><DiskSection>
            <Disk diskId="d" fileRef="f" capacity="2097152" format="vmdk.html"/></DiskSection><VirtualSystem id="web">
            <VirtualHardwareSection><Item><HostResource>/disk/d</HostResource><ResourceType>17</ResourceType></Item>
            </VirtualHardwareSection></VirtualSystem></Envelope>""")
        with tarfile.open(self.scratch / "web.ova", "w") as ova:
            for path in (descriptor, disk):
                ova.add(path, path.name)
        self.documented("image-import-ova", "image", "import-ova", self.scratch / "web.ova")

    def test_every_verb_of_attachments(self):
        volume = self.ok("volume", "create", "--snapshot", self.capture(self.source)).strip()
        self.documented("volume-attach", "volume", "attach", volume, "--qemu")
        self.documented("volume-release", "volume", "release", volume)

    def test_every_verb_of_machines(self):
        if not shutil.which("qemu-system-x86_64"):
            self.skipTest("this host has no qemu-system-x86_64")
        self.assertEqual(self.ok_json("instances", "list"), {"instances": [], "damaged": []})
        snapshot = self.capture(self.source)
        words = [program.PROGRAM, "--store", self.store, "serve", "--all", "--socket", self.scratch / "socket"]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as server:
            try:
                server.stdout.readline()
                made = self.documented("launch", "launch", snapshot, "--accel", "tcg", "--memory", "64M", "--name", "m")
                instance = made["instances"][0]["id"]
                self.documented("launch", "instances", "describe", instance)
                self.documented("instances-list", "instances", "list")
                self.documented("instances-change", "instances", "stop", instance, "--force")
                self.documented("instances-change", "instances", "start", instance)
                change = self.documented("instances-change", "instances", "terminate", instance)["instances"][0]
                self.assertEqual(change, {"id": instance, "previous_state": "running", "state": "terminated"})
            finally:
                server.terminate()

    def inspected(self):
        """Checks the report about a file system that a kernel has not unmounted."""
        folder, disk = self.scratch / "tree" / "root", self.file("system.raw", bytes(8 << 20))
        folder.mkdir(parents=True)
        (folder / ".bash_history").write_text("ls\n")
        for words in (["mke2fs", "-q", "-F", "-t", "ext4", "-L", "root", "-d", folder.parent, disk],
                      ["debugfs", "-w", "-R", "feature needs_recovery", disk]):
            subprocess.run(words, check=True, capture_output=True)
        report = self.documented("image-inspect", "image", "inspect", self.capture(disk))
        self.assertEqual([finding["path"] for finding in report["findings"]], ["/root/.bash_history"])

    def served(self, volume):
        socket = self.scratch / "socket"
        words = [program.PROGRAM, "--json", "--store", self.store, "serve", "--volume", volume, "--socket", socket,
                 "--metrics", "127.0.0.1:0"]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as server:
            try:
                line = json.loads(server.stdout.readline())
                self.check(DOCUMENTED["serve"], line, "serve")
                self.assertRegex(line.pop("metrics"), r"\Ahttp://127\.0\.0\.1:[1-9]\d*/metrics\Z")
                self.assertEqual(line, {"address": f"nbd+unix:///?socket={socket}", "exports": [volume]})
                state = self.documented("volume-describe", "volume", "describe", volume)["state"]
                self.assertTrue(state["served"])
                report = self.documented("capture", "volume", "snapshot", volume)
                self.assertEqual(report["snapshot"]["consistency"], "instant")
            finally:
                server.terminate()
        self.assertEqual(server.returncode, 0)

    def test_an_empty_store(self):
        self.assertEqual(self.ok_json("snapshots"), {"snapshots": [], "unread": []})
        self.assertIsNone(self.ok_json("stats")["dedup_ratio"])
        self.assertTrue(self.ok_json("verify", "--all")["ok"])

    def test_a_failure(self):
        done = self.run_ashlar("--json", "describe", "snap-00000000000000000")
        self.check(DOCUMENTED["error"], json.loads(done.stdout), "error")
        self.assertEqual(done.returncode, 1)

    def test_the_documented_map_is_read(self):
        parent = self.capture(self.source, "--change-token", DOCUMENTED["changed"]["since"])
        map_file = self.file("map.json", json.dumps(DOCUMENTED["changed"]).encode())
        changed = bytearray(self.source.read_bytes())
        changed[1048576] = 1
        self.source.write_bytes(changed)
        report = self.ok_json("capture", self.source, "--changed", map_file)
        self.assertEqual(report["snapshot"]["parent"], parent)
        self.assertEqual(report["snapshot"]["change_token"], DOCUMENTED["changed"]["token"])
        self.assertEqual(report["warnings"], [])
        self.ok("verify", report["snapshot"]["id"], "--against", self.source)

    def test_what_a_restore_left_out(self):
        snapshot = self.capture(self.source)
        pack = next((self.store / "packs").rglob("*.pack"))
        data = bytearray(pack.read_bytes())
        data[len(data) // 2] ^= 1
        pack.write_bytes(data)
        done = self.run_ashlar("restore", snapshot, self.scratch / "out.raw", "--skip-damaged", "--json")
        self.assertEqual(done.returncode, 3)
        report = json.loads(done.stdout)
        self.assertEqual(set(report), set(DOCUMENTED["restore"]))
        self.assertEqual([one["length"] for one in report["left_out"]], [65536])
        self.check([DOCUMENTED["restore-left-out"]], report["left_out"], "restore-left-out")
        self.assertEqual(report["left_out"][0]["why"], DOCUMENTED["restore-left-out"]["why"])

    def test_plain_capture_prints_the_id_alone(self):
        self.assertRegex(self.ok("capture", self.source), r"\Asnap-0[0-9a-f]{16}\n\Z")

    def test_a_stream_comes_back(self):
        data = program.noise((3 << 20) + 777)
        with open(self.file("stream", data), "rb") as stream:
            snapshot = self.capture("-", stdin=stream)
        done = self.run_ashlar("restore", snapshot, "-")
        self.assertEqual((done.returncode, done.stdout), (0, data))


if __name__ == "__main__":
    program.main()
