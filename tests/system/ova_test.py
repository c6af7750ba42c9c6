#!/usr/bin/env python3
"""Shows machines that are imported from OVAs: in all kinds of tar files, damaged, and hostile."""

import hashlib
import io
import os
import pathlib
import signal
import subprocess
import tarfile

import host
from disks import MIB, DiskTest
from program import noise

OVF = """<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
 xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
 xmlns:vmw="http://www.vmware.com/schema/ovf">
<References>{files}</References><DiskSection><Info>Disks</Info>{disks}</DiskSection>
<VirtualSystem ovf:id="web"><Info>A machine</Info><Name>web</Name>
<AnnotationSection><Info/><Annotation>from elsewhere</Annotation></AnnotationSection>
<VirtualHardwareSection>{items}{config}</VirtualHardwareSection></VirtualSystem></Envelope>
"""


class Ova(DiskTest):
    def setUp(self):
        super().setUp()
        self.disks = [self.disk("one.raw", 12 * MIB), self.disk("two.raw", 10 * MIB)]
        self.members = [(f"web-disk{n}.vmdk", self.converted(disk, "vmdk", "-o", "subformat=streamOptimized",
                                                             name=f"web-disk{n}.vmdk").read_bytes())
                        for n, disk in enumerate(self.disks)]

    def ovf(self, order=(1, 0), config="", hrefs=None, more_capacity=0, file_words=""):
        hrefs = hrefs or [name for name, _ in self.members]
        files = "".join(f'<File ovf:href="{href}" ovf:id="f{n}" {file_words}/>' for n, href in enumerate(hrefs))
        disks = "".join(f'<Disk ovf:capacity="{disk.stat().st_size + more_capacity}" ovf:diskId="d{n}" ovf:fileRef="f{n}" ovf:format='
                        '"http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>'
                        for n, disk in enumerate(self.disks))
        items = "".join(f"<Item><rasd:AddressOnParent>{place}</rasd:AddressOnParent><rasd:HostResource>ovf:/disk/d{n}"
                        "</rasd:HostResource><rasd:ResourceType>17</rasd:ResourceType></Item>"
                        for place, n in enumerate(order))
        return OVF.format(files=files, disks=disks, items=items, config=config).encode()

    def manifest(self, members, algorithm="sha256"):
        return "".join(f"{algorithm.upper()}({name})= {hashlib.new(algorithm, data).hexdigest()}\n"
                       for name, data in members).encode()

    def ova(self, members, name="web.ova", form=tarfile.USTAR_FORMAT):
        path = self.scratch / name
        with tarfile.open(path, "w", format=form) as out:
            for member, data in members:
                head = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(member)
                head.size = len(data)
                out.addfile(head, io.BytesIO(data))
        return path

    def good(self, **how):
        members = [("web.ovf", self.ovf(**how)), *self.members]
        return [members[0], ("web.mf", self.manifest(members)), *members[1:]]

    def describe(self, image):
        return self.ok_json("image", "describe", image)["Images"][0]

    def refused(self, members, says, status=1, code="invalid", *words):
        path = members if isinstance(members, pathlib.Path) else self.ova(members)
        self.fails(status, "image", "import-ova", path, "--name", "bad", *words, says=says, code=code)
        self.nothing_visible()

    def test_a_machine_comes_in(self):
        config = '<vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="efi"/>'
        done = self.ok_json("image", "import-ova", self.ova(self.good(config=config)), "--name", "web-1.5", "--tag", "a=b")
        shown = self.describe(done["ImageId"])
        self.assertEqual((shown["Name"], shown["Description"], shown["BootMode"]), ("web-1.5", "from elsewhere", "uefi"))
        self.assertEqual((shown["RootDeviceName"], shown["Architecture"]), ("/dev/sda", "x86_64"))
        self.assertEqual(shown["Tags"], [{"Key": "a", "Value": "b"}])
        devices = {m["DeviceName"]: m["Ebs"] for m in shown["BlockDeviceMappings"]}
        self.assertEqual(list(devices), ["/dev/sda", "/dev/sdb"])
        self.assertEqual([m["SnapshotId"] for m in devices.values()], done["Snapshots"])
        for device, disk in zip(devices.values(), reversed(self.disks)):
            self.same(disk, self.restored(device["SnapshotId"]))
            self.assertEqual(device["VolumeSizeBytes"], disk.stat().st_size)
        self.fails(1, "image", "import-ova", self.scratch / "web.ova", "--name", "web-1.5",
                   says=(done["ImageId"], "web-1.5"), code="busy")
        again = self.ok_json("image", "import-ova", self.scratch / "web.ova", "--description", "mine")
        self.assertEqual(self.describe(again["ImageId"])["Name"], "web", "the machine's own")
        record = self.ok_json("describe", again["Snapshots"][0])["snapshot"]
        self.assertEqual((record["parent"], record["new_bytes"]), (done["Snapshots"][0], 0))
        self.ok("verify", "--all")

    def test_tars_of_all_kinds(self):
        for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
            image = self.ok("image", "import-ova", self.ova(self.good(), form=form), "--name", f"web-{form}").strip()
            self.same(self.disks[1], self.restored(self.describe(image)["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]))
        members = [("web.ovf", self.ovf()), *self.members]
        for algorithm in ("sha1", "sha512"):
            self.ok("image", "import-ova", self.ova([*members, ("web.mf", self.manifest(members, algorithm)), ("web.cert", b"x")]),
                    "--name", algorithm)
        self.ok("image", "import-ova", self.ova(members), "--name", "without-a-manifest")

    def test_more_room_than_the_disk(self):
        image = self.ok("image", "import-ova", self.ova(self.good(more_capacity=MIB)), "--name", "web").strip()
        sizes = [m["Ebs"]["VolumeSizeBytes"] for m in self.describe(image)["BlockDeviceMappings"]]
        self.assertEqual(sizes, [11 * MIB, 13 * MIB])
        self.ok("image", "deregister", image)
        self.fails(1, "image", "import-ova", self.ova(self.good(more_capacity=-512)), "--name", "less",
                   says="is said to have", code="invalid")

    def test_what_is_left_out_is_said(self):
        ovf = self.ovf().replace(b"</References>", b'<File ovf:href="tools.iso" ovf:id="cd"/></References>')
        done = self.run_ashlar("image", "import-ova", self.ova([("web.ovf", ovf), *self.members, ("tools.iso", b"cd")]),
                               "--name", "web")
        self.assertEqual(done.returncode, 0)
        self.assertIn(b"'tools.iso' is left out", done.stderr)

    def test_damage(self):
        good = self.good()
        name, data = good[-1]
        changed = data[:-700] + bytes([data[-700] ^ 1]) + data[-699:]
        self.refused([*good[:-1], (name, changed)], (name, "manifest"), 3, "corrupt")
        self.refused([good[0], ("web.mf", self.manifest([good[0]])), *good[2:]], "does not name", 3, "corrupt")
        whole = self.ova(good).read_bytes()
        self.refused(self.file("cut.ova", whole[: len(whole) // 2]), "web-disk", 3, "corrupt")
        self.refused([good[0], (name, data)], "web-disk0.vmdk")
        self.refused(self.file("none.ova", noise(5000)), "none.ova", 3, "corrupt")
        self.refused(self.file("empty.ova", b""), "empty.ova", 3, "corrupt")

    def test_names_that_lead_elsewhere(self):
        ovf, disks = ("web.ovf", self.ovf()), self.members
        for name in ("../web-disk0.vmdk", "/etc/cron.d/x", "a/b.vmdk"):
            self.refused([ovf, (name, b"x"), *disks], "plain file name")
        link = tarfile.TarInfo("web-disk0.vmdk")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        self.refused([ovf, (link, b""), disks[1]], "not a regular file")
        hard = tarfile.TarInfo("web-disk0.vmdk")
        hard.type, hard.linkname = tarfile.LNKTYPE, "web.ovf"
        self.refused([ovf, (hard, b""), disks[1]], "not a regular file")
        self.refused([ovf, *disks, disks[0]], "twice")
        for href in ("http://example.org/a.vmdk", "/etc/passwd", "../web-disk0.vmdk", "file:///etc/passwd", ""):
            self.refused([("web.ovf", self.ovf(hrefs=[href, disks[1][0]])), *disks], "no member")

    def test_disks_that_lead_elsewhere(self):
        data = bytearray(self.members[0][1])
        at = data.index(b'RW ')
        data[at: at + 26] = b'RW 4 FLAT "/etc/passwd" 0\n'
        self.refused([("web.ovf", self.ovf()), (self.members[0][0], bytes(data)), self.members[1]], "other files")
        self.refused([("web.ovf", self.ovf(file_words='ovf:compression="gzip"')), *self.members], "gzip", 1, "unsupported")
        self.refused([*self.members, ("web.ovf", self.ovf())], "first member")
        self.refused([("web.ovf", b"<a>" * 100_000), *self.members], "not XML")
        bomb = b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><l>&b;</l>'
        self.refused([("web.ovf", bomb), *self.members], "not an OVF document")
        self.refused([("web.ovf", b" " * (2 * MIB)), *self.members], "more than")
        self.refused([("web.ovf", self.ovf(order=(0, 0))), *self.members], "two drives")

    def test_the_second_disk_fails(self):
        """Shows that a compressed part that cannot be unpacked fails the import, though it is found only when
        it is read, after the first disk has become a snapshot."""
        name, data = self.members[0]
        damaged = bytearray(data)
        damaged[len(data) // 2] ^= 1
        self.refused([("web.ovf", self.ovf()), (name, bytes(damaged)), self.members[1]], (name, "can't be read"), 1, "io")

    def test_a_snapshot_that_somebody_uses_stays(self):
        """Shows that an import that is stopped leaves the snapshot of the first disk when a volume was made
        of it meanwhile."""
        members = [self.members[0], self.members[1]]
        path = self.ova([("web.ovf", self.ovf(order=(0, 1))), *members])
        running = self.held_at_check("image", "import-ova", path, "--name", "web", call=2)
        server = max(pid for pid in self.children(running.pid)
                     if "qemu-nbd" in host.read_or_nothing(pathlib.Path(f"/proc/{pid}/comm")))
        os.kill(server, signal.SIGSTOP)
        self.go()
        self.wait_until(lambda: self.snapshots(), "the first disk is a snapshot")
        snapshot = self.snapshots()[0]
        self.ok("volume", "create", "--snapshot", snapshot)
        running.send_signal(signal.SIGTERM)
        _, said = running.communicate(timeout=60)
        self.assertEqual((running.returncode, said), (1, b"ashlar: stopped on request\n"))
        self.assertEqual(self.snapshots(), [snapshot])
        self.same(self.disks[0], self.restored(snapshot))

    def test_one_that_goes_again_is_in_the_bin(self):
        name, data = self.members[0]
        damaged = bytearray(data)
        damaged[len(data) // 2] ^= 1
        self.refused([("web.ovf", self.ovf()), (name, bytes(damaged)), self.members[1]], (name, "can't be read"), 1, "io")
        self.assertIn("snap-", self.ok("bin", "list"))

    def test_one_that_changes_while_it_is_read(self):
        path = self.ova(self.good())
        running = self.held_at_check("image", "import-ova", path, "--name", "web", call=2)
        with open(path, "r+b") as file:
            file.write(file.read(1))
        self.go()
        _, said = running.communicate(timeout=60)
        self.assertEqual(running.returncode, 1, said)
        self.assertIn(b"was changed while it was read", said)
        self.nothing_visible()

    def test_one_that_is_cut_off_where_a_member_ends(self):
        """Shows that an OVA that lost its last member, the manifest, is refused, while one made without a
        manifest is not."""
        members = [("web.ovf", self.ovf()), *self.members]
        manifest = ("web.mf", self.manifest(members))
        whole = self.ova([*members, manifest])
        with tarfile.open(whole) as tar:
            at = tar.getmember("web.mf").offset
        self.refused(self.file("cut.ova", whole.read_bytes()[:at]), "is truncated", 3, "corrupt")
        done = self.run_ashlar("image", "import-ova", self.ova(members), "--name", "web")
        self.assertEqual(done.returncode, 0)
        self.assertIn(b"has no manifest", done.stderr)

    def test_ctrl_c_and_death(self):
        path = self.ova(self.good())
        for sent in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
            running = self.start("image", "import-ova", path, "--name", "web")
            self.wait_until(lambda: len(self.children(running.pid)) > 1 or running.poll() is not None, "two disks are served")
            children = self.children(running.pid)
            running.send_signal(sent)
            _, said = running.communicate(timeout=30)
            self.assertNotEqual(running.returncode, 0)
            self.ends(children)
            if sent != signal.SIGKILL:
                self.assertEqual(said, b"ashlar: stopped on request\n")
                self.nothing_visible()
        self.assertEqual(self.ok_json("image", "list")["Images"], [])
        self.ok("image", "import-ova", path, "--name", "web")

    def test_sparse_tars(self):
        if subprocess.run(["tar", "--version"], capture_output=True).returncode != 0:
            self.skipTest("this host has no tar")
        for name, data in (("web.ovf", self.ovf()), *self.members):
            self.file(name, data)
        with open(self.scratch / "web-disk0.vmdk", "r+b") as file:
            file.truncate(len(self.members[0][1]) + 64 * MIB)
        path = self.scratch / "sparse.ova"
        self.do("tar", "-S", "-cf", path, "-C", self.scratch, "web.ovf", "web-disk0.vmdk", "web-disk1.vmdk")
        self.fails(1, "image", "import-ova", path, "--name", "bad", says="web-disk0.vmdk")
        self.nothing_visible()


if __name__ == "__main__":
    host.main()
