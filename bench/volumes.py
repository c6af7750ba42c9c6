#!/usr/bin/env python3
"""Volumes, each figure beside its limit, measured in the same run.

    bench/volumes.py --corpus DIR [--work DIR] [--only create,first_read,...] [--runs 3]

Needs qemu-nbd, fio (with its nbd engine) and, for the boots, qemu-system-x86_64 and root. A served volume is
compared with qemu-nbd serving a raw file of the same bytes; boots from lazy volumes with boots from a raw
file. Prints a Markdown table and writes raw figures to --json. docs/performance.md has the method and the
results of a run.
"""
import argparse
import json
import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import time

import macro

ROOT = macro.ROOT
MIB = macro.MIB
SECTIONS = ["create", "first_read", "reads", "writes", "snapshot", "boot", "far"]
IMAGE = "golden-v1"
BOOT_SECONDS = 900
LINGER_SECONDS = 120  # a busy machine never stops reading new places
MARKER = b"login:"


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        words = stat.read().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


class Server:
    """A server that listens on a unix socket while the `with` body runs."""

    def __init__(self, socket_path, *command, ready=None):
        if os.path.exists(socket_path):
            os.remove(socket_path)
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if ready:
            self.process.stdout.readline()
        deadline = time.monotonic() + 30
        while not os.path.exists(socket_path):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise macro.Failed(f"{' '.join(command)}: {self.process.communicate()[1].decode()}")
            time.sleep(0.01)
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.output = self.process.communicate(timeout=120)[0].decode()


class Bench(macro.Bench):
    def __init__(self, args):
        super().__init__(args)
        self.store = self.new_store()
        self.socket = self.path("nbd.sock")
        self.far_server = args.far_server
        self.snapshots = {}

    def snapshot_of(self, name):
        if name not in self.snapshots:
            captured = self.capture(self.store, self.image(name)).json()
            self.snapshots[name] = captured["snapshot"]["id"]
        return self.snapshots[name]

    def volume(self, *words):
        return macro.run(self.ashlar_path, "volume", words[0], "--store", self.store, "--json", *words[1:])

    def new_volume(self, snapshot, *words):
        return self.volume("create", "--snapshot", snapshot, *words).json()["volume"]["id"]

    def serve(self, *words):
        return Server(self.socket, self.ashlar_path, "serve", "--store", self.store, "--socket", self.socket, *words,
                      ready=True)

    def qemu_nbd(self, raw):
        return Server(self.socket, "qemu-nbd", "-f", "raw", "-k", self.socket, "-e", "16", "-t", "--discard=unmap", raw)

    def uri(self, export=""):
        return f"nbd+unix:///{export}?socket={self.socket}"


class Client:
    """A bare NBD client with one request at a time: it shows what a read takes without a library."""

    def __init__(self, path, export):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.take(18)
        self.socket.sendall(struct.pack(">I", 3))
        name = export.encode()
        self.socket.sendall(struct.pack(">QII", 0x49484156454F5054, 7, len(name) + 6) + struct.pack(">I", len(name)) +
                            name + struct.pack(">H", 0))
        while True:
            _, _, kind, length = struct.unpack(">QIII", self.take(20))
            self.take(length)
            if kind == 1:
                return
            if kind & 0x80000000:
                raise macro.Failed("the server refused")

    def take(self, count):
        data = b""
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            if not part:
                raise macro.Failed("the server ended")
            data += part
        return data

    def read(self, offset, count):
        self.socket.sendall(struct.pack(">IHHQQI", 0x25609513, 0, 0, 7, offset, count))
        error = struct.unpack(">IIQ", self.take(16))[1]
        if error:
            raise macro.Failed(f"error {error}")
        return self.take(count)


