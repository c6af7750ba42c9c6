"""Flows of batteries over system calls."""

import os
import struct
import threading

import host  # noqa: F401: it finds the module program
from call_flow import Flow, two_disks
from call_world import KIB, NbdClient, Served, expect
from program import noise


class Init(Flow):
    name = "init"
    again_after = ("invalid",)

    def prepare(self):
        self.world.disk.write_bytes(two_disks()[0])
        self.new = two_disks()[0]

    def words(self):
        return ["init", self.world.store]

    def is_done(self):
        return self.world.run("stats").status == 0

    def stores(self):
        return [self.world.store]

    def more(self):
        self.world.ok("capture", self.world.disk)


class FirstCapture(Flow):
    name = "first capture"

    def prepare(self):
        self.world.init(self.world.store)
        self.new = two_disks()[0]
        self.world.disk.write_bytes(self.new)

    def words(self):
        return ["capture", self.world.disk]

    def acknowledged(self, run):
        if run.out.startswith("snap-"):
            self.world.kept[(self.world.store, run.out.strip())] = self.new


class NextCapture(FirstCapture):
    name = "next capture"

    def prepare(self):
        self.world.init(self.world.store)
        first, self.new = two_disks()
        self.world.capture(first)
        self.world.disk.write_bytes(self.new)


class Delete(Flow):
    name = "delete"
    again_after = ("not_found",)

    def prepare(self):
        self.world.init(self.world.store)
        first, second = two_disks()
        self.world.capture(first)
        self.snapshot = self.world.capture(second)
        self.may_go = (self.snapshot,)

    def words(self):
        return ["delete", self.snapshot]

    def binned(self):
        return [one["id"] for one in self.world.json("bin", "list")["bin"]]

    def is_done(self):
        return self.snapshot in self.binned()

    def more(self):
        expect(self.binned() == [self.snapshot], "it is not in the bin", "lost")
        self.world.ok("bin", "restore", self.snapshot)
        expect(self.snapshot in self.world.snapshots(), "it did not come back", "lost")


class BinRestore(Delete):
    name = "bin restore"
    again_after = ("not_found", "invalid")

    def prepare(self):
        super().prepare()
        self.world.ok("delete", self.snapshot)

    def words(self):
        return ["bin", "restore", self.snapshot]

    def is_done(self):
        return self.snapshot in self.world.snapshots()

    def more(self):
        expect(self.binned() == [] and self.is_done(), "it did not come back", "lost")


class Purge(BinRestore):
    name = "purge"

    def words(self):
        return ["bin", "purge", "--all"]

    def more(self):
        expect(self.binned() == [] and not self.is_done(), "it is there yet")


class Collect(Flow):
    name = "collect"

    def prepare(self):
        self.world.init(self.world.store)
        first, second = two_disks()
        gone = [self.world.capture(first), self.world.capture(noise(300 * KIB, 8))]
        self.world.capture(second)
        for snapshot in gone:
            self.world.ok("delete", snapshot)
            del self.world.kept[(self.world.store, snapshot)]
        self.world.ok("bin", "purge", "--all")

    def words(self):
        return ["collect", "--max-live", "100"]


class ImageCreate(Flow):
    name = "image create"
    again_after = ("invalid", "busy")

    def prepare(self):
        self.world.init(self.world.store)
        self.snapshot = self.world.capture(two_disks()[0])

    def words(self):
        return ["image", "create", "--name", "web", "--map", f"/dev/sda={self.snapshot}"]

    def images(self, store=None):
        return self.world.json("image", "list", store=store)["Images"]

    def acknowledged(self, run):
        self.acked = run.out.strip() if run.out.startswith("ami-") else None

    def is_done(self):
        return [one["State"] for one in self.images(self.work_store)] == ["available"]

    def more(self):
        images = self.images(self.work_store)
        if getattr(self, "acked", None):
            expect(self.acked in [one["ImageId"] for one in images], f"{self.acked} is missing", "lost")
        expect([one["State"] for one in images].count("available") == 1, lambda: f"images: {images}")
        image = next(one["ImageId"] for one in images if one["State"] == "available")
        self.world.ok("image", "verify", image, store=self.work_store)
        # An attempt that was cut off may stay as a failed image until its owner removes it.
        for one in images:
            if one["State"] != "available":
                expect(one["State"] in ("failed", "pending"), lambda: f"images: {images}")
                self.world.ok("image", "deregister", one["ImageId"], store=self.work_store)


