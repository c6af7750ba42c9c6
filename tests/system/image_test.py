#!/usr/bin/env python3
"""Shows machine images as users see them: made of snapshots, found, shared, retired and brought back."""

import datetime
import resource

import host
from program import noise

MIB = 1 << 20
OTHER = "123456789012"
THIRD = "210987654321"


class Images(host.HostTest):
    def setUp(self):
        super().setUp()
        self.init()
        self.snapshot = self.capture(self.file("disk.raw", noise(2 * MIB, 1)))
        self.data = self.capture(self.file("data.raw", noise(MIB, 2)))

    def create(self, name, *words):
        return self.ok("image", "create", "--name", name, "--map", f"/dev/sda={self.snapshot}", *words).strip()

    def describe(self, image, *words):
        return self.ok_json("image", "describe", image, *words)["Images"][0]

    def listed(self, *words):
        return [image["ImageId"] for image in self.ok_json("image", "list", *words)["Images"]]

    def test_what_an_image_is_made_of(self):
        image = self.create("db-1.4", "--map", f"/dev/sdb={self.data},size=4M,type=io2,iops=4000,delete-on-termination=false",
                            "--map", "/dev/sdc=ephemeral0,size=8M", "--map", "/dev/sdd=no-device", "--tag", "stage=test",
                            "--description", "with a data disk", "--boot-mode", "uefi-preferred", "--ena-support")
        self.assertRegex(image, r"\Aami-0[0-9a-f]{16}\Z")
        shown = self.describe(image)
        self.assertEqual((shown["Name"], shown["State"], shown["RootDeviceName"]), ("db-1.4", "available", "/dev/sda"))
        self.assertEqual(shown["Tags"], [{"Key": "stage", "Value": "test"}])
        root, data, blank, none = shown["BlockDeviceMappings"]
        self.assertEqual((root["Ebs"]["SnapshotId"], root["Ebs"]["VolumeSizeBytes"]), (self.snapshot, 2 * MIB))
        self.assertEqual(data["Ebs"], {"DeleteOnTermination": False, "SnapshotId": self.data, "VolumeSize": 1,
                                       "VolumeSizeBytes": 4 * MIB, "VolumeType": "io2", "Encrypted": False, "Iops": 4000})
        self.assertEqual((blank["VirtualName"], none), ("ephemeral0", {"DeviceName": "/dev/sdd", "NoDevice": ""}))
        self.assertIn("/dev/sdb", self.ok("image", "describe", image))
        same = self.create("again", "--map", f"/dev/sdb={self.data},size=4M", "--map", "/dev/sdc=ephemeral0,size=8M",
                           "--map", "/dev/sdd=no-device")
        self.assertEqual(self.describe(same)["ContentDigest"], shown["ContentDigest"])

    def test_what_is_refused(self):
        taken = self.create("web")
        self.fails(1, "image", "create", "--name", "web", "--map", f"/dev/sda={self.data}", says=(taken, "'web'"), code="busy")
        self.fails(1, "image", "create", "--name", "lost", "--map", "/dev/sda=snap-00000000000000001",
                   says="snap-00000000000000001", code="not_found")
        self.fails(1, "image", "create", "--name", "small", "--map", f"/dev/sda={self.snapshot},size=1M",
                   says="/dev/sda", code="invalid")
        for words in (["--name", "ab", "--map", f"/dev/sda={self.data}"], ["--name", "a;b", "--map", f"/dev/sda={self.data}"],
                      ["--name", "web2"], ["--name", "web2", "--map", "/dev/sda=ephemeral0"],
                      ["--name", "web2", "--map", "sda=x"], ["--map", f"/dev/sda={self.data}"],
                      ["--name", "web2", "--map", f"/dev/sda={self.data}", "--root-device", "/dev/sdb"],
                      ["--name", "web2", "--map", f"/dev/sda={self.data}", "--append", "quiet"],
                      ["--name", "web2", "--map", f"/dev/sda={self.data}", "--architecture", "vax"],
                      ["--name", "web2", "--map", f"/dev/sda={self.data}", "--tag", "aws:x=y"]):
            self.fails(2, "image", "create", *words, code="usage")
        self.assertEqual(self.listed(), [taken])
        self.fails(1, "image", "describe", "ami-00000000000000001", says="no image ami-0", code="not_found")
        self.fails(2, "image", "list", "--filter", "name=colour,values=red", says="colour", code="usage")

    def test_filters(self):
        web, db = self.create("web-1", "--tag", "stage=test"), self.create("db-1", "--architecture", "arm64")
        for filters, found in (([], [web, db]), (["name=name,values=web-*"], [web]), (["name=name,values=*-1"], [web, db]),
                               (["name=name,values=web-?,db-?"], [web, db]), (["name=tag:stage,values=test"], [web]),
                               (["name=architecture,values=arm64", "name=state,values=available"], [db]),
                               (["name=architecture,values=arm64", "name=name,values=web*"], []),
                               ([f"name=block-device-mapping.snapshot-id,values={self.data}"], [])):
            self.assertEqual(self.listed(*(word for one in filters for word in ("--filter", one))), found, filters)

    def test_who_sees_what(self):
        image = self.create("web")
        theirs = self.ok("--as", OTHER, "image", "create", "--name", "web", "--map", f"/dev/sda={self.data}").strip()
        self.assertEqual(self.listed(), [image])
        self.assertEqual(self.listed("--as", OTHER), [theirs])
        for words in (["describe", image], ["share", image, "--add", "all"], ["deregister", image], ["tag", image, "a=b"]):
            self.fails(1, "--as", OTHER, "image", *words, says="no image", code="not_found")
        self.ok("image", "share", image, "--add", OTHER)
        self.assertEqual(self.listed("--as", OTHER), [image, theirs])
        self.assertEqual(self.listed("--as", OTHER, "--owner", "self"), [theirs])
        self.assertEqual(self.listed("--as", OTHER, "--executable-by", "self"), [image])
        self.assertNotIn("LaunchPermissions", self.describe(image, "--as", OTHER))
        self.assertEqual(self.describe(image)["LaunchPermissions"], [{"UserId": OTHER}])
        self.fails(1, "--as", OTHER, "image", "share", image, "--add", "all", says="its owner", code="invalid")
        self.assertEqual(self.listed("--as", THIRD), [])
        self.ok("image", "share", image, "--add", "all", "--remove", OTHER)
        self.assertEqual(self.listed("--as", THIRD), [image])
        self.ok("image", "disable", image)
        self.assertEqual((self.listed("--as", THIRD), self.describe(image)["State"]), ([], "disabled"))
        self.fails(1, "launch", image, says="disabled", code="invalid")
        self.ok("image", "enable", image)
        self.assertEqual(self.describe(image)["LaunchPermissions"], [], "EC2 takes it back from everybody")

    def test_deprecation(self):
        image = self.create("web")
        self.ok("image", "share", image, "--add", "all")
        self.ok("image", "deprecate", image, "--at", "2020-01-01")
        self.assertEqual(self.describe(image)["DeprecationTime"], "2020-01-01T00:00:00Z")
        self.assertEqual((self.listed(), self.listed("--as", OTHER)), ([image], []))
        self.assertEqual(self.listed("--as", OTHER, "--include-deprecated"), [image])
        self.assertEqual(self.describe(image, "--as", OTHER)["ImageId"], image)
        tomorrow = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
        self.ok("image", "deprecate", image, "--at", tomorrow.strftime("%Y-%m-%dT%H:%M:%SZ"))
        self.assertEqual(self.listed("--as", OTHER), [image])
        self.ok("image", "deprecate", image, "--cancel")
        self.assertNotIn("DeprecationTime", self.describe(image))
        self.fails(2, "image", "deprecate", image, "--at", "soon", says="soon", code="usage")

    def test_an_image_holds_its_snapshots_and_the_bin_gives_all_back(self):
        image = self.create("web", "--map", f"/dev/sdb={self.data}")
        record = self.ok_json("describe", self.data)
        self.fails(1, "delete", self.data, says=f"{self.data} is in use by {image}", code="busy")
        self.ok("image", "disable", image)
        self.fails(1, "delete", self.data, says=image, code="busy")
        other = self.create("other")
        self.assertEqual(set(self.ok("image", "deregister", image).split()), {self.snapshot, self.data})
        self.fails(1, "image", "describe", image, says="no image", code="not_found")
        self.ok("delete", self.data)
        self.fails(1, "describe", self.data, says="no snapshot", code="not_found")
        self.fails(1, "bin", "restore", image, says=f"run 'ashlar bin restore {self.data}' first", code="busy")
        self.ok("bin", "restore", self.data)
        self.assertEqual(self.ok_json("describe", self.data), record)
        self.ok("bin", "restore", image)
        self.assertEqual(self.describe(image)["State"], "disabled", "as it was")
        self.ok("verify", "--all")

        done = self.ok_json("image", "deregister", image, "--delete-snapshots")
        codes = {one["SnapshotId"]: one["ReturnCode"] for one in done["DeleteSnapshotResults"]}
        self.assertEqual(codes, {self.data: "success", self.snapshot: "skipped"}, f"{other} needs the other one")
        self.assertEqual(self.ok("bin", "purge"), "", "a week has not passed")
        self.assertEqual(set(self.ok("bin", "purge", "--all").split()), {self.data, image})
        self.fails(1, "bin", "restore", self.data, says="bin", code="not_found")
        self.assertEqual([s["id"] for s in self.ok_json("snapshots")["snapshots"]], [self.snapshot])

    def test_copies(self):
        there = self.scratch / "there"
        self.ok("init", there, store=False)
        image = self.create("web", "--map", f"/dev/sdb={self.data}", "--tag", "a=b")
        self.ok("image", "share", image, "--add", "all")
        self.ok("image", "deprecate", image, "--at", "2035-01-01")
        copied = self.ok_json("image", "copy", image, "--to", there)
        self.assertGreaterEqual(copied["segment_bytes_sent"], 3 * MIB)
        elsewhere = self.ok_json("--store", there, "image", "describe", copied["ImageId"], store=False)["Images"][0]
        original = self.describe(image)
        for member in ("Name", "ContentDigest", "DeprecationTime", "RootDeviceName", "Architecture"):
            self.assertEqual(elsewhere[member], original[member])
        self.assertEqual((elsewhere["Public"], elsewhere["Tags"], elsewhere["SourceImageId"]), (False, [], image))
        self.assertNotEqual(elsewhere["OwnerId"], original["OwnerId"])
        data = elsewhere["BlockDeviceMappings"][1]["Ebs"]["SnapshotId"]
        self.ok("--store", there, "restore", data, self.scratch / "out.raw", "--verify", store=False)
        self.assertEqual((self.scratch / "out.raw").read_bytes(), noise(MIB, 2))
        self.ok("--store", there, "verify", "--all", store=False)
        self.fails(1, "image", "copy", image, "--to", there, says=("'web'", copied["ImageId"]), code="busy")
        again = self.ok_json("image", "copy", image, "--to", there, "--name", "web-2", "--copy-tags", "--no-deprecation")
        self.assertEqual((again["segments_sent"], again["nodes_sent"]), (0, 0))
        elsewhere = self.ok_json("--store", there, "image", "describe", again["ImageId"], store=False)["Images"][0]
        self.assertEqual((elsewhere["Tags"], "DeprecationTime" in elsewhere), ([{"Key": "a", "Value": "b"}], False))
        here = self.ok_json("image", "copy", image, "--to", self.store, "--name", "web-3")
        self.assertEqual((here["segments_sent"], self.describe(here["ImageId"])["Name"]), (0, "web-3"))
        self.fails(1, "image", "copy", image, "--to", self.scratch / "none", says="none", code="not_found")

    def test_bundles(self):
        there = self.scratch / "there"
        self.ok("init", there, store=False)
        first = self.create("one", "--map", f"/dev/sdb={self.data}", "--tag", "a=b")
        file = self.scratch / "one.ashlar"
        self.ok("image", "share", first, "--add", OTHER)
        self.ok("image", "export", first, file)
        self.assertNotIn(OTHER.encode(), file.read_bytes(), "permissions stay at home")
        self.fails(1, "image", "export", first, file, says="exists", code="invalid")
        imported = self.ok("--store", there, "image", "import", file, store=False).strip()
        elsewhere = self.ok_json("--store", there, "image", "describe", imported, store=False)["Images"][0]
        self.assertEqual(elsewhere["ContentDigest"], self.describe(first)["ContentDigest"])
        self.assertEqual((elsewhere["SourceImageId"], elsewhere["Tags"]), (first, []))
        self.ok("--store", there, "image", "verify", imported, store=False)

        changed = bytearray(noise(2 * MIB, 1))
        changed[MIB:MIB + 4096] = noise(4096, 9)
        second = self.create("two", "--map", f"/dev/sdc={self.capture(self.file('disk.raw', bytes(changed)))}")
        bundle = self.run_ashlar("image", "export", second, "-", "--since", first).stdout
        self.assertLess(len(bundle), 100_000)
        piped = self.scratch / "pipe"
        piped.write_bytes(bundle)
        with open(piped, "rb") as pipe:
            done = self.run_ashlar("--store", there, "image", "import", "-", store=False, stdin=pipe)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        empty = self.scratch / "empty"
        self.ok("init", empty, store=False)
        self.fails(3, "--store", empty, "image", "import", piped, says=first, code="corrupt", store=False)
        for damage in (bundle[:-1], bundle[:1000], bundle + b"x"):
            piped.write_bytes(damage)
            self.fails(3, "--store", there, "image", "import", piped, says="bundle", code="corrupt", store=False)
        for other in (b"", b"x" + bundle):
            piped.write_bytes(other)
            self.fails(1, "--store", there, "image", "import", piped, says=f"{piped} is not an image bundle",
                       code="invalid", store=False)
        self.ok("--store", there, "settings", "--unsigned-images", "refuse", store=False)
        self.fails(1, "--store", there, "image", "import", file, "--name", "new", says="trust", code="invalid", store=False)
        self.fails(1, "image", "export", first, "/dev/full", says="/dev/full")
        self.assertEqual(list((there / "incoming").glob("import-*")), [])

        # The kernel ends a process that writes a file past this limit, as a kill would. The name stays free.
        cut_off = self.scratch / "cut-off.ashlar"
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, MIB))
        done = self.run_ashlar("image", "export", first, cut_off, preexec_fn=limit)
        self.assertNotEqual(done.returncode, 0)
        self.assertFalse(cut_off.exists())
        self.ok("image", "export", first, cut_off)
        self.assertEqual(cut_off.stat().st_size, file.stat().st_size)

    def test_a_copy_that_is_killed_is_failed_and_made_again(self):
        there = self.scratch / "there"
        self.ok("init", there, store=False)
        big = self.capture(self.file("big.raw", noise(128 * MIB, 3) + noise(128 * MIB, 4)))
        image = self.ok("image", "create", "--name", "big", "--map", f"/dev/sda={big}").strip()
        copying = self.start("image", "copy", image, "--to", there)
        self.wait_until(lambda: list((there / "packs").rglob("*.pack")) or copying.poll() is not None, "no pack arrives")
        copying.kill()
        copying.communicate()
        listed = self.ok_json("--store", there, "image", "list", store=False)["Images"]
        self.assertEqual([one["State"] for one in listed], ["failed"])
        self.assertEqual(self.ok_json("--store", there, "snapshots", store=False)["snapshots"], [])
        done = self.ok_json("image", "copy", image, "--to", there)
        self.assertLess(done["segment_bytes_sent"], 240 * MIB)
        self.ok("--store", there, "verify", "--all", store=False)

    def test_signatures(self):
        key = self.scratch / "key.pem"
        public = self.ok("key", "generate", key, store=False).strip()
        self.assertRegex(public, r"\A[0-9a-f]{64}\Z")
        self.assertEqual(oct(key.stat().st_mode & 0o777), "0o600")
        self.fails(1, "key", "generate", key, says="exists", code="invalid", store=False)
        image = self.create("web", "--map", f"/dev/sdb={self.data}")
        self.assertIn("not signed", self.ok("image", "verify", image))
        self.ok("image", "sign", image, "--key", key)
        self.ok("image", "sign", image, "--key", key)
        verified = self.ok_json("image", "verify", image)
        self.assertEqual((verified["ok"], verified["Trusted"], len(verified["Signatures"])), (True, False, 1))
        self.ok("key", "trust", public, "--name", "release")
        self.assertEqual(self.ok_json("key", "list")["keys"], [{"key": public, "name": "release"}])
        self.assertEqual(self.ok_json("image", "verify", image)["Signatures"][0]["TrustedAs"], "release")

        there = self.scratch / "there"
        self.ok("init", there, store=False)
        self.ok("--store", there, "settings", "--unsigned-images", "refuse", store=False)
        self.fails(1, "image", "copy", image, "--to", there, says=("web", "trust"), code="invalid")
        self.assertEqual(self.ok_json("--store", there, "image", "list", store=False)["Images"], [])
        self.ok("--store", there, "key", "trust", key, "--name", "theirs", store=False)
        copied = self.ok("image", "copy", image, "--to", there, "--name", "another-name").strip()
        verified = self.ok_json("--store", there, "image", "verify", copied, store=False)
        self.assertEqual((verified["ok"], verified["Trusted"]), (True, True))
        self.assertEqual(verified["Signatures"][0]["Name"], "web", "the name that was signed is shown")
        self.ok("--store", there, "key", "untrust", key, store=False)
        self.ok("--store", there, "settings", "--unsigned-images", "warn", store=False)
        done = self.run_ashlar("image", "copy", image, "--to", there)
        self.assertEqual(done.returncode, 0)
        self.assertIn("trust", done.stderr.decode())
        self.fails(1, "image", "sign", image, "--key", self.file("other", b"no key"), says="other", code="invalid")
        self.fails(1, "key", "untrust", public[::-1], says="not trusted", code="not_found")

    def test_settings(self):
        self.assertEqual(self.ok_json("settings"), {"bin_days": 7, "unsigned_images": "accept", "trusted_keys": []})
        self.ok("delete", self.data)
        self.ok("bin", "purge")
        self.ok("settings", "--bin-days", "0")
        self.assertEqual(self.ok("bin", "purge").split(), [self.data])
        self.assertEqual(self.ok_json("settings")["bin_days"], 0)
        for words in (["--bin-days", "-1"], ["--bin-days", "x"], ["--unsigned-images", "maybe"]):
            self.fails(2, "settings", *words, code="usage")
        (self.store / "settings.json").write_text("{}")
        self.fails(3, "settings", says="settings.json", code="corrupt")
        self.fails(3, "bin", "purge", says="settings.json", code="corrupt")

    def test_templates(self):
        image = self.create("web")
        made = self.ok("template", "create", "web", image, "--memory", "2G", "--description", "the first").strip()
        self.assertRegex(made, r"\Alt-0[0-9a-f]{16}\Z")
        self.fails(1, "template", "create", "web", image, says="'web' exists", code="busy")
        self.assertEqual(self.ok("template", "version", "web", "--source-version", "$Latest", "--cpus", "4").strip(), "2")
        first, second = self.ok_json("template", "describe", "web")["LaunchTemplateVersions"]
        self.assertEqual(first["LaunchTemplateData"], {"ImageId": image, "MemoryBytes": 2 << 30})
        self.assertEqual(second["LaunchTemplateData"], {"ImageId": image, "MemoryBytes": 2 << 30, "Cpus": 4})
        self.assertEqual((first["DefaultVersion"], first["VersionDescription"], second["DefaultVersion"]), (True, "the first", False))
        self.fails(1, "template", "delete", "web", "--version", "$Default", says="the default", code="invalid")
        self.ok("template", "set-default", "web", "$Latest")
        self.ok("template", "delete", "web", "--version", "1")
        self.assertEqual(self.ok("template", "version", "web", "--kernel", "vmlinuz").strip(), "3", "1 is not given again")
        listed = self.ok_json("template", "list")["LaunchTemplates"]
        self.assertEqual([(one["DefaultVersionNumber"], one["LatestVersionNumber"]) for one in listed], [(2, 3)])
        kernel = self.ok_json("template", "describe", "web", "--version", "3")["LaunchTemplateVersions"][0]["LaunchTemplateData"]
        self.assertTrue(kernel["Kernel"].startswith("/"), kernel)
        self.assertEqual(self.ok_json("--as", OTHER, "template", "list"), {"LaunchTemplates": []})
        self.ok("template", "delete", "web")
        self.fails(1, "template", "describe", "web", says="'web'", code="not_found")
        for words in (["create", "a b"], ["create", "web", "x"], ["create", "web", image, "--cpus", "0"], ["set-default", "web"],
                      ["create", "web", image, "--accel", "vax"], ["create", "web", image, "--map", "x"],
                      ["version", "web", "--source-version", "one"]):
            self.fails(2, "template", *words, code="usage")

    def test_policies(self):
        images = [self.create(f"web-{number}", "--tag", "group=web") for number in range(4)]
        other = self.create("other", "--map", f"/dev/sdb={self.data}")
        policy = self.file("policy.json", b'''{"name": "web", "filters": ["name=tag:group,values=web"],
            "deprecate": {"keep_last": 1}, "deregister": {"keep_last": 2}, "delete_snapshots": true}''')
        self.assertRegex(self.ok("lifecycle", "put", policy), r"\Apolicy-0[0-9a-f]{16}\n\Z")
        before = self.ok_json("image", "list")
        plan = self.ok_json("lifecycle", "run", "--dry-run")["Actions"]
        self.assertEqual([(one["Action"], one["ImageId"]) for one in plan],
                         [("deprecate", images[2]), *sorted(("deregister", image) for image in images[:2])])
        self.assertEqual(self.ok_json("image", "list"), before, "a dry run changes nothing")
        text = self.ok("lifecycle", "run")
        self.assertEqual(text.count("deregister"), 2)
        self.assertEqual(self.listed(), [images[2], images[3], other])
        self.assertIn("DeprecationTime", self.describe(images[2]))
        self.assertEqual(self.ok("lifecycle", "run"), "", "nothing is left to do")
        self.assertEqual(self.ok_json("lifecycle", "run", "--policy", "web")["Actions"], [])

        changed = self.ok("lifecycle", "describe", "web").replace("tag:group", "name").replace('values=web', 'values=o*')
        policy.write_text(changed.replace('"keep_last": 2', '"keep_last": 0').replace('"keep_last": 1', '"after_days": 9'))
        self.fails(1, "lifecycle", "put", policy, says="deregister needs keep_last", code="invalid")
        policy.write_text('{"name": "all", "filters": ["name=name,values=*"], "deregister": {"after_days": 0, "keep_last": 1},'
                          '"delete_snapshots": true}')
        self.ok("lifecycle", "put", policy)
        self.ok("lifecycle", "delete", "web")
        self.ok("lifecycle", "run")
        self.assertEqual(self.listed(), [other])
        self.ok("describe", self.snapshot)  # the last image needs it
        self.ok("bin", "restore", images[0])
        self.ok("image", "describe", images[0])
        self.ok("--as", OTHER, "lifecycle", "run", "--dry-run")
        for text in ("", "[]", "{}", '{"name": "x"}', '{"name": "x", "filters": [], "deregister": {"keep_last": 1}}',
                     '{"name": "x", "filters": ["y"], "deregister": {"keep_last": 1}}', '{"name": "x", "filters": [1]}',
                     '{"name": "x", "filters": ["name=name,values=*"], "deregister": {"keep_last": 1}, "more": 1}'):
            policy.write_text(text)
            self.fails(1, "lifecycle", "put", policy, says="policy", code="invalid")
        self.fails(1, "lifecycle", "run", "--policy", "none", says="'none'", code="not_found")

    def test_policies_of_others_and_damaged_ones(self):
        theirs = self.ok("--as", OTHER, "image", "create", "--name", "web", "--map", f"/dev/sda={self.snapshot}").strip()
        text = b'{"name": "all", "filters": ["name=name,values=*"], "deprecate": {"keep_last": %d, "after_days": 0}}'
        policy = self.file("policy.json", text % 1)
        self.ok("--as", OTHER, "lifecycle", "put", policy)
        self.create("web")
        newest = self.ok("--as", OTHER, "image", "create", "--name", "web-2", "--map", f"/dev/sda={self.snapshot}").strip()
        self.assertEqual(self.ok("lifecycle", "run", "--dry-run"), "", "policies are the account's own")
        ours = self.ok("lifecycle", "put", policy).strip()
        self.fails(2, "lifecycle", "run", "--all-accounts", "--policy", "all", code="usage")
        record = self.store / "lifecycle-policies" / ours
        record.write_text(record.read_text().replace('"keep_last": 1', '"keep_last": 0'))
        done = self.run_ashlar("lifecycle", "run", "--all-accounts")
        self.assertEqual((done.returncode, ours in done.stderr.decode()), (3, True))
        self.assertIn(theirs, done.stdout.decode(), "a damaged one hides none of the others")
        self.assertNotIn("DeprecationTime", self.describe(newest, "--as", OTHER))
        self.fails(3, "lifecycle", "describe", "all", says=ours, code="corrupt")
        self.fails(3, "lifecycle", "delete", "all", says=ours, code="corrupt")
        self.ok("store", "discard", ours, "--yes")
        self.ok("lifecycle", "run", "--all-accounts")
        made = self.ok("template", "create", "web", newest).strip()
        (self.store / "launch-templates" / made).write_text("{}")
        self.fails(3, "template", "describe", "web", says=made, code="corrupt")
        self.fails(3, "template", "delete", "web", says=made, code="corrupt")
        self.ok("store", "discard", made, "--yes")
        self.fails(1, "template", "delete", "web", says="'web'", code="not_found")

    def test_a_damaged_record_is_named_and_hides_no_other(self):
        good, bad = self.create("good"), self.create("bad")
        record = self.store / "images" / bad
        text = record.read_text()
        record.write_text(text.replace('"bad"', '"bax"'))
        done = self.run_ashlar("image", "list")
        self.assertEqual(done.returncode, 3)
        self.assertIn(good, done.stdout.decode())
        self.assertIn(bad, done.stderr.decode())
        self.fails(3, "image", "describe", bad, says=f"images/{bad}", code="corrupt")
        # A snapshot that the damaged record names stays, any other one can be deleted.
        self.ok("image", "deregister", good)
        self.fails(1, "delete", self.snapshot, says=f"images/{bad}", code="busy")
        self.ok("delete", self.data)
        record.write_text(text)
        self.ok("image", "deregister", bad)
        self.ok("delete", self.snapshot)


if __name__ == "__main__":
    host.main()
