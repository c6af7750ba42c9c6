#!/usr/bin/env python3
"""Disks to and from other programs: each format with QEMU's own tools on the other side, OVAs, and files that try to make
the host read something else."""

import hashlib
import io
import json
import os
import pathlib
import signal
import struct
import subprocess
import tarfile
import time

import host
from program import noise

MIB = 1 << 20
QEMU = {"raw": "raw", "qcow2": "qcow2", "vmdk": "vmdk", "vhd": "vpc", "vhdx": "vhdx"}


class DiskTest(host.HostTest):
    def setUp(self):
        super().setUp()
        self.need("qemu-img", "qemu-nbd")
        self.init()

    def disk(self, name="disk.raw", size=40 * MIB):
        """Data, holes and zeros."""
        path = self.image(name, size)
        with open(path, "r+b") as file:
            for at, length, seed in ((0, 700_000, 1), (9 * MIB + 4096, 3 * MIB, 2), (30 * MIB, 65536, 3)):
                if at + length + MIB < size:
                    file.seek(at)
                    file.write(noise(length, seed) + bytes(MIB))
            file.seek(size - 300)
            file.write(noise(300, 4))
        return path

    def converted(self, source, form, *words, name=None):
        target = self.scratch / (name or f"made.{form}")
        self.do("qemu-img", "convert", "-f", "raw", "-O", QEMU[form], *words, source, target)
        return target

    def compare(self, disk, form, target):
        self.do("qemu-img", "compare", "-f", "raw", "-F", QEMU[form], disk, target)
        info = json.loads(self.do("qemu-img", "info", "--output", "json", "-f", QEMU[form], target))
        self.assertEqual(info["virtual-size"], disk.stat().st_size)

    def imported(self, file, *words):
        return self.ok_json("import-disk", file, *words)["snapshot"]

    def nothing_visible(self):
        self.assertEqual(self.snapshots(), [])
        self.assertEqual(self.ok_json("image", "list")["Images"], [])

    def children(self, pid):
        """The programs of QEMU that it started and that run."""
        words = host.read_or_nothing(pathlib.Path(f"/proc/{pid}/task/{pid}/children")).split()
        return [int(word) for word in words if "qemu" in host.read_or_nothing(pathlib.Path("/proc", word, "comm"))]

    def ends(self, pids):
        """They end; a zombie that nobody has asked about has ended."""
        def runs(pid):
            state = host.read_or_nothing(pathlib.Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
            return bool(state) and state[0] != "Z"

        self.wait_until(lambda: not any(runs(pid) for pid in pids), f"{pids} have ended")

    def leftovers(self):
        return [path.name for path in self.scratch.iterdir() if "partial" in path.name]


class Formats(DiskTest):
    def test_round_trips(self):
        disk = self.disk()
        snapshot = self.capture(disk)
        content = self.ok_json("describe", snapshot)["snapshot"]["content"]
        for form in ("raw", "qcow2", "vmdk", "vhd"):
            with self.subTest(form):
                target = self.scratch / f"out.{form}"
                report = self.ok_json("export", snapshot, target)
                self.assertEqual((report["format"], report["disk_bytes"]), (form, 40 * MIB))
                self.assertEqual(report["file_bytes"], target.stat().st_size)
                self.compare(disk, form, target)
                self.assertLess(os.stat(target).st_blocks * 512, 8 * MIB, "holes stay holes")
                if form != "raw":
                    self.do("qemu-img", "convert", "-f", QEMU[form], "-O", "raw", target, self.scratch / "back.raw")
                    self.same(disk, self.scratch / "back.raw")
                again = self.imported(target)
                self.assertEqual((again["content"], again["new_bytes"]), (content, 0))
                self.assertEqual(again["consistency"], "quiescent")
        self.same(disk, self.scratch / "out.raw")
        self.ok("verify", "--all")
        self.assertEqual(self.leftovers(), [])

    def test_what_other_programs_write_is_taken_in(self):
        disk = self.disk()
        content = self.ok_json("describe", self.capture(disk))["snapshot"]["content"]
        for form, words in (("qcow2", ["-c"]), ("qcow2", ["-o", "compat=0.10"]), ("qcow2", ["-o", "extended_l2=on"]),
                            ("vmdk", ["-o", "subformat=monolithicSparse"]), ("vmdk", ["-o", "subformat=streamOptimized"]),
                            ("vhd", ["-o", "subformat=fixed,force_size=on"]), ("vhd", ["-o", "subformat=dynamic,force_size=on"]),
                            ("vhdx", []), ("vhdx", ["-o", "subformat=fixed"])):
            with self.subTest(form=form, words=words):
                again = self.imported(self.converted(disk, form, *words), "--name", "n", "--tag", "a=b")
                self.assertEqual(again["content"], content)
                self.assertEqual((again["name"], again["tags"]), ("n", {"a": "b"}))

    def test_a_second_import_is_an_increment(self):
        disk = self.disk()
        file = self.converted(disk, "qcow2")
        first = self.imported(file)
        self.do("qemu-io", "-f", "qcow2", "-c", "write -P 5 20M 64k", file)
        second = self.imported(file)
        self.assertEqual(second["parent"], first["id"])
        self.assertEqual(second["new_bytes"], 4096, "a pattern of one byte")

    def test_a_vhd_with_a_geometry_loses_nothing(self):
        disk = self.disk(size=40 * MIB + 8192)
        file = self.converted(disk, "vhd")  # as Virtual PC rounds it
        size = self.imported(file)["size_bytes"]
        self.assertGreaterEqual(size, 40 * MIB + 8192)
        back = self.restored(self.snapshots()[-1])
        self.assertEqual(back.read_bytes()[: disk.stat().st_size], disk.read_bytes())

    def test_sizes(self):
        for size in (MIB + 1, MIB + 511, 3 * MIB + 512 * 3, MIB + 4096, 777, 512):
            disk = self.disk(f"disk-{size}.raw", size)
            snapshot = self.capture(disk)
            for form in ("raw", "qcow2", "vmdk", "vhd"):
                with self.subTest(size=size, form=form):
                    target = self.scratch / f"{size}.{form}"
                    report = self.ok_json("export", snapshot, target)
                    rounded = size if form == "raw" else -(-size // 512) * 512
                    self.assertEqual(report["disk_bytes"], rounded)
                    back = self.scratch / "back.raw"
                    self.do("qemu-img", "convert", "-f", QEMU[form], "-O", "raw", target, back)
                    if form == "raw":
                        self.same(disk, target)
                    else:
                        self.assertEqual(back.read_bytes(), disk.read_bytes() + bytes(rounded - size))
                        self.assertEqual(self.imported(target)["size_bytes"], rounded)

    def test_two_tebibytes_of_hole(self):
        folder = self.sparse_folder()
        disk = folder / "big.raw"
        with open(disk, "wb") as file:
            file.truncate((2 << 40) + 4096)
            file.seek(1 << 40)
            file.write(noise(65536))
        snapshot = self.capture(disk)
        for form in ("raw", "qcow2", "vmdk"):
            target = folder / f"out.{form}"
            self.ok("export", snapshot, target)
            self.assertLess(os.stat(target).st_blocks * 512, 64 * MIB, form)
            self.assertEqual(self.imported(target)["content"], self.ok_json("describe", snapshot)["snapshot"]["content"])
        self.fails(1, "export", snapshot, folder / "out.vhd", says=("2040 GiB", "qcow2"), code="invalid")
        self.assertFalse((folder / "out.vhd").exists())

    def test_the_format_is_the_persons_word(self):
        inner = self.converted(self.disk(), "qcow2")
        disguised = self.file("guest.raw", inner.read_bytes())
        snapshot = self.imported(disguised)
        self.assertEqual(snapshot["size_bytes"], disguised.stat().st_size)
        self.same(disguised, self.restored(snapshot["id"]))
        target = self.scratch / "out.qcow2"
        self.ok("export", snapshot["id"], target)
        self.compare(disguised, "qcow2", target)
        unnamed = self.scratch / "disk.img"
        inner.rename(unnamed)
        self.fails(2, "import-disk", unnamed, says=("disk.img", "--format"), code="usage")
        self.fails(2, "export", snapshot["id"], self.scratch / "x.img", says="--format", code="usage")
        self.fails(2, "export", snapshot["id"], self.scratch / "x.vhdx", says="vhdx", code="usage")
        self.fails(2, "import-disk", unnamed, "--format", "vdi", says="vdi", code="usage")
        self.fails(1, "import-disk", unnamed, "--format", "vmdk", says="no vmdk image", code="invalid")
        self.ok("import-disk", unnamed, "--format", "qcow2")

    def test_odd_names(self):
        snapshot = self.capture(self.disk())
        for name in ("a b.qcow2", "json:{}.qcow2", "nbd:x,y=z.vmdk", "ü'\"$(id).vhd", "-v.qcow2"):
            target = self.scratch / name
            done = self.run_ashlar("export", snapshot, f"./{name}", cwd=self.scratch)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.ok("import-disk", target)
        self.assertEqual(len({self.ok_json("describe", s)["snapshot"]["content"] for s in self.snapshots()}), 1)


class Hostile(DiskTest):
    """Files that would have QEMU open something else, or that are damaged: one line, and nothing is visible."""

    def refused(self, file, says, status=1, *words):
        before = self.snapshots()
        self.fails(status, "import-disk", file, *words, says=(file.name, *([says] if isinstance(says, str) else says)))
        self.assertEqual(self.snapshots(), before)

    def test_backing_files(self):
        secret = self.file("secret", b"the host's own" + bytes(MIB))
        backed = self.scratch / "backed.qcow2"
        for base, form in ((secret, "raw"), (pathlib.Path("/etc/passwd"), "raw")):
            self.do("qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", form, backed, "1M")
            self.refused(backed, "backing file")
        data = self.scratch / "data.qcow2"
        self.do("qemu-img", "create", "-q", "-f", "qcow2", "-o", f"data_file={self.scratch}/data.raw", data, "1M")
        self.refused(data, "another file")
        self.nothing_visible()

    def test_extents_elsewhere(self):
        disk = self.disk()
        for form in ("monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat"):
            self.refused(self.converted(disk, "vmdk", "-o", f"subformat={form}", name=f"{form}.vmdk"), "several files")
        text = 'version=1\nCID=1\nparentCID=ffffffff\ncreateType="monolithicFlat"\nRW 4 FLAT "/etc/passwd" 0\n'
        self.refused(self.file("flat.vmdk", b"# Disk DescriptorFile\n" + text.encode() + bytes(1024)), "several files")
        whole = bytearray(self.converted(disk, "vmdk", "-o", "subformat=streamOptimized").read_bytes())
        whole[12:20] = bytes(8)  # no capacity: QEMU would go by the extents of the descriptor
        at = whole.index(b'RW ')
        flat = b'RW 4 FLAT "/etc/passwd" 0\n'
        whole[at: at + len(flat)] = flat
        self.refused(self.file("empty.vmdk", bytes(whole)), "other files")
        base = self.converted(disk, "vmdk", name="base.vmdk")
        self.do("qemu-img", "create", "-q", "-f", "vmdk", "-b", base, "-F", "vmdk", self.scratch / "child.vmdk")
        self.refused(self.scratch / "child.vmdk", "parent")
        self.nothing_visible()

    def test_a_differencing_vhd(self):
        data = bytearray(self.converted(self.disk(), "vhd").read_bytes())
        for at in (0, len(data) - 512):
            footer = data[at: at + 512]
            footer[60:64] = struct.pack(">I", 4)
            footer[64:68] = bytes(4)
            footer[64:68] = struct.pack(">I", ~sum(footer) & 0xFFFFFFFF)
            data[at: at + 512] = footer
        self.refused(self.file("child.vhd", bytes(data)), "differencing")
        data[-500] ^= 1
        self.refused(self.file("bad.vhd", bytes(data)), "checksum", 3)

    def test_a_differencing_vhdx(self):
        data = bytearray(self.converted(self.disk(), "vhdx").read_bytes())
        table = data.index(b"metadata")
        parameters = table + struct.unpack_from("<I", data, table + 32 + 16)[0]
        self.assertEqual(struct.unpack_from("<I", data, parameters + 4)[0], 0, "the flags of the file's parameters")
        struct.pack_into("<I", data, parameters + 4, 2)  # has a parent
        self.refused(self.file("child.vhdx", bytes(data)), "qemu-nbd")

    def test_damage_that_only_qemu_sees(self):
        data = bytearray(self.converted(self.disk(), "qcow2").read_bytes())
        data[40:48] = struct.pack(">Q", 1 << 60)  # where the first table is
        self.refused(self.file("table.qcow2", bytes(data)), "is damaged", 3)
        self.refused(self.file("zeros.vhdx", b"vhdxfile" + bytes(MIB)), "VHDX")
        self.nothing_visible()

    def test_damage_that_is_met_while_it_is_read(self):
        data = bytearray(self.converted(self.disk(), "vmdk", "-o", "subformat=streamOptimized").read_bytes())
        data[len(data) // 2] ^= 1
        self.refused(self.file("data.vmdk", bytes(data)), ("can't be read", "qemu-nbd"))

    def test_files_that_were_cut_off(self):
        """QEMU reads zeros behind the end of most."""
        disk = self.disk()
        for form, words in (("qcow2", []), ("qcow2", ["-c"]), ("vmdk", ["-o", "subformat=monolithicSparse"]),
                            ("vmdk", ["-o", "subformat=streamOptimized"]), ("vhd", []), ("vhd", ["-o", "subformat=fixed"]),
                            ("vhdx", [])):
            whole = self.converted(disk, form, *words)
            for part in (0.3, 0.9):
                cut = self.scratch / f"cut.{form}"
                cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * part)])
                done = self.run_ashlar("import-disk", cut)
                self.assertIn(done.returncode, (1, 3), (form, words, part, done.stderr))
                self.assertRegex(done.stderr.decode(), rf"\Aashlar: [^\n]*cut.{form}[^\n]+\n\Z")
        self.nothing_visible()

    def test_files_that_are_in_use_or_no_files(self):
        file = self.converted(self.disk(), "qcow2")
        socket = self.scratch / "qemu.sock"
        self.serve("qemu-nbd", "-t", "-f", "qcow2", "-k", socket, file, socket=socket)
        self.fails(1, "import-disk", file, says=str(file), code="busy")
        self.fails(1, "import-disk", self.scratch, "--format", "raw", says="directory")
        self.fails(1, "import-disk", "/dev/zero", "--format", "raw", says="ashlar capture")
        self.fails(1, "import-disk", self.scratch / "no.qcow2", says="no.qcow2", code="not_found")

    def test_without_qemu(self):
        snapshot = self.capture(self.disk())
        file = self.converted(self.disk(), "qcow2")
        environment = {"PATH": "/nowhere", "ASHLAR_STORE": str(self.store)}
        if any(pathlib.Path(folder, "qemu-img").exists() for folder in ("/usr/sbin", "/sbin")):
            self.skipTest("qemu-img is where every program looks")
        for words in (["export", snapshot, self.scratch / "x.qcow2"], ["import-disk", file]):
            done = subprocess.run([host.program.PROGRAM, *map(str, words)], env=environment, capture_output=True, timeout=60)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr.decode(), r"\Aashlar: [^\n]*apt install qemu-utils\n\Z")
        self.assertEqual(self.leftovers(), [])
        self.assertFalse((self.scratch / "x.qcow2").exists())


