#!/usr/bin/env python3
"""Shows clean images: what inspections find in real systems without mounting them, and what --require-clean
does with it."""

import os
import re
import subprocess

import host
import machines
import program

MIB = 1 << 20
LAYOUT = """label: gpt
start=1MiB,size=1MiB,type=21686148-6449-6E6F-744E-656564454649
start=2MiB,size=38MiB,type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B
start=40MiB,size=30MiB
start=70MiB,size=8MiB,type=0657FD6D-A4AB-43C4-84E5-0933C1B0D5AE
"""
DIRTY = {"root/.ssh/authorized_keys": "ssh-ed25519 AAAA me\n", "root/.bash_history": "ls\n", "etc/machine-id": "0" * 32,
         "var/log/syslog": "booted\n"}
CLEAN = {"root/.ssh/authorized_keys": "", "root/.bash_history": "", "etc/machine-id": "uninitialized\n", "var/log/syslog": ""}


class Inspections(host.HostTest):
    def setUp(self):
        super().setUp()
        self.need("mke2fs", "sfdisk", "mkfs.vfat", "mkswap")
        self.init()

    def tree(self, files):
        """Makes an ext4 file system of 30 MiB with these files."""
        folder = self.scratch / f"tree-{len(list(self.scratch.iterdir()))}"
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        disk = self.image(f"{folder.name}.raw", 30 * MIB)
        self.do("mke2fs", "-q", "-F", "-t", "ext4", "-L", "root", "-d", folder, disk)
        return disk

    def machine_disk(self, name, files, swapped=b""):
        """Captures a disk with a GPT: boot program, EFI system, root and swap."""
        disk = self.image(name, 80 * MIB)
        self.do("sfdisk", "-q", disk, input=LAYOUT)
        esp, swap = self.image("esp", 38 * MIB), self.image("swap", 8 * MIB)
        self.do("mkfs.vfat", esp)
        self.do("mkswap", swap)
        with open(swap, "r+b") as file:
            file.seek(MIB)
            file.write(swapped)
        with open(disk, "r+b") as file:
            for at, part in ((1, None), (2, esp), (40, self.tree(files)), (70, swap)):
                file.seek(at * MIB)
                file.write(part.read_bytes() if part else program.noise(300_000))
        return self.capture(disk)

    def inspect(self, what):
        return self.ok_json("image", "inspect", what)

    def create(self, name, *snapshots):
        words = [word for i, snapshot in enumerate(snapshots) for word in ("--map", f"/dev/sd{chr(97 + i)}={snapshot}")]
        return ["image", "create", "--name", name, *words]

    def test_a_template_is_cleaned(self):
        dirty, clean = self.machine_disk("dirty.raw", DIRTY, b"secret"), self.machine_disk("clean.raw", CLEAN)
        self.fails(1, *self.create("web", dirty), "--require-clean",
                   says=("/dev/sda 3: /etc/machine-id (machine-id: ", "4 further findings", f"image inspect {dirty}"), code="invalid")
        self.assertEqual(self.ok_json("image", "list")["Images"], [])
        image = self.ok(*self.create("web", dirty)).strip()
        report = self.inspect(image)
        self.assertFalse(report["clean"])
        self.assertEqual([(f["device"], f["partition"], f["kind"], f["path"]) for f in report["findings"]],
                         [("/dev/sda", 3, "machine-id", "/etc/machine-id"),
                          ("/dev/sda", 3, "shell-history", "/root/.bash_history"),
                          ("/dev/sda", 3, "authorized-keys", "/root/.ssh/authorized_keys"),
                          ("/dev/sda", 3, "log", "/var/log/syslog"), ("/dev/sda", 4, "swap", "")])
        device = report["devices"][0]
        self.assertEqual((device["partition_table"], device["snapshot"]), ("gpt", dirty))
        self.assertEqual([(p["partition"], p["type"], p["looked_into"], p["doubts"]) for p in device["parts"]],
                         [(1, "", False, []), (2, "vfat", False, []), (3, "ext4", True, []), (4, "swap", True, [])])
        self.assertEqual((device["parts"][2]["label"], device["parts"][2]["offset"]), ("root", 40 * MIB))
        text = self.ok("image", "inspect", image)
        self.assertIn("/dev/sda 3: /root/.bash_history", text)
        self.assertIn("not clean", text)
        self.assertEqual((self.inspect(clean)["clean"], self.inspect(clean)["findings"]), (True, []))
        made = self.ok(*self.create("web-clean", clean), "--require-clean").strip()
        self.assertTrue(self.inspect(made)["clean"])
        self.fails(1, *self.create("both", clean, dirty), "--require-clean", says="/dev/sdb 3: ", code="invalid")

    def test_what_can_not_be_looked_into_is_not_clean(self):
        self.need("mkfs.xfs")
        disk = self.image("xfs.raw", 300 * MIB)
        self.do("mkfs.xfs", "-q", disk)
        xfs, noise = self.capture(disk), self.capture(self.file("noise.raw", program.noise(MIB)))
        for snapshot, doubt in ((xfs, "xfs is not looked into"), (noise, "no partition table or file system")):
            self.fails(1, *self.create("web", snapshot), "--require-clean", says=("/dev/sda: ", doubt), code="invalid")
            report = self.inspect(snapshot)
            self.assertEqual((report["clean"], report["findings"]), (False, []))
            self.assertIn(doubt, report["devices"][0]["parts"][0]["doubts"][0])
        blank = self.capture(self.image("blank.raw", 8 * MIB))
        self.assertEqual(self.inspect(blank)["devices"][0]["parts"][0]["note"], "blank")
        self.ok(*self.create("blank", blank), "--require-clean")

    def test_what_is_asked_wrongly(self):
        self.fails(2, "image", "inspect", "web", says="'web' is neither", code="usage")
        self.fails(1, "image", "inspect", "ami-00000000000000001", says="no image", code="not_found")
        self.fails(1, "image", "inspect", "snap-00000000000000001", says="snap-0", code="not_found")
        self.fails(1, *self.create("web", "snap-00000000000000001"), "--require-clean", says="snap-0", code="not_found")

    # Damage of the store is an error, and not a finding about the image.
    def test_a_damaged_store(self):
        snapshot = self.capture(self.tree(CLEAN))
        for pack in (self.store / "packs").rglob("*.pack"):
            data = bytearray(pack.read_bytes())
            for at in range(len(data) // 8, len(data) - 1000, 997):
                data[at] ^= 0xff
            pack.chmod(0o600)
            pack.write_bytes(data)
        self.fails(3, "image", "inspect", snapshot, says=snapshot, code="corrupt")
        self.fails(3, *self.create("web", snapshot), "--require-clean", code="corrupt")

    def test_the_same_file_system_after_a_mount(self):
        """Shows that the findings stay the same after a kernel has written the file system, and that a
        journal left by a power cut is reported as a doubt."""
        self.need("fsfreeze")
        disk = self.tree(CLEAN)
        folder = self.mount_on("-o", "loop", disk)
        (folder / "root" / ".bash_history").write_text("make\n" * 2000)
        (folder / "home").mkdir()
        for i in range(300):
            (folder / "home" / f"user{i}").mkdir()
        (folder / "home" / "user299" / ".python_history").write_text("1\n")
        os.sync()
        cut = self.file("cut.raw", disk.read_bytes())
        self.unmount(folder)
        expected = [("shell-history", "/home/user299/.python_history"), ("shell-history", "/root/.bash_history")]
        report = self.inspect(self.capture(disk))
        self.assertEqual([(f["kind"], f["path"]) for f in report["findings"]], expected)
        self.assertEqual(report["devices"][0]["parts"][0]["doubts"], [])
        doubts = self.inspect(self.capture(cut))["devices"][0]["parts"][0]["doubts"]
        self.assertIn("journal is not replayed", doubts[0])


class OfMachines(machines.MachineTest):
    def test_a_debian(self):
        debian = self.need_debian()
        snapshot = self.capture(debian / "disk.raw")
        report = self.ok_json("image", "inspect", snapshot)
        self.assertEqual((report["clean"], report["findings"]), (True, []))
        self.assertLess(report["seconds"], 30)
        self.ok("image", "create", "--name", "debian", "--map", f"/dev/sda={snapshot}", "--require-clean")

        dirty = self.scratch / "dirty.raw"
        subprocess.run(["cp", "--sparse=always", debian / "disk.raw", dirty], check=True)
        key = self.file("key", b"-----BEGIN OPENSSH PRIVATE KEY-----\n")
        self.do("debugfs", "-w", "-R", f"write {key} /root/key", dirty)
        instance = self.launch(self.capture(dirty), "--memory", "64M")[0]
        words = ["image", "create", "--name", "running", "--from-instance", instance, "--no-reboot"]
        self.fails(1, *words, "--require-clean", says="/dev/sda: /root/key (private-key: ", code="invalid")
        self.assertEqual(self.state(instance), "running")
        self.ok("instances", "stop", "--force", instance)
        line = self.fails(1, "image", "create", "--name", "web", "--from-instance", instance, "--require-clean",
                          says=("/dev/sda: /root/key (private-key: ", "no image is made"), code="invalid")
        self.assertEqual([image["Name"] for image in self.ok_json("image", "list")["Images"]], ["debian"])
        left = re.search(r"its snapshots stay: (snap-\w+)", line)[1]
        self.assertEqual([f["path"] for f in self.ok_json("image", "inspect", left)["findings"]], ["/root/key"])
        self.assertEqual(self.state(instance), "stopped")
        self.ok("image", "create", "--name", "web", "--from-instance", instance)


if __name__ == "__main__":
    host.SECONDS = max(host.SECONDS, 900)  # the Debian image may have to be built first
    host.main()
