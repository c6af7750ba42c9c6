#!/usr/bin/env python3
"""The program's verbs on synthetic stores of growing sizes: time, memory, and growth from size to size.

    bench/scale.py [--program FILE] [--maker FILE] [--work DIR] [--only snapshots,packs,blocks,liveness]
                   [--snapshots 1000,10000,100000] [--packs 10000,100000,1000000] [--blocks 1000000,10000000]

`scale` (bench/scale.cc) makes the stores. Each verb runs in a process of its own. A line gives its processor
time, wall time and peak memory, the processor time a unit, and `growth`: how often longer the verb takes than
on the next smaller size, divided by how much larger the store is; 1 is linear. Processor time says more than
wall time on a machine that does other work. Prints a Markdown table, and a line of JSON for each figure to
--json. The stores are removed. docs/performance.md has the results of a run.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MIB = 1 << 20


class Done:
    """A program that has run: seconds, peak memory and output."""

    def __init__(self, *command):
        # GNU time starts the program: the peak of a child of Python would be Python's at least.
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, \
                tempfile.NamedTemporaryFile("r") as usage:
            start = time.monotonic()
            process = subprocess.run(["/usr/bin/time", "-q", "-f", "%U %S %M", "-o", usage.name, *command],
                                     stdout=out, stderr=err, check=False)
            self.wall = time.monotonic() - start
            user, system, peak = usage.read().split()[-3:]
            self.user = float(user)
            self.cpu = self.user + float(system)
            self.peak_mib = int(peak) / 1024
            out.seek(0)
            self.output = out.read().decode(errors="replace")
            err.seek(0)
            if process.returncode != 0:
                raise SystemExit(f"{' '.join(command)}: exit {process.returncode}: "
                                 f"{err.read().decode(errors='replace')[-2000:]}")

    def json(self):
        return json.loads(self.output)


class Table:
    """Figures by verb and size."""

    def __init__(self, path):
        self.rows = []
        self.last = {}
        self.file = open(path, "w") if path else None

    def add(self, verb, unit, size, done, note=""):
        if done is None:
            return
        row = {"verb": verb, "unit": unit, "size": size, "cpu_s": round(done.cpu, 3),
               "user_s": round(done.user, 3), "wall_s": round(done.wall, 3),
               "peak_mib": round(done.peak_mib, 1), "us_a_unit": round(done.cpu / size * 1e6, 2),
               "note": note}
        before = self.last.get((verb, unit))
        if before:
            row["growth"] = round(done.cpu / before[1] / (size / before[0]), 2)
            row["bytes_a_unit"] = round((done.peak_mib - before[2]) * MIB / (size - before[0]), 1)
        self.last[verb, unit] = (size, max(done.cpu, 1e-3), done.peak_mib)
        self.rows.append(row)
        print(json.dumps(row), file=sys.stderr, flush=True)
        if self.file:
            self.file.write(json.dumps(row) + "\n")
            self.file.flush()

    def show(self):
        print("| verb | size | processor | wall | peak memory | a unit | growth | bytes a unit | |")
        print("|---|---|---|---|---|---|---|---|---|")
        for row in self.rows:
            print(f"| {row['verb']} | {row['size']:,} {row['unit']} | {row['cpu_s']:.2f} s | {row['wall_s']:.2f} s "
                  f"| {row['peak_mib']:.0f} MiB | {row['us_a_unit']} µs | {row.get('growth', '')} "
                  f"| {row.get('bytes_a_unit', '')} | {row['note']} |")


class Bench:
    def __init__(self, arguments):
        self.arguments = arguments
        self.table = Table(arguments.json)
        self.store = os.path.join(arguments.work, "store")

    def make(self, *words):
        shutil.rmtree(self.store, ignore_errors=True)
        return Done(self.arguments.maker, words[0], self.store, *map(str, words[1:])).json()

    def verb(self, *words):
        if words[0] in self.arguments.skip.split(","):
            return None
        return Done(self.arguments.program, "--store", self.store, "--json", *words)

    def source(self):
        """A file of 1 MiB, with other bytes each time."""
        path = os.path.join(self.arguments.work, "disk")
        with open(path, "wb") as file:
            file.write(os.urandom(MIB))
        return path

    def snapshots(self, size):
        """Many snapshots of one volume, and as many images."""
        made = self.make("chain", size)
        add = lambda verb, done, note="": self.table.add(verb, "snapshots", size, done, note)
        listed = self.verb("snapshots")
        ids = [one["id"] for one in listed.json()["snapshots"]]
        add("first open: all packs are new", self.verb("diff", ids[0], ids[0]))
        add("open", self.verb("diff", ids[0], ids[0]))
        add("snapshots", listed)
        add("describe", self.verb("describe", ids[0]))
        add("stats", self.verb("stats"), "marks, as a collection does")
        add("images", self.verb("image", "list"))
        add("capture, the host's first", self.verb("capture", self.source()))
        add("capture, automatic parent", self.verb("capture", self.source()))
        add("bin list", self.verb("bin", "list"))
        add("delete", self.verb("delete", self.verb("snapshots").json()["snapshots"][-1]["id"]))
        add("collect", self.verb("collect"))
        done = self.verb("collect", "--dry-run")
        report = done.json()
        # The captures of this run have added some nodes.
        add("collect --dry-run", done, f"{report['nodes']:,} nodes read, {made['nodes']:,} unique made, "
                                       f"{made['extent_bytes'] / (1 << 50):.2f} PiB of extents")
        add("verify --all", self.verb("verify", "--all"))
        add("reindex", self.verb("reindex"))

    def packs(self, size):
        """Many small packs."""
        self.make("data", size, 1, 16)
        add = lambda verb, done, note="": self.table.add(verb, "packs", size, done, note)
        add("reindex", self.verb("reindex"))
        snapshot = self.verb("snapshots").json()["snapshots"][0]["id"]
        add("open", self.verb("diff", snapshot, snapshot))
        add("capture, of a new source", self.verb("capture", self.source()))
        done = self.verb("collect", "--dry-run")
        add("collect --dry-run", done)
        add("verify --all", self.verb("verify", "--all"))

    def blocks(self, size):
        """Full segments, 16 a pack."""
        packs = max(1, size // (16 * 1024))
        self.make("data", packs, 16, 1024)
        segments = packs * 16
        directories = segments * (104 + 64 * 16 + 1024 * 32)
        blocks = segments * 1024
        add = lambda verb, done, note="": self.table.add(verb, "blocks", blocks, done, note)
        done = self.verb("reindex")
        done = self.verb("reindex")
        add("reindex", done, f"{directories / done.cpu / 1e6:.0f} MB/s of directories a core")
        add("collect --dry-run", self.verb("collect", "--dry-run"))
        add("verify --all", self.verb("verify", "--all"))

    def liveness(self, size):
        done = Done(self.arguments.maker, "liveness", str(size))
        made = done.json()
        self.table.add("mark", "blocks", size, done,
                       f"{made['bytes'] / MIB:.0f} MiB, {made['nodes']:,} unique nodes, {made['node_reads']:,} read")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default=f"{ROOT}/build/bench/tools/ashlar")
    parser.add_argument("--maker", default=f"{ROOT}/build/bench/bench/scale")
    parser.add_argument("--work", help="where the stores are made; default: a temporary directory")
    parser.add_argument("--only", default="snapshots,packs,blocks,liveness")
    parser.add_argument("--snapshots", default="1000,10000,100000")
    parser.add_argument("--packs", default="10000,100000,1000000")
    parser.add_argument("--blocks", default="1000000,10000000")
    parser.add_argument("--liveness", default="10000000,100000000,1000000000")
    parser.add_argument("--skip", default="", help="verbs that are left out, separated by commas")
    parser.add_argument("--json", help="a file for lines of JSON")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ashlar-scale-", dir=arguments.work) as work:
        arguments.work = work
        bench = Bench(arguments)
        for section in arguments.only.split(","):
            for size in map(int, getattr(arguments, section).split(",")):
                getattr(bench, section)(size)
        bench.table.show()


if __name__ == "__main__":
    main()
