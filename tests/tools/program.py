"""Runs the ashlar program for tests, in a scratch folder that is removed again."""

import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import unittest

PROGRAM, ROOT, BUILD = (pathlib.Path(word).resolve() for word in sys.argv[1:4])


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)


def host_directory(store):
    """Returns the folder of this host in a store: STORE/host/<16 hex digits>, or $ASHLAR_HOST_DIR. The folder
    of a store that was not used yet does not exist."""
    chosen = os.environ.get("ASHLAR_HOST_DIR", "")
    if chosen:
        return pathlib.Path(chosen)
    folder = pathlib.Path(store) / "host"
    found = [path for path in folder.iterdir()] if folder.is_dir() else []
    return found[0] if found else folder / "none"


class ProgramTest(unittest.TestCase):
    def setUp(self):
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="ashlar-tools-"))
        self.mounts = []
        self.store = self.scratch / "store"

    def tearDown(self):
        for mount in reversed(self.mounts):
            subprocess.run(["umount", mount], check=False)
        shutil.rmtree(self.scratch)

    @property
    def host_folder(self):
        return host_directory(self.store)

    def run_ashlar(self, *words, store=True, **how):
        environment = {k: v for k, v in os.environ.items() if k != "ASHLAR_STORE"}
        if store:
            environment["ASHLAR_STORE"] = str(self.store if store is True else store)
        how.setdefault("stdout", subprocess.PIPE)
        how.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run([PROGRAM, *map(str, words)], env=environment, stderr=subprocess.PIPE, timeout=240, **how)

    def ok(self, *words, **how):
        done = self.run_ashlar(*words, **how)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return done.stdout.decode() if done.stdout is not None else ""

    def ok_json(self, *words, **how):
        return json.loads(self.ok("--json", *words, **how))

    def fails(self, status, *words, says=(), code=None, **how):
        """Checks that the program ends with `status` and one line that holds each of `says`, and with --json
        has a message and `code`."""
        done = self.run_ashlar(*words, **how)
        line = done.stderr.decode()
        self.assertEqual(done.returncode, status, line)
        self.assertRegex(line, r"\Aashlar: [^\n]+\n\Z", f"one line for {words}")
        for part in [says] if isinstance(says, str) else says:
            self.assertIn(part, line)
        again = self.run_ashlar(*words, "--json", **how)
        if again.returncode == status and again.stdout:
            error = json.loads(again.stdout)["error"]
            self.assertTrue(error["message"])
            if code:
                self.assertEqual(error["code"], code)
        return line

    def verbs(self, *group):
        """Returns every verb that the help shows; a verb of a group as "volume create"."""
        text = self.ok(*group, "--help", store=False)
        if "Subcommands:\n" not in text:
            return [" ".join(group)]
        text = text.split("Subcommands:\n")[1].split("\n\n")[0]
        return [verb for line in text.splitlines() for verb in self.verbs(*group, line.split()[0])]

    def init(self):
        self.ok("init", self.store, store=False)

    def file(self, name, data):
        path = self.scratch / name
        path.write_bytes(data)
        return path

    def capture(self, *words, **how):
        return self.ok("capture", *words, **how).strip()

    def need_root(self):
        if os.geteuid() != 0:
            self.skipTest("mounting needs root")

    def mount(self, *words, at=None):
        """Mounts WORDS... on a folder, by default a new one, and returns it; skips the test where this host
        cannot mount."""
        self.need_root()
        folder = at or self.scratch / f"mount-{len(self.mounts)}"
        folder.mkdir(exist_ok=True)
        done = subprocess.run(["mount", *map(str, words), folder], capture_output=True, text=True)
        if done.returncode != 0:
            self.skipTest(f"mount {words}: {done.stderr.strip()}")
        self.mounts.append(folder)
        return folder


def main():
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]], verbosity=2)