def percentile(values, percent):
    values = sorted(values)
    return values[min(len(values) - 1, len(values) * percent // 100)]


def create(b):
    """Measures `volume create`, from a snapshot of 6 GiB and from one of 64 TiB."""
    huge = b.path("huge.raw")
    try:
        with open(huge, "wb") as out:
            out.truncate(64 << 40)
    except OSError:  # ext4 allows files of at most 16 TiB
        with open(huge, "wb") as out:
            out.truncate(15 << 40)
    size = os.path.getsize(huge) >> 40
    of_huge = b.capture(b.store, huge).json()["snapshot"]["id"]
    for what, snapshot in ((IMAGE, b.snapshot_of(IMAGE)), (f"{size} TiB", of_huge)):
        times = []
        for _ in range(20):
            began = time.monotonic()
            volume = b.new_volume(snapshot)
            times.append(time.monotonic() - began)
            b.volume("delete", volume)
        middle = macro.median(times) * 1000
        b.row(f"volume create, {what}", f"{middle:.0f} ms", "20 ms", middle <= 20,
              "ashlar volume create --snapshot SNAP", "the whole command, median of 20")
    b.drop(huge)


def data_offsets(b, count, seed=1):
    fd = os.open(b.image(IMAGE), os.O_RDONLY)
    extents = list(macro.data_extents(fd))
    os.close(fd)
    chooser = random.Random(seed)
    picked = set()
    while len(picked) < count:
        start, end = chooser.choice(extents)
        picked.add(chooser.randrange(start, end) // 4096 * 4096)
    order = list(picked)
    chooser.shuffle(order)
    return order


def first_read(b):
    """Measures the first 4 KiB reads of a cold volume, each at another place."""
    with b.serve("--volume", volume := b.new_volume(b.snapshot_of(IMAGE))):
        client = Client(b.socket, volume)
        times = []
        for offset in data_offsets(b, 2000):
            began = time.monotonic()
            client.read(offset, 4096)
            times.append((time.monotonic() - began) * 1000)
    b.volume("delete", volume)
    b.row("first 4 KiB reads of a cold volume", f"p99 {percentile(times, 99):.2f} ms, median "
          f"{percentile(times, 50):.2f} ms", "2 ms p99", percentile(times, 99) <= 2, "2000 places at random")


def fio(b, server, uri, name, *words):
    before = cpu_seconds(server.pid)
    done = macro.run("fio", "--name", name, "--ioengine=nbd", f"--uri={uri}", "--time_based", "--runtime=6",
                     "--ramp_time=1", "--size=1g", "--output-format=json", *words)
    cpu = cpu_seconds(server.pid) - before
    text = done.output
    job = json.loads(text[text.index("{"):])["jobs"][0]
    ios = job["read"]["total_ios"] + job["write"]["total_ios"]
    iops = job["read"]["iops"] + job["write"]["iops"]
    return {"iops": iops, "us": cpu / max(1, ios * 7 / 6) * 1e6, "mib_s": (job["read"]["bw"] + job["write"]["bw"]) / 1024}


def raw_gibibyte(b):
    raw = b.path("gibibyte.raw")
    if not os.path.exists(raw):
        with open("/dev/urandom", "rb") as noise, open(raw, "wb") as out:
            for _ in range(1024):
                out.write(noise.read(MIB))
    return raw


def hydrated_gibibyte(b):
    raw = raw_gibibyte(b)
    snapshot = b.capture(b.store, raw).json()["snapshot"]["id"]
    volume = b.new_volume(snapshot)
    b.volume("hydrate", volume)
    return raw, volume


def against_qemu_nbd(b, cases):
    """Runs each case on a hydrated volume and on qemu-nbd with the same bytes, in alternating order."""
    raw, volume = hydrated_gibibyte(b)
    macro.warm(raw)
    for name, limit, words in cases:
        ours, theirs = [], []
        for i in range(b.runs):
            def serve_ours():
                with b.serve("--volume", volume) as server:
                    ours.append(fio(b, server, b.uri(volume), name, *words))

            def serve_theirs():
                with b.qemu_nbd(raw) as server:
                    theirs.append(fio(b, server, b.uri(), name, *words))

            for side in ((serve_ours, serve_theirs) if i % 2 == 0 else (serve_theirs, serve_ours)):
                side()
        b.raw.setdefault("fio", []).append({"case": name, "ours": ours, "theirs": theirs})
        mine, other = (macro.median(r["iops"] for r in side) for side in (ours, theirs))
        my_us, other_us = (macro.median(r["us"] for r in side) for side in (ours, theirs))
        b.row(name, f"{mine / other:.2f}× ({mine:.0f} a second)", f"{limit}× of {other:.0f}", mine >= limit * other,
              "fio --ioengine=nbd " + " ".join(words), "qemu-nbd -f raw")
        b.row(f"… processor time a request", f"{my_us:.1f} µs", f"{other_us:.1f} µs", my_us <= other_us, "", "")
    b.volume("delete", volume)


def reads(b):
    """Measures reads of blocks that the volume holds, beside qemu-nbd."""
    against_qemu_nbd(b, [
        ("4 KiB random reads, depth 1", 1.0, ("--rw=randread", "--bs=4k", "--iodepth=1")),
        ("4 KiB random reads, depth 32", 1.0, ("--rw=randread", "--bs=4k", "--iodepth=32")),
        ("128 KiB random reads, depth 16", 0.9, ("--rw=randread", "--bs=128k", "--iodepth=16"))])


def writes(b):
    """Measures writes without flushes, and with a flush after every 16, beside qemu-nbd."""
    against_qemu_nbd(b, [
        ("4 KiB random writes, depth 32", 0.9, ("--rw=randwrite", "--bs=4k", "--iodepth=32")),
        ("4 KiB random writes, depth 8, a flush every 16", 0.9,
         ("--rw=randwrite", "--bs=4k", "--iodepth=8", "--fsync=16"))])


def snapshot(b):
    """Measures snapshots of a served volume of which 1 % and 4 % were written, and the delays of a reader
    meanwhile."""
    raw, volume = hydrated_gibibyte(b)
    del raw
    seconds = []
    with b.serve("--volume", volume):
        client = Client(b.socket, volume)
        for percent in (1, 4):
            macro.run("fio", "--name=dirty", "--ioengine=nbd", f"--uri={b.uri(volume)}", "--rw=randwrite", "--bs=4k",
                      "--iodepth=16", "--size=1g", f"--io_size={1024 * percent // 100}m", "--refill_buffers",
                      "--output-format=json")
            taken = subprocess.Popen([b.ashlar_path, "volume", "snapshot", volume, "--store", b.store, "--json"],
                                     stdout=subprocess.PIPE)
            waits, began, at = [], time.monotonic(), 0
            while taken.poll() is None:
                before = time.monotonic()
                client.read(at % (1 << 30), 4096)
                waits.append((time.monotonic() - before) * 1000)
                at += 7919 * 4096
                time.sleep(0.001)
            whole = time.monotonic() - began
            report = json.loads(taken.stdout.read())
            seconds.append(report["seconds"])
            b.row(f"snapshot of a served volume, {percent} % written",
                  f"{report['seconds']:.2f} s, {report['read_bytes'] / MIB:.0f} MiB read, "
                  f"{report['stored_bytes'] / MIB:.1f} MiB stored", "in proportion", None,
                  "ashlar volume snapshot VOL", f"the whole command {whole:.2f} s")
            b.row("… a reader meanwhile, p99", f"{percentile(waits, 99):.1f} ms", "50 ms",
                  percentile(waits, 99) <= 50, "", f"{len(waits)} reads of 4 KiB, the longest {max(waits):.1f} ms")
    b.volume("delete", volume)


def kernel_of(b):
    """Copies kernel and initial RAM disk out of the image, and returns their paths."""
    kernel, initrd = b.path("kernel"), b.path("initrd")
    if os.path.exists(kernel):
        return kernel, initrd
    table = json.loads(macro.run("sfdisk", "-J", b.image(IMAGE)).output)["partitiontable"]["partitions"]
    device = macro.run("losetup", "-f", "--show", "-r", "-o", str(table[-1]["start"] * 512),
                       b.image(IMAGE)).output.strip()
    mounted = b.path("mounted")
    os.makedirs(mounted, exist_ok=True)
    try:
        macro.run("mount", "-o", "ro,noload", device, mounted)
        try:
            for pattern, target in (("vmlinuz-", kernel), ("initrd.img-", initrd)):
                name = next(n for n in sorted(os.listdir(mounted + "/boot")) if n.startswith(pattern))
                macro.run("cp", f"{mounted}/boot/{name}", target)
        finally:
            macro.run("umount", mounted)
    finally:
        macro.run("losetup", "-d", device)
    return kernel, initrd


def booted(b, drive, until=None):
    """Returns the seconds until the machine shows its login prompt. With `until`, lets it run until that file
    exists (the trace of its reads), at most LINGER_SECONDS more."""
    kernel, initrd = kernel_of(b)
    console = b.path("console")
    command = ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg", "-cpu", "max", "-m", "1024", "-smp", "1",
               "-nodefaults", "-display", "none", "-no-reboot", "-serial", f"file:{console}", "-kernel", kernel,
               "-initrd", initrd, "-append", "root=/dev/vda2 console=ttyS0", "-drive", drive]
    began = time.monotonic()
    machine = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        while time.monotonic() - began < BOOT_SECONDS:
            if machine.poll() is not None:
                raise macro.Failed(f"QEMU ended: {machine.stderr.read().decode()}")
            if os.path.exists(console):
                with open(console, "rb") as text:
                    if MARKER in text.read():
                        seconds = time.monotonic() - began
                        while until and not os.path.exists(until) and time.monotonic() - began < seconds + LINGER_SECONDS:
                            time.sleep(0.2)
                        return seconds
            time.sleep(0.05)
        raise macro.Failed("the machine never comes up")
    finally:
        machine.kill()
        machine.wait()
        if os.path.exists(console):
            os.remove(console)


def nbd_drive(b, export):
    return f"driver=nbd,server.type=unix,server.path={b.socket},export={export},if=virtio"


def trace_of(b, snapshot_id):
    return os.path.join(b.store, "traces", snapshot_id)


def boot(b):
    """Measures boots of a machine from a raw file and from a lazy volume: from the first of its snapshot, and
    from a later one."""
    raw = b.path("boot.raw")
    macro.run("cp", "--sparse=always", b.image(IMAGE), raw)
    taken = b.snapshot_of(IMAGE)
    sides = {"raw": [], "cold": [], "warm": []}

    def lazily(side):
        volume = b.new_volume(taken)
        with b.serve("--volume", volume):
            sides[side].append(booted(b, nbd_drive(b, volume), trace_of(b, taken)))
            state = b.volume("describe", volume).json()["state"]
        b.volume("delete", volume)
        return state

    def forget():
        for folder in ("traces", "boot"):
            macro.run("rm", "-rf", os.path.join(b.store, folder))

    for _ in range(b.runs):
        forget()
        state = lazily("cold")
        sides["raw"].append(booted(b, f"file={raw},format=raw,if=virtio"))
        warm_state = lazily("warm")
    middle = {side: macro.median(times) for side, times in sides.items()}
    b.raw["boot"] = {"seconds": sides, "cold": state, "warm": warm_state}
    for side, what in (("cold", "boot from a cold lazy volume"), ("warm", "boot from the next one, with a boot pack")):
        ratio = middle[side] / middle["raw"]
        b.row(what, f"{ratio:.2f}× ({middle[side]:.1f} s)", f"1.15× of {middle['raw']:.1f} s", ratio <= 1.15,
              "qemu-system-x86_64 -accel tcg -drive driver=nbd,…", "the same machine from the raw file")
    b.row("… bytes fetched by a cold boot", f"{state['fetched_bytes'] / MIB:.0f} MiB", "-", None, "",
          f"{state['missed_reads']} of {state['reads']} reads missed, {state['stalled_seconds']:.2f} s in sum")
    b.drop(raw)


def far(b):
    """Measures boots with the store 20 ms away: without a trace, with a boot pack, and with a trace alone."""
    taken = b.snapshot_of(IMAGE)
    for folder in ("traces", "boot"):
        macro.run("rm", "-rf", os.path.join(b.store, folder))
    def measured(until=None):
        with Server(b.socket, b.far_server, b.store, taken, b.socket, "20", ready=True) as server:
            seconds = booted(b, nbd_drive(b, ""), until)
        return seconds, json.loads(re.search(r"\{.*\}", server.output).group())

    def row(what, limit):
        seconds, counts = measured()
        b.raw.setdefault("far", []).append({"what": what, "seconds": seconds, **counts})
        stall = counts["stalled_seconds"]
        b.row(f"boot, store 20 ms away, {what}", f"{seconds:.1f} s, stalled {stall:.2f} s",
              f"{limit} s stalled" if limit else "-", stall <= limit if limit else None,
              f"far_server STORE {taken} SOCKET 20",
              f"{counts['requests']} requests, {counts['bytes'] / MIB:.1f} MiB, {counts['missed_reads']} of "
              f"{counts['reads']} reads waited")
        return counts["requests"]

    row("nothing known", None)
    macro.run("rm", "-rf", trace_of(b, taken))
    measured(trace_of(b, taken))  # it runs until it reads nothing new: its trace is complete
    requests = row("with a boot pack", 0.1)
    b.row("… requests to the store", str(requests), "3", requests <= 3, "", "")
    macro.run("rm", "-rf", os.path.join(b.store, "boot"))
    row("with a trace alone", 0.1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--work", default="/var/tmp")
    parser.add_argument("--only", default=",".join(SECTIONS))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json")
    parser.add_argument("--ashlar", default=os.path.join(ROOT, "build/release/tools/ashlar"))
    parser.add_argument("--far-server", default=os.path.join(ROOT, "build/release/bench/far_server"))
    parser.add_argument("--parts", default=os.path.join(ROOT, "build/release/bench/parts"))
    args = parser.parse_args()
    b = Bench(args)
    try:
        for name in args.only.split(","):
            print(name, file=sys.stderr, flush=True)
            globals()[name](b)
    finally:
        b.drop(b.work)
    print("| what | measured | limit | met |\n|---|---|---|---|")
    for row in b.rows:
        met = {True: "yes", False: "**no**", None: ""}[row["met"]]
        print(f"| {row['what']} | {row['measured']} | {row['limit']} | {met} |")
    if args.json:
        with open(args.json, "w", encoding="utf-8") as out:
            json.dump(b.raw, out, indent=1)


if __name__ == "__main__":
    main()