class ImageCopy(ImageCreate):
    name = "image copy"

    def prepare(self):
        super().prepare()
        self.new = two_disks()[0]
        self.image = self.world.ok(*ImageCreate.words(self))
        self.world.init(self.world.other)
        self.world.capture(noise(200 * KIB, 5), self.world.other)

    def words(self):
        return ["image", "copy", self.image, "--to", self.world.other]

    def is_done(self):
        return [one["State"] for one in self.images(self.world.other)] == ["available"]

    def more(self):
        self.work_store = self.world.other
        try:
            super().more()
        finally:
            self.work_store = self.world.store


class ImageExport(ImageCopy):
    name = "image export"
    again_after = ("invalid",)

    def words(self):
        return ["image", "export", self.image, self.world.folder / "web.ashlar"]

    def is_done(self):
        return (self.world.folder / "web.ashlar").exists()

    def more(self):
        self.world.ok("image", "import", self.world.folder / "web.ashlar", store=self.world.other)
        super().more()


class ImageImport(ImageCopy):
    name = "image import"

    def prepare(self):
        super().prepare()
        self.world.ok("image", "export", self.image, self.world.folder / "web.ashlar")
        self.work_store = self.world.other

    def words(self):
        return ["image", "import", self.world.folder / "web.ashlar"]

    def more(self):
        ImageCreate.more(self)


class Volume(Flow):
    """A volume with data of its own: 64 KiB in the middle differ from its snapshot."""

    def prepare(self):
        self.world.init(self.world.store)
        self.data = two_disks()[0]
        self.snapshot = self.world.capture(self.data)
        self.socket = self.world.scratch / "nbd"

    def make_volume(self):
        self.volume = self.world.ok("volume", "create", "--snapshot", self.snapshot)
        self.written = noise(64 * KIB, 7)
        with self.served(self.volume) as client:
            expect(client.ask(1, 256 * KIB, len(self.written), self.written)[0] == 0, "write")
            expect(client.ask(3)[0] == 0, "flush")
        self.changed = self.data[: 256 * KIB] + self.written + self.data[320 * KIB :]

    def served(self, volume):
        return Served(self.world, self.socket, volume)

    def volumes(self):
        return [one["id"] for one in self.world.json("volume", "list")["volumes"]]

    def reads_as(self, volume, data, kind="wrong"):
        with self.served(volume) as client:
            expect(client.read()[: len(data)] == data, f"{volume} has other bytes", kind)


class VolumeCreate(Volume):
    name = "volume create"

    def words(self):
        return ["volume", "create", "--snapshot", self.snapshot]

    def acknowledged(self, run):
        self.acked = run.out.strip() if run.out.startswith("vol-") else None

    def more(self):
        volumes = self.volumes()
        expect(not getattr(self, "acked", None) or self.acked in volumes, f"{self.acked} is missing", "lost")
        for volume in volumes:
            self.reads_as(volume, self.data)
            self.world.ok("volume", "delete", volume)


class VolumeSnapshot(Volume):
    name = "volume snapshot"

    def prepare(self):
        super().prepare()
        self.make_volume()
        self.new = self.changed + bytes(-len(self.changed) % 4096)
        self.new = self.new[: max(len(self.changed), len(self.new))]

    def words(self):
        return ["volume", "snapshot", self.volume]

    def acknowledged(self, run):
        if run.out.startswith("snap-"):
            self.world.kept[(self.world.store, run.out.strip())] = self.new

    def more(self):
        expect(self.volumes() == [self.volume], "the volume is missing", "lost")
        self.reads_as(self.volume, self.changed, "lost")


class VolumeDelete(Volume):
    name = "volume delete"
    again_after = ("not_found",)

    def prepare(self):
        super().prepare()
        self.make_volume()

    def words(self):
        return ["volume", "delete", self.volume, "--force"]

    def is_done(self):
        return self.volumes() == []

    def more(self):
        expect(self.volumes() == [], "it is there yet")
        # An empty directory may stay: it goes last, so that a removal that was cut off can be completed.
        left = [str(path) for path in self.world.store.glob(f"host/*/overlays/{self.volume}/*")]
        expect(not left, f"left: {left}")


