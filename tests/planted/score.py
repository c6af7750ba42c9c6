#!/usr/bin/env python3
"""Runs the batteries without a flaw, which have to pass, and then with each planted flaw, which has to be caught.

    score.py BUILD                 all of it; BUILD is the build directory of preset planted
    score.py BUILD --flaw NAME…    these flaws alone
    score.py BUILD --clean         the batteries alone
    score.py BUILD --table         the flaws as a table for docs/testing.md, after they were run

Prints the lines of JSON of the batteries, a line for each flaw, and at the end

    {"battery":"planted flaws","planted":70,"caught":70,"seconds":180.2}

A flaw that is not caught, and a battery that catches none, are failures. ASHLAR_LONG_TESTS=1 runs the batteries with
the rounds of long tests; flaws are looked for with the rounds of the gate.
"""
import argparse
import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from flaws import BATTERIES, FLAWS

FLAW_TRIES = 3
FLAW_SECONDS = 600  # more than any battery takes with the rounds of the gate, on a busy machine
MEMORY = Path("/dev/shm")
MEMORY_BYTES = 2 << 30


class Run:
    """A test program that ran, with all of its output."""

    def __init__(self, build, program, tests, scratch, flaw=""):
        environment = {**os.environ, "ASHLAR_FLAW": flaw, "TEST_TMPDIR": scratch}
        if flaw:
            environment.pop("ASHLAR_LONG_TESTS", None)
        began = time.monotonic()
        command = [str(build / "tests/planted" / program), f"--gtest_filter={tests}", "--gtest_fail_fast"]
        try:
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  timeout=FLAW_SECONDS if flaw else None, check=False)
            self.status, output = done.returncode, done.stdout
        except subprocess.TimeoutExpired as late:
            self.status, output = None, late.stdout or b""
        self.seconds = time.monotonic() - began
        self.output = output.decode(errors="replace")

    def passed(self):
        return self.status == 0 and re.search(r"^\[  PASSED  \] [1-9]", self.output, re.MULTILINE) is not None

    def failed_test(self):
        """Returns the test that failed, or was running when the program died; nothing when none did."""
        failed = re.search(r"^\[  FAILED  \] (\w+[\w./]*)", self.output, re.MULTILINE)
        if self.status == 1 and failed:
            return failed.group(1)
        started = re.findall(r"^\[ RUN      \] (\w+[\w./]*)", self.output, re.MULTILINE)
        if self.status is not None and self.status < 0 and started:
            return started[-1] + " (died)"
        return None


def tests_of(build, battery):
    """Returns the names of the tests of a battery."""
    program = build / "tests/planted" / battery.program
    listed = subprocess.run([program, "--gtest_list_tests", f"--gtest_filter={battery.tests}"], check=True,
                            stdout=subprocess.PIPE, text=True).stdout
    names, suite = [], ""
    for line in listed.splitlines():
        if line.endswith(".") and not line.startswith(" "):
            suite = line
        elif line.startswith("  "):
            names.append(suite + line.split("#")[0].strip())
    if not names:
        sys.exit(f"score.py: {battery.program} has no test {battery.tests}")
    return names


def run_clean(build, pool, scratch):
    """Runs each test of each battery without a flaw. Returns whether all passed."""
    runs = {}
    for battery in BATTERIES.values():
        for test in tests_of(build, battery):
            runs[pool.submit(Run, build, battery.program, test, scratch)] = test
    all_well = True
    for done in concurrent.futures.as_completed(runs):
        run = done.result()
        for line in run.output.splitlines():
            if line.startswith('{"battery"'):
                print(line, flush=True)
        if not run.passed():
            all_well = False
            print(f"{run.output}\nFAILED without a flaw: {runs[done]}", flush=True)
    return all_well


def run_flaw(build, battery, scratch, flaw):
    """Runs a battery with a flaw until it is caught, a few times at most: ids of packs are random, and their order decides
    what a flaw meets."""
    for _ in range(FLAW_TRIES):
        run = Run(build, battery.program, flaw.tests or battery.tests, scratch, flaw.name)
        if run.failed_test() or run.status is None:
            break
    return run


def run_flaws(build, pool, scratch, flaws):
    """Runs the batteries of flaws. Returns for each caught flaw the test that caught it."""
    runs = {}
    for flaw in flaws:
        battery = BATTERIES[flaw.battery]
        runs[pool.submit(run_flaw, build, battery, scratch, flaw)] = flaw
    caught = {}
    for done in concurrent.futures.as_completed(runs):
        run, flaw = done.result(), runs[done]
        if test := run.failed_test():
            caught[flaw.name] = test
            print(f"caught in {run.seconds:5.1f} s: {flaw.name}, by {flaw.battery}: {test}", flush=True)
        else:
            why = "the battery hangs" if run.status is None else f"exit status {run.status}"
            print(f"NOT CAUGHT in {run.seconds:5.1f} s: {flaw.name} ({flaw.what}), by {flaw.battery}: {why}",
                  flush=True)
    return caught


def print_table(flaws, caught):
    print("| flaw | what it is | caught by |\n|---|---|---|")
    for flaw in flaws:
        print(f"| `{flaw.name}` | {flaw.what} | {flaw.battery}: `{caught.get(flaw.name, 'nothing')}` |")


def has_memory():
    return MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > MEMORY_BYTES


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=Path)
    parser.add_argument("--flaw", nargs="+", default=[])
    parser.add_argument("--clean", action="store_true")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    flaws = [flaw for flaw in FLAWS if not arguments.flaw or flaw.name in arguments.flaw]
    if arguments.flaw and len(flaws) != len(set(arguments.flaw)):
        sys.exit("score.py: there is no such flaw")
    began = time.monotonic()
    all_well = True
    # Syncs of a real disk would take most of the time, and the batteries cut the power on a simulated one.
    with tempfile.TemporaryDirectory(dir=MEMORY if has_memory() else None, prefix="ashlar-planted-") as scratch, \
            concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        if not arguments.flaw:
            all_well = run_clean(arguments.build, pool, scratch)
        if arguments.clean:
            sys.exit(0 if all_well else 1)
        caught = run_flaws(arguments.build, pool, scratch, flaws)
    if not arguments.flaw:
        for name in BATTERIES:
            if not any(flaw.battery == name and flaw.name in caught for flaw in flaws):
                all_well = False
                print(f"NO FLAW is caught by the battery {name}")
    if arguments.table:
        print_table(flaws, caught)
    print(json.dumps({"battery": "planted flaws", "planted": len(flaws), "caught": len(caught),
                      "seconds": round(time.monotonic() - began, 1)}, separators=(",", ":")))
    sys.exit(0 if all_well and len(caught) == len(flaws) else 1)


if __name__ == "__main__":
    main()
