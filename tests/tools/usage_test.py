#!/usr/bin/env python3
"""Shows that a wrong command line gives exit status 2 and one line that says what is wrong, and changes
nothing."""

import re

import program

ID = "snap-0" + "0" * 16
VOLUME = "vol-0" + "1" * 16


class Usage(program.ProgramTest):
    def refused(self, *words, says=(), **how):
        line = self.fails(2, *words, says=says, code="usage", **how)
        self.assertIn("--help", line, "the line says where to read on")

    def test_no_verb_and_unknown_verb(self):
        self.refused(says="verb")
        self.refused("captrue", "x", says="captrue")
        self.refused("image", "lst", says=("there is no verb 'image lst': ", "create", "list"))
        self.refused("image", says=("'image' needs a verb: ", "create", "list"))
        self.refused("key", "--nonsense", says="--nonsense")

    def test_missing_and_superfluous_words(self):
        self.refused("capture", says="SOURCE")
        self.refused("restore", ID, says="TARGET")
        self.refused("diff", ID, says="TO")
        self.refused("export", ID, says="FILE")
        self.refused("import-disk", says="FILE")
        self.refused("image", "create", "--name", "web", says="give --map")
        self.refused("analyze", says="FILE")
        self.refused("snapshots", "more", says="more")
        self.refused("stats", "--nonsense", says="--nonsense")
        self.refused("completion", "fish", says="fish")
        self.refused("capture", "", says=("SOURCE", "empty"))
        self.refused("restore", ID, "", says=("TARGET", "empty"))
        self.refused("analyze", "a", "", says="empty")
        self.refused("init", "", says="empty", store=False)

    def test_malformed_ids(self):
        for word in ("snap", "snap-1234", "snap-0" + "g" * 16, "snap-0" + "0" * 17, "snap-1" + "0" * 16,
                     ID.upper(), "ami-0" + "0" * 16, ""):
            self.refused("describe", word, says="not a snapshot id")
            self.refused("delete", word)
            self.refused("restore", word, "target")
            self.refused("verify", word)
            self.refused("diff", ID, word)
            self.refused("capture", "source", "--parent", word, says="--parent")

    def test_ids_of_another_kind(self):
        for word, kind, verbs in (("vol-0", "a volume", "volume"), ("ami-0", "an image", "image"),
                                  ("i-0", "an instance", "instances"), ("lt-0", "a launch template", "template"),
                                  ("policy-0", "a lifecycle policy", "lifecycle")):
            told = f"'{word}{'7' * 16}' is {kind} id, not a snapshot id (see 'ashlar {verbs}')"
            self.refused("describe", word + "7" * 16, says=told)
            self.refused("delete", word + "7" * 16, says=told)
        self.refused("volume", "describe", ID, says="is a snapshot id, not a volume id (see 'ashlar snapshots')")
        self.refused("image", "create", "--name", "web", "--map", "/dev/sda=snap-0" + "0" * 16,
                     says="no snapshot has the id snap-0")

    def test_no_store(self):
        for verb in (["snapshots"], ["stats"], ["reindex"], ["capture", "x"], ["describe", ID]):
            self.refused(*verb, says=("--store", "ASHLAR_STORE"), store=False)
        self.refused("init", store=False)
        self.refused("--store=", "snapshots", says="--store needs a value", store=False)
        self.refused("--as=", "snapshots", says="--as needs a value")

    def test_sizes_and_numbers(self):
        for size in ("1Q", "", "-1", "4K4", "5000", "0", "2M", "99999999999999999999"):
            self.refused("init", self.store, f"--frame={size}", says="--frame")
        for level in ("0", "20", "x", "-3"):
            self.refused("init", self.store, f"--level={level}", says="--level")
        self.refused("capture", "x", "--threads", "0", says="--threads")
        self.refused("capture", "x", "--threads", "many")
        self.refused("snapshots", "--progress", "loud", says="--progress")
        for size, told in (("0", "must be at least 1 byte"), ("99999999T", "is too large"), ("9Z", "is not a size")):
            self.refused("volume", "create", "--snapshot", ID, "--size", size, says=("--size", told))
            self.refused("volume", "resize", VOLUME, "--size", size, says=("--size", told))
        self.assertFalse(self.store.exists())

    def test_disk_formats(self):
        for name in ("disk.img", "disk", "raw", "disk.vdi"):
            self.refused("export", ID, name, says=(name, "--format"))
            self.refused("import-disk", name, says=(name, "--format"))
        self.refused("export", ID, "disk.vhdx", says="vhdx is read, not written")
        self.refused("export", ID, "disk.qcow2", "--format", "QCOW2", says=("QCOW2", "qcow2"))
        self.refused("image", "import-ova", "web.ova", "--name", "no")
        self.refused("image", "import-ova", "web.ova", "--architecture", "vax", says="vax")

    def test_options_that_exclude_each_other(self):
        self.refused("capture", "x", "--live", "--freeze", "/mnt", says=("--live", "--freeze"))
        self.refused("capture", "x", "--changed", "bitmap:", says="bitmap")
        self.refused("capture", "x", "--expect-size", "1G", says="--expect-size")
        self.refused("capture", "-", "--expect-size", "much", says="--expect-size")
        self.refused("verify", says="--all")
        self.refused("verify", ID, "--all", says="--all")
        self.refused("verify", "--all", "--against", "x", says="--against")
        self.refused("restore", ID, "-", "--verify", says="stream")
        self.refused("restore", ID, "-", "--json", says="--json")

    def test_tags(self):
        self.refused("capture", "x", "--tag", "novalue", says="KEY=VALUE")
        self.refused("capture", "x", "--tag", "=v")
        self.refused("capture", "x", "--tag", "a=1", "--tag", "a=2", says="twice")

    def test_help_is_no_error_and_has_an_example(self):
        verbs = self.verbs()
        self.assertGreaterEqual(len(verbs), 23)
        for verb in verbs:
            text = self.ok(*verb.split(), "--help", store=False)
            self.assertIn("Example:\n  ", text)
            self.assertIn(f"ashlar {verb}", text)

    def test_the_documented_table_is_what_help_says(self):
        """docs/cli.md has a table of every verb, its arguments and its options."""
        page = (program.ROOT / "docs" / "cli.md").read_text()
        rows = re.findall(r"^\| `([a-z][a-z -]*)` \| (?:`([^`]*)`)? ?\| ?(.*) ?\|$", page, re.MULTILINE)
        documented = {verb: (words.replace("\\|", "|"), set(re.findall(r"--[a-z-]+", options)))
                      for verb, words, options in rows}
        for verb in self.verbs():
            text = self.ok(*verb.split(), "--help", store=False)
            words = re.search(rf"^Usage: ashlar {verb}(?: \[OPTIONS\])?(.*)$", text, re.MULTILINE).group(1).strip()
            options = set(re.findall(r"^  (?:-\w,)?(--[a-z-]+)", text, re.MULTILINE)) - {"--help"}
            self.assertEqual(documented.get(verb), (words, options), verb)

    def test_a_file_named_like_a_verb_is_a_file(self):
        self.init()
        (self.scratch / "stats").write_bytes(b"x" * 8192)
        self.assertRegex(self.capture("stats", cwd=self.scratch), r"^snap-0[0-9a-f]{16}$")


if __name__ == "__main__":
    program.main()
