#!/usr/bin/env python3
"""Shows kill -9 of a capture at any moment: it leaves nothing visible and nothing that disturbs, and the next
capture uses what was stored. A restore behaves alike, and Ctrl-C ends both in order."""

import pathlib
import signal
import subprocess
import time

import host
from program import noise

MIB = 1 << 20
ROUNDS = 60 if host.LONG else 15
SIZE = (512 if host.LONG else 128) * MIB


class Kill(host.HostTest):
    def setUp(self):
        super().setUp()
        self.init()
        self.disk = self.image("disk.raw", SIZE)
        with open(self.disk, "r+b") as file:
            for at in range(0, SIZE, 8 * MIB):
                file.seek(at)
                file.write(noise(6 * MIB, at + 1))
        self.random = host.seeded()

    def incoming(self):
        folder = self.store / "incoming"
        return [p for p in folder.rglob("*") if p.is_file() and p.suffix != ".lock"] if folder.exists() else []

    def timed(self, *words):
        began = time.monotonic()
        report = self.ok_json(*words)
        return report, time.monotonic() - began

    def edit(self, number):
        """Writes 24 MiB of new data to the disk, as a new day would."""
        with open(self.disk, "r+b") as file:
            for part in range(6):
                file.seek(self.random.randrange(SIZE // MIB - 4) * MIB)
                file.write(noise(4 * MIB, 1000 + number * 6 + part))

    def kill_after(self, running, seconds, sent=signal.SIGKILL):
        """Sends the signal after `seconds`, if the process still runs. Returns whether it failed or was
        ended, and its output."""
        try:
            running.wait(timeout=seconds)
        except subprocess.TimeoutExpired:  # still running, as wanted
            running.send_signal(sent)
        out, err = running.communicate(timeout=60)
        return running.returncode != 0, out, err

    def nothing_runs(self, expected):
        """A killed capture leaves nothing that is seen; its session is known to be gone."""
        self.assertEqual(self.snapshots(), expected)
        self.assertEqual({one["writer"] for one in self.ok_json("sessions", "list")["sessions"]} - {"gone", "ended"}, set())

    def nothing_is_left(self, expected):
        self.assertEqual(self.snapshots(), expected)
        self.assertEqual(self.ok_json("stats")["sessions"], 0)
        self.assertEqual({one["writer"] for one in self.ok_json("sessions", "list")["sessions"]} - {"ended"}, set())
        self.assertEqual(sorted(p.name for p in (self.store / "snapshots").glob("*")), sorted(expected))

    def test_a_capture_killed_at_any_moment(self):
        expected = [self.capture(self.disk)]
        self.edit(ROUNDS)
        second, whole = self.timed("capture", self.disk)
        expected.append(second["snapshot"]["id"])
        killed = 0
        for number in range(ROUNDS):
            self.edit(number)
            moment = self.random.uniform(0, whole)
            running = self.start("capture", self.disk, "--threads", "1", "--parent", self.random.choice(["auto", "none"]))
            ended, out, err = self.kill_after(running, moment)
            if ended:
                self.assertEqual(running.returncode, -signal.SIGKILL, err)
                killed += 1
                now = self.snapshots()
                self.assertEqual(now[: len(expected)], expected)
                if out:  # an id that was printed must be there
                    self.assertEqual(out.decode().split(), now[len(expected) :])
                if now != expected:  # it was killed after it had published, before it ended
                    self.assertEqual(len(now), len(expected) + 1)
                    expected = now
                    self.ok("verify", expected[-1], "--against", self.disk)
            else:
                expected.append(out.decode().strip())
            with self.subTest(round=number, moment=moment):
                self.nothing_runs(expected)
                expected.append(self.capture(self.disk))
                self.assertEqual(self.incoming(), [])
                self.nothing_is_left(expected)
                self.ok("verify", expected[-1], "--against", self.disk)
            if number % 5 == 4:
                self.ok("verify", "--all")
        self.assertGreater(killed, ROUNDS // 3, "most rounds should have met a running capture")
        self.ok("verify", "--all")
        self.same(self.disk, self.restored(expected[-1]))

    def test_what_was_stored_is_taken_up(self):
        other = self.scratch / "other"
        self.ok("init", other, store=False)
        fresh = self.ok_json("capture", self.disk, store=other)
        running = self.start("capture", self.disk, "--threads", "1")
        packs = self.store / "packs"
        # Packs are published when they hold 64 MiB; blocks that are not in a pack yet are stored again.
        self.wait_until(lambda: self.size_of(packs) > 0 or running.poll() is not None, "it stores nothing")
        self.assertIsNone(running.poll(), "it ended before it could be killed")
        running.kill()
        running.communicate()
        self.nothing_runs([])
        kept = self.size_of(packs)
        again = self.ok_json("capture", self.disk)
        self.assertLess(again["stored_bytes"], fresh["stored_bytes"] // 2, f"{kept} bytes were there")
        self.assertEqual(again["snapshot"]["content"], fresh["snapshot"]["content"])
        self.assertEqual(self.incoming(), [])
        self.same(self.disk, self.restored(again["snapshot"]["id"]))
        self.ok("verify", "--all")

    def size_of(self, folder):
        total = 0
        for path in folder.rglob("*"):
            try:
                total += path.stat().st_size if path.is_file() else 0
            except FileNotFoundError:
                pass
        return total

    def waits_for(self, running, sent):
        """Returns whether the process handles the signal already; before that, the signal's default action
        ends it. SIGKILL is always handled."""
        lines = pathlib.Path(f"/proc/{running.pid}/status").read_text().splitlines()
        status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        return sent == signal.SIGKILL or int(status["SigBlk"], 16) >> (sent - 1) & 1

    def test_ctrl_c(self):
        for number in range(3):
            sessions = set((self.store / "sessions").glob("*"))
            running = self.start("capture", self.disk, "--threads", "1")
            self.wait_until(lambda: set((self.store / "sessions").glob("*")) - sessions or running.poll() is not None, "no start")
            ended, out, err = self.kill_after(running, self.random.uniform(0, 0.1), signal.SIGINT)
            self.assertTrue(ended, "it ended before it could be stopped")
            self.assertEqual((running.returncode, out), (1, b""), err)
            self.assertRegex(err.decode(), r"\Aashlar: [^\n]*stopped[^\n]*\n\Z")
            self.nothing_is_left([])
            self.assertEqual(self.incoming(), [])
            self.ok("verify", "--all")
        self.same(self.disk, self.restored(self.capture(self.disk)))

    def test_a_restore_killed_and_run_again(self):
        snapshot = self.capture(self.disk)
        target = self.scratch / "target.raw"
        partial = self.scratch / "target.raw.ashlar-partial"
        for sent, status in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 1)):
            running = self.start("restore", snapshot, target, "--threads", "1")
            self.wait_until(lambda: running.poll() is not None or
                            (partial.exists() and partial.stat().st_blocks * 512 > 8 * MIB), "it never wrote")
            self.wait_until(lambda: running.poll() is not None or self.waits_for(running, sent), "it takes no signals")
            running.send_signal(sent)
            running.communicate(timeout=60)
            self.assertEqual(running.returncode, status, "it ended before it could be stopped")
            self.assertFalse(target.exists(), "a target is whole or not there")
            self.assertTrue(partial.exists())
        report = self.ok_json("restore", snapshot, target)
        self.assertTrue(report["resumed"])
        self.assertGreater(report["same_bytes"], 4 * MIB)
        self.assertLess(report["written_bytes"], report["data_bytes"])
        self.assertFalse(partial.exists())
        self.same(self.disk, target)


if __name__ == "__main__":
    host.main()
