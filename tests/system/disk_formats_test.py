#!/usr/bin/env python3
"""Shows disks going to and coming from other programs: each format with QEMU's own tools on the other side,
and files that try to make the host read other files."""

import json
import os
import pathlib
import signal
import struct
import subprocess
import sys
import time

import host
from disks import MIB, QEMU, DiskTest
from program import noise


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
        file = self.converted(disk, "vhd")  # with a size rounded as Virtual PC does it
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
        self.fails(1, "import-disk", unnamed, "--format", "vmdk", says="not a vmdk image", code="invalid")
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
    """Files that would make QEMU open other files, or that are damaged: each gives one line, and nothing
    becomes visible."""

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
        whole[12:20] = bytes(8)  # no capacity: QEMU would use the extents of the descriptor
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
        struct.pack_into("<I", data, parameters + 4, 2)  # the flag for a parent
        self.refused(self.file("child.vhdx", bytes(data)), "qemu-nbd")

    def test_damage_that_only_qemu_sees(self):
        data = bytearray(self.converted(self.disk(), "qcow2").read_bytes())
        data[40:48] = struct.pack(">Q", 1 << 60)  # the offset of the first table
        self.refused(self.file("table.qcow2", bytes(data)), "is damaged", 3)
        self.refused(self.file("zeros.vhdx", b"vhdxfile" + bytes(MIB - 8)), "VHDX")
        self.nothing_visible()

    def test_damage_that_is_met_while_it_is_read(self):
        data = bytearray(self.converted(self.disk(), "vmdk", "-o", "subformat=streamOptimized").read_bytes())
        data[len(data) // 2] ^= 1
        self.refused(self.file("data.vmdk", bytes(data)), ("can't be read", "qemu-nbd"))

    def test_files_that_were_cut_off(self):
        """Shows that a truncated file is refused, though QEMU would read zeros past the end of most. It is
        accepted only when the lost bytes were filling: then all data is there."""
        disk = self.disk()
        content = self.ok_json("describe", self.capture(disk))["snapshot"]["content"]
        known = self.snapshots()
        for form, words in (("qcow2", []), ("qcow2", ["-c"]), ("vmdk", ["-o", "subformat=monolithicSparse"]),
                            ("vmdk", ["-o", "subformat=streamOptimized"]), ("vhd", []), ("vhd", ["-o", "subformat=fixed"]),
                            ("vhdx", [])):
            whole = self.converted(disk, form, *words)
            size = whole.stat().st_size
            for lost in (int(size * 0.7), int(size * 0.1), 65024, 32768, 4096, 512, 1):
                with self.subTest(form=form, words=words, lost=lost):
                    cut = self.scratch / f"cut.{form}"
                    cut.write_bytes(whole.read_bytes()[: size - lost])
                    done = self.run_ashlar("--json", "import-disk", cut)
                    if done.returncode == 0:
                        self.assertTrue(form == "vhdx" or words in (["-c"], ["-o", "subformat=streamOptimized"]), "ends in filling")
                        snapshot = json.loads(done.stdout)["snapshot"]
                        self.assertEqual(snapshot["content"], content)
                        self.ok("delete", snapshot["id"])
                        continue
                    self.assertIn(done.returncode, (1, 3), done.stderr)
                    self.assertRegex(done.stderr.decode(), rf"\Aashlar: [^\n]*cut.{form}[^\n]+\n\Z")
        self.assertEqual(self.snapshots(), known)

    def test_files_that_are_in_use_or_no_files(self):
        file = self.converted(self.disk(), "qcow2")
        socket = self.scratch / "qemu.sock"
        self.serve("qemu-nbd", "-t", "-f", "qcow2", "-k", socket, file, socket=socket)
        self.fails(1, "import-disk", file, says=str(file), code="busy")
        raw = self.disk()
        for written in (raw, self.converted(raw, "vmdk")):
            with open(written, "r+b"):
                self.fails(1, "import-disk", written, says=(str(written), "open for writing"), code="busy")
        self.fails(1, "import-disk", self.scratch, "--format", "raw", says="directory")
        self.fails(1, "import-disk", "/dev/zero", "--format", "raw", says="ashlar capture")
        self.fails(1, "import-disk", self.scratch / "no.qcow2", says="no.qcow2", code="not_found")

    def test_a_file_that_changes_while_it_is_read(self):
        """Shows that a write to the file after the check of its header is noticed; a stand-in for qemu-img
        waits until the write is done."""
        for form in ("qcow2", "vmdk"):
            file = self.converted(self.disk(), form)
            running = self.held_at_check(file)
            with open(file, "ab") as writer:
                writer.write(bytes(65536))
            self.go()
            _, said = running.communicate(timeout=60)
            self.assertEqual(running.returncode, 1, said)
            self.assertRegex(said.decode(), rf"\Aashlar: [^\n]*{file.name} was changed while it was read[^\n]+\n\Z")
        self.nothing_visible()

    def test_a_name_that_is_given_to_another_file(self):
        disk = self.disk()
        file = self.converted(disk, "qcow2")
        other = self.converted(self.file("other.raw", noise(MIB, 9)), "qcow2", name="other.qcow2")
        running = self.held_at_check(file)
        file.rename(self.scratch / "moved.qcow2")
        other.rename(file)
        self.go()
        running.communicate(timeout=60)
        if running.returncode == 0:  # a rename may change the times of a file, which is noticed
            self.same(disk, self.restored(self.snapshots()[-1]))
        else:
            self.nothing_visible()

    def test_what_qemu_img_says_of_a_disk(self):
        data = bytearray(self.converted(self.disk(), "qcow2").read_bytes())
        table = struct.unpack_from(">Q", data, 48)[0]
        counts = struct.unpack_from(">Q", data, table)[0]
        data[counts: counts + 65536] = bytes(65536)
        self.refused(self.file("counts.qcow2", bytes(data)), "is damaged", 3)
        dirty = self.converted(self.disk(), "qcow2", "-o", "lazy_refcounts=on", name="dirty.qcow2")
        with open(dirty, "r+b") as file:
            file.seek(79)
            file.write(b"\1")
        self.refused(dirty, "qemu-img check -r all")
        file = self.converted(self.disk(), "qcow2")
        for script, says in (("exit 1", "exit status 1"), ("kill -9 $$", "signal 9"), ("exit 127", "exit status 127")):
            running = self.start("import-disk", file, path=self.stand_in("qemu-img", script))
            _, said = running.communicate(timeout=60)
            self.assertEqual(running.returncode, 1, said)
            self.assertRegex(said.decode(), rf"\Aashlar: [^\n]*{file.name}[^\n]*{says}[^\n]*\n\Z")
        self.nothing_visible()

    def test_a_server_that_does_not_answer(self):
        script = f"""exec {sys.executable} -c '
import socket, sys, time
listening = socket.socket(socket.AF_UNIX)
listening.bind([word for word in sys.argv if word.startswith("--socket=")][0][9:])
listening.listen()
open("{self.scratch}/listens", "w")
time.sleep(1000)' "$@" """
        running = self.start("import-disk", self.converted(self.disk(), "qcow2"), path=self.stand_in("qemu-nbd", script))
        self.wait_until((self.scratch / "listens").exists, "it listens")
        time.sleep(0.3)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=20)
        self.assertEqual((running.returncode, said), (1, b"ashlar: stopped on request\n"))

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

    def test_the_place_is_the_kernels(self):
        """Shows that LINK/.. is the parent of the folder to which the link leads, as for the kernel."""
        snapshot = self.capture(self.disk())
        inner = self.scratch / "far" / "inner"
        inner.mkdir(parents=True)
        for name, folder in (("link", self.scratch), ("link", self.store)):
            (folder / name).symlink_to(inner)
            done = self.run_ashlar("export", snapshot, f"{folder}/{name}/../x.raw")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertFalse((folder / "x.raw").exists())
            (self.scratch / "far" / "x.raw").unlink()
            (folder / name).unlink()
        for name in ("far/.", "far/..", "far/"):
            self.assertEqual(self.run_ashlar("export", snapshot, f"{self.scratch}/{name}", "--format", "raw").returncode, 1)

    def test_when_ended_children_are_nobodys(self):
        """Shows that a failure of qemu-img is noticed when the parent ignores SIGCHLD, which a program
        inherits."""
        snapshot = self.capture(self.disk())
        path = self.stand_in("qemu-img", 'for target; do :; done; echo part > "$target"; exit 1')
        running = self.start("export", snapshot, self.scratch / "x.qcow2", path=path,
                             preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
        _, said = running.communicate(timeout=60)
        self.assertEqual(running.returncode, 1, said)
        self.assertFalse((self.scratch / "x.qcow2").exists())

    def test_nohup(self):
        snapshot = self.capture(self.file("disk.raw", b"".join(noise(32 * MIB, seed) for seed in range(3))))
        running = self.start("export", snapshot, self.scratch / "x.vmdk",
                             preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        self.wait_until(lambda: self.leftovers() and self.children(running.pid), "qemu-img has begun")
        running.send_signal(signal.SIGHUP)
        _, said = running.communicate(timeout=120)
        self.assertEqual(running.returncode, 0, said)

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
        """Shows that a stopped export leaves no files, and a killed one only its partial file."""
        snapshot = self.capture(self.file("disk.raw", b"".join(noise(32 * MIB, seed) for seed in range(3))))
        target = self.scratch / "x.vmdk"
        for sent in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL):
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


if __name__ == "__main__":
    host.main()