class Export(DiskTest):
    def test_targets(self):
        snapshot = self.capture(self.disk())
        taken = self.file("taken.qcow2", b"mine")
        self.fails(1, "export", snapshot, taken, says=("taken.qcow2", "exists"), code="invalid")
        self.assertEqual(taken.read_bytes(), b"mine")
        dangling = self.scratch / "dangling.raw"
        dangling.symlink_to(self.scratch / "nothing")
        self.fails(1, "export", snapshot, dangling, says="exists", code="invalid")
        self.fails(1, "export", snapshot, self.scratch / "no" / "x.raw", says="x.raw", code="not_found")
        self.fails(1, "export", snapshot, self.store / "x.raw", says="lies in the store", code="invalid")
        self.fails(1, "export", "snap-00000000000000001", self.scratch / "x.raw", says="snap-00000000000000001",
                   code="not_found")
        self.assertEqual(self.leftovers(), [])

    def test_a_full_disk(self):
        snapshot = self.capture(self.file("disk.raw", noise(32 * MIB)))
        folder = self.mount_on("-t", "tmpfs", "-o", "size=8M", "tmpfs")
        for form in ("raw", "qcow2"):
            self.fails(1, "export", snapshot, folder / f"x.{form}", says=("x.", "No space left"))
            self.assertEqual(list(folder.iterdir()), [])

    def test_lost_blocks_are_never_zeros(self):
        snapshot = self.capture(self.disk())
        pack = next((self.store / "packs").rglob("*.pack"))
        data = bytearray(pack.read_bytes())
        data[len(data) // 2] ^= 1
        pack.write_bytes(data)
        self.fails(3, "export", snapshot, self.scratch / "x.qcow2", says=(snapshot, pack.stem), code="corrupt")
        self.assertEqual((self.leftovers(), (self.scratch / "x.qcow2").exists()), ([], False))

    def test_unreadable_ranges(self):
        self.need("nbdkit")
        disk, socket = self.disk(), self.scratch / "bad.sock"
        read = "if [ $4 -lt 12288 ] && [ $(( $4 + $3 )) -gt 8192 ]; then echo EIO bad >&2; exit 1; fi; " \
               f"dd if={disk} iflag=skip_bytes,count_bytes skip=$4 count=$3 status=none"
        self.serve("nbdkit", "-f", "-U", socket, "eval", f"get_size=echo {MIB}", f"pread={read}", socket=socket)
        snapshot = self.ok_json("capture", f"nbd+unix:///?socket={socket}", "--skip-unreadable")["snapshot"]["id"]
        self.fails(3, "export", snapshot, self.scratch / "x.raw", says=(snapshot, "at 8192"), code="corrupt")
        self.assertFalse((self.scratch / "x.raw").exists())

    def test_ctrl_c_and_death(self):
        """The partial file of one that was killed stays; nothing else does."""
        snapshot = self.capture(self.file("disk.raw", b"".join(noise(32 * MIB, seed) for seed in range(3))))
        target = self.scratch / "x.vmdk"
        for sent in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            running = self.start("export", snapshot, target)
            self.wait_until(lambda: self.leftovers() and self.children(running.pid), "qemu-img has begun")
            children = self.children(running.pid)
            time.sleep(0.1)
            running.send_signal(sent)
            _, said = running.communicate(timeout=30)
            self.assertNotEqual(running.returncode, 0)
            self.ends(children)
            self.assertFalse(target.exists())
            if sent != signal.SIGKILL:
                self.assertEqual((self.leftovers(), said), ([], b"ashlar: stopped on request\n"))
        self.ok("export", snapshot, target)


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
        self.refused([ovf, (link, b""), disks[1]], "no plain file")
        hard = tarfile.TarInfo("web-disk0.vmdk")
        hard.type, hard.linkname = tarfile.LNKTYPE, "web.ovf"
        self.refused([ovf, (hard, b""), disks[1]], "no plain file")
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
        self.refused([("web.ovf", b"<a>" * 100_000), *self.members], "no XML")
        bomb = b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><l>&b;</l>'
        self.refused([("web.ovf", bomb), *self.members], "no OVF")
        self.refused([("web.ovf", b" " * (2 * MIB)), *self.members], "more than")
        self.refused([("web.ovf", self.ovf(order=(0, 0))), *self.members], "two drives")

    def test_the_second_disk_fails(self):
        """A compressed part that does not unpack: found only when it is read, when the first disk is a snapshot already."""
        name, data = self.members[0]
        damaged = bytearray(data)
        damaged[len(data) // 2] ^= 1
        self.refused([("web.ovf", self.ovf()), (name, bytes(damaged)), self.members[1]], (name, "can't be read"), 1, "io")

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
