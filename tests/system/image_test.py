#!/usr/bin/env python3
"""Machine images as their users meet them: made of snapshots, found, shared, retired and brought back; and launched with
all their disks."""

import datetime
import hashlib

import host
import machines
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
        self.fails(1, "bin", "restore", image, says=self.data, code="not_found")
        self.ok("bin", "restore", self.data)
        self.assertEqual(self.ok_json("describe", self.data), record)
        self.ok("bin", "restore", image)
        self.assertEqual(self.describe(image)["State"], "available")
        self.ok("verify", "--all")

        done = self.ok_json("image", "deregister", image, "--delete-snapshots")
        codes = {one["SnapshotId"]: one["ReturnCode"] for one in done["DeleteSnapshotResults"]}
        self.assertEqual(codes, {self.data: "success", self.snapshot: "skipped"}, f"{other} needs the other one")
        self.assertEqual(self.ok("bin", "purge"), "", "a week has not passed")
        self.assertEqual(set(self.ok("bin", "purge", "--older-than-days", "0").split()), {self.data, image})
        self.fails(1, "bin", "restore", self.data, says="bin", code="not_found")
        self.assertEqual([s["id"] for s in self.ok_json("snapshots")["snapshots"]], [self.snapshot])

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
        self.fails(3, "delete", self.data, says=bad, code="corrupt")
        record.write_text(text)
        self.ok("delete", self.data)


class Launched(machines.MachineTest):
    def test_what_is_launched_of_a_disk_without_a_system(self):
        snapshot = self.capture(self.file("disk.raw", noise(2 * MIB, 1)))
        data = self.capture(self.file("data.raw", noise(MIB, 2)))
        image = self.ok("image", "create", "--name", "db-1", "--root-device", "/dev/sdb", "--map", f"/dev/sdb={snapshot}", "--map",
                        f"/dev/sda={data},delete-on-termination=false", "--map", "/dev/sdc=ephemeral0,size=4M").strip()
        instance = self.ok("launch", image, "--accel", "tcg", "--memory", "64M").strip()
        machine = self.machine(instance)
        self.assertEqual((machine["image"], machine["snapshot"]), (image, snapshot))
        root, kept, blank = machine["devices"]
        self.assertEqual([d["device"] for d in (root, kept, blank)], ["/dev/sdb", "/dev/sda", "/dev/sdc"])
        self.assertEqual((self.store / "instances" / instance / "disk-sdc.raw").stat().st_size, 4 * MIB)
        self.ok("instances", "stop", "--force", instance)
        self.ok("instances", "start", instance)
        self.ok("instances", "terminate", instance)
        self.assertEqual((self.volumes(), self.folders()), ([kept["volume"]], []))
        self.ok("volume", "delete", kept["volume"])

        instance = self.ok("image", "launch", image, "--accel", "tcg", "--memory", "64M", "--map", "/dev/sda=no-device", "--map",
                           "/dev/sdb=,size=8M", "--map", f"/dev/sdd={data}").strip()
        root, blank, more = self.machine(instance)["devices"]
        self.assertEqual(more["device"], "/dev/sdd")
        self.assertEqual(self.ok_json("volume", "describe", root["volume"])["volume"]["size_bytes"], 8 * MIB)
        self.ok("instances", "terminate", instance)
        for words in (["--map", "/dev/sdb=no-device"], ["--map", "/dev/sdb=,size=1M"], ["--map", "/dev/sdz=,size=1M"],
                      ["--size", "8M"]):
            self.fails(1, "launch", image, *words, code="invalid")
        self.assertEqual((self.volumes(), self.folders()), ([], []))

    def test_what_is_not_launched(self):
        snapshot = self.capture(self.file("disk.raw", noise(2 * MIB, 1)))
        create = ["image", "create", "--map", f"/dev/sda={snapshot}", "--name"]
        self.fails(1, "launch", self.ok(*create, "arm", "--architecture", "arm64").strip(), says="arm64", code="unsupported")
        self.fails(1, "launch", self.ok(*create, "uefi", "--boot-mode", "uefi").strip(), says="UEFI", code="unsupported")
        image = self.ok(*create, "web").strip()
        self.fails(1, "--as", OTHER, "launch", image, says="no image", code="not_found")
        self.ok("image", "deprecate", image, "--at", "2020-01-01")
        done = self.run_ashlar("launch", image, "--accel", "tcg", "--memory", "64M")
        self.assertIn("deprecated", done.stderr.decode())
        self.ok("instances", "terminate", done.stdout.decode().strip())

    def test_a_debian_with_a_data_disk(self):
        debian = self.need_debian()
        captured = [self.capture(debian / name) for name in ("disk.raw", "kernel", "initrd")]
        data = noise(3 * MIB, 5)
        disk = self.capture(self.file("data.raw", data))
        digest = hashlib.sha256(data[:4096]).hexdigest()[:16]
        zeros = hashlib.sha256(bytes(4096)).hexdigest()[:16]
        create = ["image", "create", "--map", f"/dev/sda={captured[0]}", "--map", f"/dev/sdb={disk}", "--map",
                  "/dev/sdc=ephemeral0,size=5M", "--kernel", captured[1], "--ramdisk", captured[2], "--append",
                  "root=/dev/vda console=ttyS0 quiet init=/sbin/counting-init note=image", "--name"]
        lazy = self.ok(*create, "lazy").strip()
        whole = self.ok(*create, "whole", "--root-device-type", "instance-store").strip()
        started = self.launch(lazy, "--memory", "384M", "--count", "2") + self.launch(whole, "--memory", "384M")
        for instance in started:
            self.wait_for(instance, "SYNCED count=1")
            console = self.console(instance)
            self.assertIn(f"DISK vdb {3 * MIB} {digest}", console)
            self.assertIn(f"DISK vdc {5 * MIB} {zeros}", console)
        self.assertIsNone(self.machine(started[2])["devices"][0]["volume"])
        self.assertEqual(len(self.volumes()), 5)
        self.ok("instances", "stop", started[2], "--timeout", 90)
        self.ok("instances", "start", started[2])
        self.wait_for(started[2], "BOOTED count=2 note=image")
        self.ok("instances", "terminate", *started)
        self.assertEqual((self.volumes(), self.folders()), ([], []))


if __name__ == "__main__":
    host.SECONDS = max(host.SECONDS, 900)  # the Debian may have to be built first
    host.main()