class VolumeWrite(Volume):
    """The server is disturbed while a client writes and flushes; what was flushed stays."""

    name = "volume write"

    def prepare(self):
        super().prepare()
        self.make_volume()

    def words(self):
        return ["serve", "--socket", self.socket, "--volume", self.volume]

    def start(self, at_stop, names=None, timeout=300, stacks=False):
        self.socket.unlink(missing_ok=True)
        self.flushed, self.sent, running = [], [], threading.Event()

        def client():
            try:
                while not running.wait(0.002) and not self.socket.exists():
                    pass
                found = NbdClient(self.socket, self.volume)
                for number in range(4):
                    at, data = (100 + number * 40) * KIB, noise(20 * KIB + 512 * number, 50 + number)
                    self.sent.append((at, data))
                    if found.ask(1, at, len(data), data)[0] == 0 and found.ask(3)[0] == 0:
                        self.flushed.append((at, data))
                found.socket.close()
            except (OSError, struct.error):  # the server was killed
                pass
            finally:
                self.stop_server()

        self.pid = None
        thread = threading.Thread(target=client)

        def begun(stop):
            if self.pid is None:
                self.pid = stop.run.pid
                thread.start()
            at_stop(stop)

        try:
            return super().start(begun, names, timeout, stacks)
        finally:
            running.set()
            if self.pid is not None:
                thread.join()

    def stop_server(self):
        try:
            os.kill(self.pid, 15)
        except ProcessLookupError:
            pass

    def again(self):
        """Each write that was flushed is there; others are there in whole or in part, or not at all."""
        with self.served(self.volume) as client:
            found = client.read()[: len(self.data)]
        expected = bytearray(self.changed)
        for at, data in self.sent:
            if (at, data) not in self.flushed:
                expected[at : at + len(data)] = found[at : at + len(data)]
        for at, data in self.flushed:
            expect(found[at : at + len(data)] == data, f"a flushed write at {at} is gone", "lost")
            expected[at : at + len(data)] = data
        expect(found == bytes(expected), "bytes that were not written have changed")


class Restore(Flow):
    name = "restore"

    def prepare(self):
        self.world.init(self.world.store)
        self.snapshot = self.world.capture(two_disks()[0])
        self.target = self.world.folder / "target.raw"

    def words(self):
        return ["restore", self.snapshot, self.target]

    again_after = ("invalid",)

    def is_done(self):
        return self.target.exists()

    def more(self):
        expect(self.target.read_bytes() == two_disks()[0], "the target has other bytes")


class VerifyDamage(Flow):
    """The second snapshot has lost a frame. Verify finds it, and records it."""

    name = "verify damage"
    verify_status = 3

    def prepare(self):
        self.world.init(self.world.store)
        first, second = two_disks()
        self.world.capture(first)
        packs = set(self.world.store.glob("packs/*/*"))
        self.damaged = self.world.capture(second)
        self.may_go = (self.damaged,)
        [pack] = set(self.world.store.glob("packs/*/*")) - packs
        data = bytearray(pack.read_bytes())
        data[20000] ^= 1
        pack.write_bytes(data)

    def words(self):
        return ["verify", "--all"]

    def again(self):
        done = self.world.run(*self.words())
        expect(done.status == 3 and self.damaged in done.out + done.err, done)

    def sound(self):
        for (_, snapshot), data in self.world.kept.items():
            if snapshot != self.damaged:
                expect(self.world.restored(snapshot) == data, "other bytes", "undetected")
        expect(self.world.run("restore", self.damaged, self.world.scratch / "no.raw").status == 3, "damage is not seen", "undetected")
        expect(len(list(self.world.store.glob("damage/*"))) == 1, "the damage is not recorded")


class Reindex(NextCapture):
    name = "reindex"

    def words(self):
        return ["reindex"]


ALL = [Init, FirstCapture, NextCapture, Delete, BinRestore, Purge, Collect, ImageCreate, ImageCopy, ImageExport, ImageImport,
       VolumeCreate, VolumeWrite, VolumeSnapshot, VolumeDelete, Restore, VerifyDamage, Reindex]
