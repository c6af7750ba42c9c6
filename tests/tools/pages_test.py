#!/usr/bin/env python3
"""Shows that the man page and the shell completion name every verb and option, are well formed, and are
installed."""

import re
import shutil
import subprocess

import program


class Pages(program.ProgramTest):
    def options_of(self, *verb):
        """Returns every --option that the help shows."""
        text = self.ok(*verb, "--help", store=False).split("Example:")[0]
        return re.findall(r"^  (?:-\w,)?(--[\w-]+)", text, re.M)

    def test_the_man_page_names_everything(self):
        page = self.ok("man", store=False).replace("\\-", "-")
        for verb in self.verbs():
            section = page.split(f".SS {verb}\n")[1].split(".SS ")[0]
            self.assertIn(f"ashlar {verb}", section)
            for option in self.options_of(*verb.split()):
                if option != "--help":
                    self.assertIn(option, section)
        for option in ("--store", "--json", "--progress"):
            self.assertIn(option, page)

    def test_the_man_page_is_well_formed(self):
        if not shutil.which("groff"):
            self.skipTest("groff is missing")
        page = self.ok("man", store=False)
        done = subprocess.run(["groff", "-man", "-ww", "-Tutf8"], input=page, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("EXIT STATUS", re.sub(r"\x1b\[\d*m|.\x08", "", done.stdout))

    def complete(self, *words):
        script = self.ok("completion", "bash", store=False)
        quoted = " ".join(f"'{word}'" for word in ("ashlar", *words))
        ask = (f'compopt() {{ :; }}\n{script}\nCOMP_WORDS=({quoted}); COMP_CWORD={len(words)}; _ashlar\n'
               'printf "%s\\n" "${COMPREPLY[@]}"\n')
        path = f"{program.PROGRAM.parent}:/usr/bin:/bin"
        environment = {"PATH": path, "ASHLAR_STORE": str(self.store)}
        done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, env=environment, cwd=self.scratch)
        self.assertEqual(done.stderr, "")
        return done.stdout.split()

    def test_completion(self):
        self.init()
        snapshot = self.capture(self.file("disk.raw", program.noise(8192)))
        self.assertEqual(self.complete("cap"), ["capture"])
        self.assertTrue({verb.split()[0] for verb in self.verbs()} <= set(self.complete("")))
        for verb in self.verbs():
            *group, last = words = verb.split()
            self.assertIn(last, self.complete(*group, last))
            self.assertTrue(set(self.options_of(*words)) <= set(self.complete(*words, "--")), verb)
        self.assertEqual(self.complete("capture", "x", "--par"), ["--parent", "--paranoid"])
        self.assertEqual(self.complete("--progress", ""), ["auto", "json", "none"])
        self.assertEqual(self.complete("completion", ""), ["bash"])
        self.assertEqual(self.complete("describe", "snap-"), [snapshot])
        self.assertEqual(self.complete("diff", snapshot, "snap-"), [snapshot])
        self.assertEqual(self.complete("--store", str(self.store), "describe", ""), [snapshot])
        self.assertEqual(self.complete("restore", snapshot, "di"), ["disk.raw"])
        self.assertEqual(self.complete("capture", "di"), ["disk.raw"])
        self.assertEqual(self.complete("--store", "st"), ["store"])

    def test_install(self):
        done = subprocess.run(["cmake", "--install", program.BUILD, "--prefix", self.scratch / "usr"],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        installed = {str(p.relative_to(self.scratch / "usr")) for p in (self.scratch / "usr").rglob("*") if p.is_file()}
        self.assertLessEqual({"bin/ashlar", "share/man/man1/ashlar.1", "share/bash-completion/completions/ashlar"},
                             installed)
        page = (self.scratch / "usr/share/man/man1/ashlar.1").read_text()
        self.assertEqual(page, self.ok("man", store=False))


if __name__ == "__main__":
    program.main()
