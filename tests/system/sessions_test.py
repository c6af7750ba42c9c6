#!/usr/bin/env python3
"""Shows that a writer which sleeps at any moment, and whose session is taken away meanwhile, publishes nothing
when it wakes; that nothing else is lost; and that a writer which sleeps inside the store's lock is named."""

import fcntl
import os
import signal
import subprocess
import time

import host
import program
from program import noise

MIB = 1 << 20
ROUNDS = 200 if host.LONG else 4
SIZE = 16 * MIB


class Sessions(host.HostTest):
    def setUp(self):
        super().setUp()
        self.init()
        self.disk = self.image("disk.raw", SIZE)
        with open(self.disk, "r+b") as file:
            for at in range(0, SIZE, 4 * MIB):
                file.seek(at)
                file.write(noise(2 * MIB, at + 1))
        self.random = host.seeded()

    def sessions(self):
        """Returns the sessions that have not ended."""
        return [one for one in self.ok_json("sessions", "list")["sessions"] if one["writer"] != "ended"]

    def started(self, *words):
        """Starts a capture of a stream that does not end, and returns it with its session."""
        running = subprocess.Popen([program.PROGRAM, "capture", "-", *words], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env={**os.environ, "ASHLAR_STORE": str(self.store)})
        self.addCleanup(self.stop, running, signal.SIGKILL)
        running.stdin.write(noise(8 * MIB, 7))
        running.stdin.flush()
        self.wait_until(lambda: len(self.sessions()) == 1, "it opens no session")
        return running, self.sessions()[0]

    def test_a_session_is_listed_and_taken_away(self):
        running, session = self.started()
        self.assertEqual((session["pid"], session["writer"], session["revoked"]), (running.pid, "runs", False))
        self.assertEqual(len(session["snapshots"]), 1)
        self.assertEqual(self.snapshots(), [], "nobody sees what is being made")
        self.fails(1, "sessions", "revoke", session["id"], says=["may still be at work", "--now"], code="busy")
        self.ok("sessions", "revoke", session["id"], "--now")
        self.assertEqual(self.sessions(), [])
        out, err = running.communicate()
        self.assertEqual((running.returncode, out), (1, b""), err)
        self.assertRegex(err.decode(), r"\Aashlar: [^\n]*taken away[^\n]*run again\n\Z")
        self.assertEqual(self.snapshots(), [])
        self.fails(1, "sessions", "revoke", "0" * 32, says="no session", code="not_found")
        self.ok("verify", "--all")

    def test_a_killed_writer_is_known_to_be_gone(self):
        running, session = self.started()
        running.kill()
        running.communicate()
        self.assertEqual([one["writer"] for one in self.sessions()], ["gone"])
        self.ok("sessions", "revoke", session["id"])
        self.assertEqual(self.sessions(), [])
        self.assertEqual(list((self.store / "snapshots").glob("*")), [])

    def test_a_writer_that_slept_at_any_system_call(self):
        """strace stops the capture at a call of its choice; its session is taken away; the store lives on."""
        self.need("strace")
        base = self.capture(self.disk)
        kept = [base]
        trace = self.scratch / "trace"
        count = ["strace", "-f", "-qq", "-o", trace, "-e", "trace=%file,%desc", program.PROGRAM, "--store", self.store]
        with open(self.disk, "r+b") as file:
            file.write(noise(2 * MIB, 99))
        kept.append(self.do(*count, "capture", self.disk).strip())
        # strace counts the calls of each thread and of each name by themselves; the first line is of the main
        # thread.
        lines = trace.read_text().splitlines()
        calls = [line for line in lines if line.split()[0] == lines[0].split()[0] and "(" in line]
        names = [call.split()[1].split("(")[0] for call in calls]
        begun = next(i for i, call in enumerate(calls) if "/sessions/" in call)
        slept = 0
        for number in range(ROUNDS):
            with open(self.disk, "r+b") as file:
                file.seek(self.random.randrange(SIZE // MIB - 2) * MIB)
                file.write(noise(2 * MIB, 1000 + number))
            at = self.random.randrange(begun, len(calls))
            call, count = names[at], names[: at + 1].count(names[at])
            with self.subTest(round=number, call=call, count=count):
                running = subprocess.Popen(
                    ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=%file,%desc", "-e",
                     f"inject={call}:signal=SIGSTOP:when={count}", program.PROGRAM, "--store", str(self.store),
                     "capture", str(self.disk), "--threads", "1"],
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                self.addCleanup(self.stop, running, signal.SIGKILL)
                child = self.stopped_child(running)
                open_sessions = self.sessions() if child else []
                if open_sessions:
                    slept += 1
                    self.taken_away_meanwhile(open_sessions[0], kept)
                out, err = self.woken(running, child)
                now = self.snapshots()
                if running.returncode == 0:
                    kept.append(out.decode().strip())
                else:
                    self.assertIn(b"run again", err)
                self.assertEqual(sorted(now), sorted(kept))
                self.assertEqual(self.sessions(), [])
        self.assertGreater(slept, 0, "no round met a session")
        self.ok("verify", "--all")
        again = self.ok_json("capture", self.disk)
        self.same(self.disk, self.restored(again["snapshot"]["id"]))

    def woken(self, running, child):
        """Lets the program run to its end: each of its threads counts its calls, and may be stopped in turn."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                if child:
                    os.kill(child, signal.SIGCONT)
                return running.communicate(timeout=0.2)
            except (subprocess.TimeoutExpired, ProcessLookupError):
                pass
        self.fail("it does not end")

    def stopped_child(self, tracer):
        """Returns the pid of the traced program once it is stopped, or None when it ended before."""
        deadline = time.monotonic() + 30
        while tracer.poll() is None and time.monotonic() < deadline:
            try:
                with open(f"/proc/{tracer.pid}/task/{tracer.pid}/children") as file:
                    children = [int(pid) for pid in file.read().split()]
                for child in children:
                    with open(f"/proc/{child}/stat") as file:
                        state = file.read().rsplit(")", 1)[1].split()[0]
                    # Under a tracer a stopped process is in state t; all its threads are, once it has stopped.
                    if state in "tT" and self.is_at_rest(child):
                        return child
            except FileNotFoundError:
                pass
            time.sleep(0.01)
        return None

    def is_at_rest(self, pid):
        """Returns whether the process stays stopped: a tracer stops it for a moment at every call."""
        for _ in range(8):
            time.sleep(0.01)
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/stat") as file:
                    if file.read().rsplit(")", 1)[1].split()[0] not in "tT":
                        return False
        return True

    def taken_away_meanwhile(self, session, kept):
        """Takes the session away while its writer sleeps, and does everything else that a store is used for."""
        revoked = self.run_ashlar("sessions", "revoke", session["id"], "--now")
        if revoked.returncode != 0:
            self.assertIn("is locked by process", revoked.stderr.decode(), "it may sleep inside the lock, only")
            return
        extra = self.capture(self.disk, "--parent", "none")
        self.ok("delete", extra)
        self.ok("bin", "purge", "--all")
        # It may have slept after its commit.
        self.assertIn(set(self.snapshots()) - set(kept), (set(), set(session["snapshots"])))

    def test_a_writer_that_sleeps_inside_the_lock_is_named(self):
        snapshot = self.capture(self.disk)
        with open(self.store / "incoming" / "changes.lock", "r+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            began = time.monotonic()
            refused = self.run_ashlar("delete", snapshot)
            waited = time.monotonic() - began
        self.assertEqual(refused.returncode, 1)
        self.assertIn(f"is locked by process {os.getpid()}", refused.stderr.decode())
        self.assertTrue(9 < waited < 20, waited)
        self.ok("delete", snapshot)


if __name__ == "__main__":
    host.main()
