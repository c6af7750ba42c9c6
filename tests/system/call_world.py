"""Small stores in a world that is put back before each try, and clients of them, for batteries over system calls."""

import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import tempfile

import calls
import host  # noqa: F401: it finds the module program
import program
from program import noise

KIB = 1 << 10
MIB = 1 << 20


class Wrong(Exception):
    """A finding: `kind` is lost, wrong or undetected."""

    def __init__(self, kind, text):
        super().__init__(text)
        self.kind = kind


def expect(condition, text, kind="wrong"):
    if not condition:
        raise Wrong(kind, text() if callable(text) else str(text))


class Done:
    """The result of a verb."""

    def __init__(self, words, status, out, err):
        self.words, self.status, self.out, self.err = words, status, out, err

    def __str__(self):
        return f"{' '.join(map(str, self.words))}: status {self.status}, {self.out.strip()[:300]} {self.err.strip()[:600]}"


class World:
    """A folder with stores and disks, in the state `load` puts it into. The directory of a store keeps its inode: by
    that the program tells a store from its copy."""

    def __init__(self, place):
        self.scratch = pathlib.Path(tempfile.mkdtemp(dir=place))
        self.folder, self.saved = self.scratch / "world", self.scratch / "saved"
        self.folder.mkdir()
        self.store, self.other, self.disk = self.folder / "store", self.folder / "other", self.folder / "disk.raw"
        self.kept = {}  # (store, snapshot) -> the bytes it has to have
        self.runs = 0

    def close(self):
        shutil.rmtree(self.scratch, ignore_errors=True)

    def clear(self):
        shutil.rmtree(self.folder)
        self.folder.mkdir()
        self.kept = {}

    def environment(self, store=None):
        return {**{k: v for k, v in os.environ.items() if not k.startswith("ASHLAR_")},
                "ASHLAR_STORE": str(store or self.store)}

    def run(self, *words, store=None):
        self.runs += 1
        done = subprocess.run([program.PROGRAM, *map(str, words)], env=self.environment(store), capture_output=True,
                              stdin=subprocess.DEVNULL, timeout=120, cwd=self.folder)
        return Done(words, done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))

    def ok(self, *words, store=None):
        done = self.run(*words, store=store)
        expect(done.status == 0, done)
        return done.out.strip()

    def json(self, *words, store=None):
        return json.loads(self.ok(*words, "--json", store=store))

    def traced(self, words, names, at_stop, store=None, timeout=300, stacks=False):
        self.runs += 1
        before = os.getcwd()
        os.chdir(self.folder)
        try:
            run = calls.Run([program.PROGRAM, *words], self.environment(store), names, at_stop, self.scratch, timeout, stacks)
        finally:
            os.chdir(before)
        run.done = Done(words, run.status, run.out, run.err)
        return run

    def init(self, store):
        self.ok("init", store)

    def capture(self, data, store=None):
        """Writes the disk, captures it, and returns the snapshot."""
        self.disk.write_bytes(data)
        snapshot = self.ok("capture", self.disk, store=store)
        self.kept[(store or self.store, snapshot)] = data
        return snapshot

    def save(self):
        shutil.rmtree(self.saved, ignore_errors=True)
        self.saved_kept = dict(self.kept)
        for store in (self.store, self.other):  # 80 MiB that each try would copy; the program makes it again
            (store / "reserve").unlink(missing_ok=True)
        shutil.copytree(self.folder, self.saved, symlinks=True)
        self.stores = [path for path in (self.store, self.other) if path.exists()]

    def load(self):
        for path in self.folder.iterdir():
            if path in self.stores:
                for inner in path.iterdir():
                    shutil.rmtree(inner) if inner.is_dir() else inner.unlink()
            else:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(self.saved, self.folder, symlinks=True, dirs_exist_ok=True)
        self.kept = dict(self.saved_kept)

    def restored(self, snapshot, store=None):
        target = self.scratch / "restored.raw"
        for path in (target, target.with_suffix(".raw.ashlar-partial")):
            path.unlink(missing_ok=True)
        done = self.run("restore", snapshot, target, store=store)
        expect(done.status == 0, done)
        return target.read_bytes()

    def snapshots(self, store=None):
        return {one["id"] for one in self.json("snapshots", store=store)["snapshots"]}


class NbdClient:
    """A client of a served volume: writes, flushes and reads."""

    def __init__(self, path, export):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(str(path))
        self.take(18)
        name = export.encode()
        self.socket.sendall(struct.pack(">I8sII", 3, b"IHAVEOPT", 1, len(name)) + name)
        self.size = struct.unpack(">QH", self.take(10))[0]

    def take(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise ConnectionError("the server has left")
            data += more
        return data

    def ask(self, kind, offset=0, size=0, data=b""):
        """Returns the error of the answer, and what was read."""
        self.socket.sendall(struct.pack(">IHHQQI", 0x25609513, 0, kind, 1, offset, size) + data)
        error = struct.unpack(">IIQ", self.take(16))[1]
        return error, self.take(size) if kind == 0 and not error else b""

    def read(self):
        return b"".join(self.ask(0, at, min(MIB, self.size - at))[1] for at in range(0, self.size, MIB))


class Served:
    """A server of one volume, and a client of it. The server ends with the block."""

    def __init__(self, world, path, volume):
        self.path = path
        path.unlink(missing_ok=True)
        self.running = subprocess.Popen([program.PROGRAM, "serve", "--socket", path, "--volume", volume], text=True,
                                        env=world.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if not self.running.stdout.readline():
            raise Wrong("wrong", f"serve {volume}: {self.running.communicate()[1]}")
        self.client = NbdClient(path, volume)

    def __enter__(self):
        return self.client

    def __exit__(self, *_):
        self.client.socket.close()
        self.running.terminate()
        self.running.communicate(timeout=300)
