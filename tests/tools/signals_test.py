#!/usr/bin/env python3
"""Shows that Ctrl-C, SIGTERM and kill -9 leave nothing half done visible, and that the next run uses what was
stored."""

import os
import signal
import subprocess
import time

import program


class Signals(program.ProgramTest):
    def setUp(self):
        super().setUp()
        self.init()
        self.data = program.noise(8 << 20)

    def start(self, *words, **how):
        environment = {**os.environ, "ASHLAR_STORE": str(self.store)}
        return subprocess.Popen([program.PROGRAM, *map(str, words)], env=environment, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, **how)

    def open_session(self):
        deadline = time.monotonic() + 60
        while not list((self.store / "sessions").glob("*")):
            self.assertLess(time.monotonic(), deadline, "the capture never began")
            time.sleep(0.02)

    def stopped(self, sent):
        running = self.start("capture", "-", stdin=subprocess.PIPE)
        running.stdin.write(self.data)
        running.stdin.flush()
        self.open_session()
        running.send_signal(sent)
        # The stream goes on; the capture need not read it to its end.
        try:
            for _ in range(64):
                running.stdin.write(self.data)
        except BrokenPipeError:
            pass
        out, err = running.communicate(timeout=120)
        self.assertEqual((running.returncode, out), (1, b""), err)
        self.assertRegex(err.decode(), r"\Aashlar: [^\n]*stopped[^\n]*\n\Z")
        self.assertEqual(self.ok_json("snapshots")["snapshots"], [])
        self.assertEqual(self.ok_json("stats")["sessions"], 0)

    def test_ctrl_c(self):
        self.stopped(signal.SIGINT)

    def test_sigterm(self):
        self.stopped(signal.SIGTERM)

    def test_a_stream_that_never_comes(self):
        running = self.start("capture", "-", stdin=subprocess.PIPE)
        self.open_session()
        time.sleep(0.2)
        running.send_signal(signal.SIGINT)
        self.assertEqual(running.wait(timeout=10), 1)
        running.stdin.close()
        with running.stdout, running.stderr:
            self.assertRegex(running.stderr.read().decode(), r"\Aashlar: [^\n]*stopped[^\n]*\n\Z")
        self.assertEqual(list((self.store / "sessions").glob("*")), [])

    def test_a_second_ctrl_c_ends_at_once(self):
        running = self.start("capture", "-", stdin=subprocess.PIPE)
        self.open_session()  # after this it waits for a stream that never comes
        running.send_signal(signal.SIGINT)
        time.sleep(0.2)
        if running.poll() is None:
            running.send_signal(signal.SIGINT)
        self.assertEqual(running.wait(timeout=10), 1)
        running.communicate()
        self.assertEqual(self.ok_json("snapshots")["snapshots"], [])

    def test_kill_9(self):
        source = self.file("disk.raw", program.noise(48 << 20))
        running = self.start("capture", source)
        self.open_session()
        running.kill()
        running.communicate()
        # A late kill may come after the snapshot was published.
        before = [s["id"] for s in self.ok_json("snapshots")["snapshots"]]
        self.assertLessEqual(len(before), 1)
        snapshot = self.capture(source, "--parent", "none")
        self.assertEqual(self.ok_json("stats")["sessions"], 0)
        self.ok("verify", "--all")
        self.ok("verify", snapshot, "--against", source)


if __name__ == "__main__":
    program.main()
