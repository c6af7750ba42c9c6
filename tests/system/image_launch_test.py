#!/usr/bin/env python3
"""Shows machines launched from images, images made of machines, and launch templates."""

import hashlib
import json

import host
import machines
from program import noise

MIB = 1 << 20
OTHER = "123456789012"


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
        self.assertEqual((self.host_folder / "instances" / instance / "disk-sdc.raw").stat().st_size, 4 * MIB)
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

    def test_the_whole_life(self):
        """Shows the whole life: from a Debian disk with a data disk to machines, images of one of them, a
        second store, and their deletion."""
        debian = self.need_debian()
        captured = [self.capture(debian / name) for name in ("disk.raw", "kernel", "initrd")]
        data = self.capture(self.file("data.raw", noise(3 * MIB, 5)))
        boot = "root=/dev/vda console=ttyS0 quiet init=/sbin/counting-init"
        original = self.ok("image", "create", "--name", "one", "--map", f"/dev/sda={captured[0]}", "--map",
                           f"/dev/sdb={data},type=io2,delete-on-termination=false", "--map", "/dev/sdc=ephemeral0,size=5M",
                           "--kernel", captured[1], "--ramdisk", captured[2], "--append", boot).strip()
        others = self.launch(original, "--memory", "384M", "--count", "2")
        written = self.launch(original, "--memory", "384M", "--kernel", debian / "kernel", "--initrd", debian / "initrd",
                              "--append", boot + " note=written")[0]
        self.wait_for(written, "SYNCED count=1")
        crash = self.ok("image", "create", "--name", "crash", "--from-instance", written, "--no-reboot", "--tag", "a=b").strip()
        self.assertEqual(self.console(written).count("BOOTED"), 1, "it goes on")
        clean = self.ok("image", "create", "--name", "clean", "--from-instance", written, "--timeout", 90).strip()
        self.assertIn("POWEROFF count=1", self.console(written))
        self.wait_for(written, "BOOTED count=2 note=written")
        self.looks_like_its_machine(crash, "crash-consistent", written)
        self.looks_like_its_machine(clean, "stopped", written)
        self.fails(1, "image", "create", "--name", "clean", "--from-instance", written, "--no-reboot", says=clean, code="busy")
        self.fails(1, "image", "create", "--name", "new", "--from-instance", "i-00000000000000001", says="i-0", code="not_found")
        self.fails(2, "image", "create", "--name", "new", "--from-instance", written, "--map", f"/dev/sda={data}", code="usage")
        for instance in others:
            self.wait_for(instance, "SYNCED count=1")
            self.assertIn("note=none", self.console(instance), "what one machine writes is its own")
        kept = [self.machine(instance)["devices"][1]["volume"] for instance in [written, *others]]
        self.ok("instances", "terminate", written, *others)
        self.assertEqual(sorted(self.volumes()), sorted(kept))
        self.ok("volume", "delete", *kept[:1])
        self.fails(1, "delete", data, says=f"{data} is in use by vol-", code="busy")
        for volume in kept[1:]:
            self.ok("volume", "delete", volume)

        here, there = self.store, self.scratch / "there"
        self.ok("init", there, store=False)
        copied = [self.ok("image", "copy", image, "--to", there).strip() for image in (clean, crash)]
        self.store = there
        for image in copied:
            self.ok("image", "verify", image)
            self.boots(image, "BOOTED count=2 note=written")
        self.end(self.server_pid())
        self.store = here

        self.ok("image", "share", original, "--add", "all")
        self.ok("image", "deprecate", original, "--at", "2020-01-01")
        self.assertNotIn(original, self.ok("--as", OTHER, "image", "list"))
        self.ok("image", "deregister", crash, "--delete-snapshots")
        done = self.ok_json("image", "deregister", original, "--delete-snapshots")
        self.assertEqual({one["ReturnCode"] for one in done["DeleteSnapshotResults"]}, {"success"})
        self.ok("bin", "purge", "--all")
        self.fails(1, "bin", "restore", original, says="no image", code="not_found")
        for store in (here, there):
            self.store = store
            self.ok("verify", "--all")
        self.store = here
        self.ok("image", "verify", clean)
        self.boots(clean, "BOOTED count=2 note=written")

    def boots(self, image, marker):
        instance = self.launch(image, "--memory", "384M")[0]
        self.wait_for(instance, marker)
        kept = self.machine(instance)["devices"][1]["volume"]
        self.ok("instances", "terminate", instance)
        self.ok("volume", "delete", kept)

    def looks_like_its_machine(self, image, consistency, instance):
        shown = self.ok_json("image", "describe", image)["Images"][0]
        self.assertEqual((shown["State"], shown["SourceInstanceId"], shown["Consistency"]), ("available", instance, consistency))
        _, second, third = shown["BlockDeviceMappings"]
        self.assertEqual((second["Ebs"]["VolumeType"], second["Ebs"]["DeleteOnTermination"]), ("io2", False))
        self.assertEqual(third["VirtualName"], "ephemeral0")
        self.assertIn("KernelId", shown)

    def test_launch_templates(self):
        snapshot = self.capture(self.file("disk.raw", noise(2 * MIB, 1)))
        data = self.capture(self.file("data.raw", noise(MIB, 2)))
        image = self.ok("image", "create", "--name", "db-1", "--map", f"/dev/sda={snapshot}").strip()
        shape = ["--accel", "tcg", "--memory", "64M", "--map", f"/dev/sdb={data}"]
        self.ok("template", "create", "web", image, *shape)
        self.assertEqual(self.ok("template", "version", "web", "--source-version", "1", "--cpus", "2", "--map",
                                 "/dev/sdb=ephemeral0,size=4M"), "2\n")
        self.assertEqual(self.ok("template", "version", "web", "--memory", "96M", "--accel", "tcg"), "3\n")
        first, *_ = self.launch_of("web", "--count", "2", "--name", "w")
        self.assertEqual((first["name"], first["image"], first["memory_bytes"], first["cpus"]), ("w-1", image, 64 * MIB, 1))
        self.assertIsNotNone(first["devices"][1]["volume"])
        second, = self.launch_of("web:2", "--memory", "96M")
        self.assertEqual((second["memory_bytes"], second["cpus"]), (96 * MIB, 2))
        self.assertTrue(second["devices"][1]["file"].endswith("/disk-sdb.raw"))
        self.fails(1, "launch", "--template", "web:$Latest", says="names no image", code="invalid")
        third = self.ok("launch", snapshot, "--template", "web:$Latest").strip()
        self.assertEqual(self.machine(third)["memory_bytes"], 96 * MIB)
        self.fails(1, "launch", "--template", "web:9", says="no version 9", code="not_found")
        self.fails(1, "--as", OTHER, "launch", "--template", "web", says="'web'", code="not_found")
        self.fails(2, "launch", "--template", "web:x", code="usage")
        self.fails(2, "launch", "--accel", "tcg", says="--template", code="usage")
        self.ok("template", "set-default", "web", "2")
        self.assertEqual(self.launch_of("web")[0]["cpus"], 2)

    def launch_of(self, *words):
        return self.ok_json("launch", "--template", *words)["instances"]

    def test_a_machine_that_does_not_switch_itself_off(self):
        snapshot = self.capture(self.file("disk.raw", noise(2 * MIB, 1)))
        instance = self.launch(snapshot, "--memory", "64M")[0]
        self.fails(1, "image", "create", "--name", "new", "--from-instance", instance, "--timeout", "1",
                   says=("switch itself off", "--no-reboot"), code="busy")
        self.assertEqual(self.state(instance), "running")
        image = self.ok("image", "create", "--name", "new", "--from-instance", instance, "--no-reboot").strip()
        mapping = self.ok_json("image", "describe", image)["Images"][0]["BlockDeviceMappings"][0]
        self.ok("restore", mapping["Ebs"]["SnapshotId"], self.scratch / "out.raw")
        self.assertEqual((self.scratch / "out.raw").read_bytes(), noise(2 * MIB, 1))
        self.ok("instances", "stop", "--force", instance)
        off = self.ok("image", "create", "--name", "off", "--from-instance", instance).strip()
        self.assertEqual(self.ok_json("image", "describe", off)["Images"][0]["Consistency"], "stopped")
        self.assertEqual(self.state(instance), "stopped")

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
        folder = self.host_folder / "instances" / started[2]
        record = json.loads((folder / "instance.json").read_text())
        self.assertEqual((record["kernel"], record["initrd"]), ("kernel", "ramdisk"), "no path: the store may be moved")
        self.assertTrue(self.machine(started[2])["kernel"].endswith(f"/{started[2]}/kernel"))
        self.assertEqual(len(self.volumes()), 5)
        self.ok("instances", "stop", started[2], "--timeout", 90)
        self.ok("instances", "start", started[2])
        self.wait_for(started[2], "BOOTED count=2 note=image")
        self.ok("instances", "terminate", *started)
        self.assertEqual((self.volumes(), self.folders()), ([], []))


if __name__ == "__main__":
    host.SECONDS = max(host.SECONDS, 900)  # the Debian image may have to be built first
    host.main()
