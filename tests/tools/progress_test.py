#!/usr/bin/env python3
"""Shows the progress: a line redrawn on a terminal, JSON lines on request, nothing when stderr is piped."""

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import time

import program


class Progress(program.ProgramTest):
    def setUp(self):
        super().setUp()
        self.init()
        # The capture takes long enough for several JSON lines.
        self.source = self.file("disk.raw", b"".join(program.noise(1 << 20, seed) for seed in range(96)))

    def test_nothing_when_piped(self):
        done = self.run_ashlar("capture", self.source)
        self.assertEqual(done.returncode, 0)
        self.assertNotIn(b"ETA", done.stderr)
        self.assertNotIn(b"\r", done.stderr)

    def test_json_lines(self):
        shown = json.loads(re.search(r"```json progress\n(.*?)```", (program.ROOT / "docs/cli.md").read_text(), re.S)[1])
        done = self.run_ashlar("capture", self.source, "--progress", "json", "--json")
        lines = [json.loads(line) for line in done.stderr.decode().splitlines() if line.startswith("{")]
        self.assertTrue(lines)
        for line in lines:
            self.assertEqual(set(line), set(shown))
        last = lines[-1]
        report = json.loads(done.stdout)
        self.assertEqual(last["total_bytes"], self.source.stat().st_size)
        self.assertEqual(last["done_bytes"], last["total_bytes"])
        self.assertEqual(last["read_bytes"], report["read_bytes"])
        self.assertEqual(last["new_bytes"], report["new_bytes"])
        done = self.run_ashlar("restore", report["snapshot"]["id"], self.scratch / "out.raw", "--progress", "json")
        last = [json.loads(line) for line in done.stderr.decode().splitlines() if line.startswith("{")][-1]
        self.assertEqual(last["written_bytes"], self.source.stat().st_size)

    def test_a_line_on_a_terminal(self):
        if not shutil.which("nbdkit"):
            self.skipTest("needs nbdkit")
        # Every read of this source takes a second, also on a fast host, so the line is drawn more than once.
        socket = self.scratch / "slow.sock"
        server = subprocess.Popen(["nbdkit", "-f", "-U", socket, "--filter=delay", "pattern", "8M", "rdelay=1"])
        self.addCleanup(server.wait)
        self.addCleanup(server.send_signal, signal.SIGTERM)
        while not socket.exists():
            self.assertIsNone(server.poll())
            time.sleep(0.01)
        ours, theirs = pty.openpty()
        environment = {**os.environ, "ASHLAR_STORE": str(self.store)}
        running = subprocess.Popen([program.PROGRAM, "capture", f"nbd+unix:///?socket={socket}"], env=environment,
                                   stderr=theirs, stdout=subprocess.DEVNULL)
        os.close(theirs)
        text = b""
        try:
            while part := os.read(ours, 4096):
                text += part
        except OSError:  # the other end closed
            pass
        os.close(ours)
        self.assertEqual(running.wait(), 0, text)
        frames = text.decode().split("\r")
        drawn = [frame for frame in frames if "%" in frame]
        self.assertTrue(drawn, text)
        self.assertRegex(drawn[-1], r"\d+\.\d %  .*B/s")
        self.assertIn("\x1b[K", drawn[0])


if __name__ == "__main__":
    program.main()
