#!/usr/bin/env python3
"""Shows that one damaged record of any kind stops no work that does not need it, is named with a way out, and can
be given up."""

import json

import program


class DamagedRecords(program.ProgramTest):
    def setUp(self):
        super().setUp()
        self.init()
        self.snapshots, self.images, self.volumes, self.templates = [], [], [], []
        for name in ("damaged", "sound"):
            disk = self.file(f"{name}.raw", program.noise(1 << 18, seed=len(name)))
            self.snapshots.append(self.capture(disk))
            mapping = f"/dev/sda={self.snapshots[-1]}"
            self.images.append(self.ok("image", "create", "--name", name, "--map", mapping).strip())
            self.volumes.append(self.ok("volume", "create", "--snapshot", self.snapshots[-1]).strip())
            self.templates.append(self.ok("template", "create", name, self.images[-1]).strip())
            self.ok("lifecycle", "put", self.policy(name))

    def policy(self, name):
        body = {"name": name, "filters": [f"name=name,values={name}-*"], "deregister": {"keep_last": 5, "after_days": 30}}
        return self.file(f"{name}.json", json.dumps(body).encode())

    def rot(self, key):
        path = self.store / key
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        return bytes(data)

    def expect_unhindered(self, **lists):
        """Runs everything that the sound things allow. `lists` are verbs that have to name what is damaged."""
        disk = self.file("more.raw", program.noise(1 << 17, seed=9))
        self.capture(disk)
        self.ok("restore", self.snapshots[1], self.scratch / "out.raw")
        self.ok("verify", self.snapshots[1])
        self.ok("volume", "hydrate", self.volumes[1])
        self.ok("volume", "snapshot", self.volumes[1])
        self.ok("volume", "clone", self.volumes[1])
        self.ok("image", "create", "--name", "fresh", "--map", f"/dev/sda={self.snapshots[1]}")
        self.ok("image", "tag", self.images[1], "a=b")
        self.ok("image", "verify", self.images[1])
        bundle = self.scratch / "bundle.ashlar"
        self.ok("image", "export", self.images[1], bundle)
        self.ok("image", "import", bundle, "--name", "imported")
        self.ok("template", "version", "sound", "--memory", "1G")
        self.ok("template", "create", "fresh", self.images[1])
        self.ok("lifecycle", "put", self.policy("fresh"))
        self.ok("image", "deregister", self.images[1])
        self.ok("bin", "restore", self.images[1])
        self.ok("volume", "delete", self.volumes[1])
        for verb in ("snapshots", "stats", "volume list", "image list", "template list", "lifecycle list",
                     "lifecycle run", "sessions list", "bin list"):
            status = lists.get(verb.replace(" ", "_"), 0)
            done = self.run_ashlar(*verb.split())
            self.assertEqual(done.returncode, status, f"{verb}: {done.stderr.decode()}")

    def expect_given_up(self, ident, data, *left):
        """`left` are parts of what verify still says of things that needed the record."""
        kept = self.ok_json("store", "discard", ident, "--yes")["kept"]
        self.assertEqual((self.store / kept).read_bytes(), data)
        done = self.run_ashlar("verify", "--all", "--json")
        what = [damage["object"] + damage["what"] for damage in json.loads(done.stdout)["damages"]]
        for part in left:
            self.assertTrue(any(part in one for one in what), what)
        self.assertEqual(len(what), len(left), what)

    def test_a_snapshot(self):
        damaged = self.snapshots[0]
        data = self.rot(f"snapshots/{damaged}")
        self.fails(3, "restore", damaged, self.scratch / "no.raw", says=f"discard {damaged} --yes")
        self.expect_unhindered(snapshots=3, stats=3, bin_list=3)
        self.expect_given_up(damaged, data, self.images[0], self.volumes[0])

    def test_an_image(self):
        damaged = self.images[0]
        data = self.rot(f"images/{damaged}")
        self.fails(3, "image", "describe", damaged, says=f"discard {damaged} --yes")
        self.expect_unhindered(image_list=3, lifecycle_run=3, bin_list=3)
        self.expect_given_up(damaged, data)

    def test_a_volume(self):
        damaged = self.volumes[0]
        data = self.rot(f"volumes/{damaged}")
        self.fails(3, "volume", "describe", damaged, says=f"discard {damaged} --yes")
        self.expect_unhindered(volume_list=3, lifecycle_run=3)  # a policy may delete snapshots
        self.expect_given_up(damaged, data)

    def test_a_template(self):
        damaged = self.templates[0]
        data = self.rot(f"launch-templates/{damaged}")
        for verb in (["describe"], ["delete"], ["version"]):
            self.fails(3, "template", *verb, "damaged", says=f"discard {damaged} --yes")
        self.expect_unhindered(template_list=3)
        self.expect_given_up(damaged, data)
        self.ok("template", "create", "damaged", self.images[0])

    def test_a_policy(self):
        damaged = next(one["PolicyId"] for one in self.ok_json("lifecycle", "list")["Policies"]
                       if one["Policy"]["name"] == "damaged")
        data = self.rot(f"lifecycle-policies/{damaged}")
        for verb in (["describe", "damaged"], ["delete", "damaged"], ["put", self.policy("damaged")]):
            self.fails(3, "lifecycle", *verb, says=f"discard {damaged} --yes")
        self.expect_unhindered(lifecycle_list=3, lifecycle_run=3)
        self.expect_given_up(damaged, data)
        self.ok("lifecycle", "put", self.policy("damaged"))

    def test_a_claim_of_a_name(self):
        before = {path.name: path.read_bytes() for path in (self.store / "image-names").iterdir()}
        self.ok("image", "create", "--name", "claimed", "--map", f"/dev/sda={self.snapshots[0]}")
        (name,) = {path.name for path in (self.store / "image-names").iterdir()} - set(before)
        data = self.rot(f"image-names/{name}")
        done = self.run_ashlar("verify", "--all", "--json")
        self.assertEqual([one["object"] for one in json.loads(done.stdout)["damages"]], [f"image-names/{name}"])
        self.fails(1, "image", "create", "--name", "claimed", "--map", f"/dev/sda={self.snapshots[0]}", code="busy")
        self.expect_unhindered()
        self.expect_given_up(f"image-names/{name}", data)
        self.fails(1, "image", "create", "--name", "claimed", "--map", f"/dev/sda={self.snapshots[0]}", code="busy")

    def test_a_session(self):
        damaged = "0" * 31 + "1"
        data = b"rotten"
        (self.store / "sessions" / damaged).write_bytes(data)
        self.fails(3, "collect", says=f"discard {damaged} --yes")
        self.expect_unhindered(sessions_list=3, stats=3)
        self.expect_given_up(damaged, data)
        self.ok("collect")

    def test_settings(self):
        data = self.rot("settings.json")
        self.fails(3, "settings", says="discard settings --yes")
        self.ok("bin", "purge", "--all")
        self.ok("verify", self.snapshots[1])
        self.ok("restore", self.snapshots[1], self.scratch / "out.raw")
        self.ok("snapshots")
        done = self.run_ashlar("image", "verify", self.images[1])
        self.assertEqual(done.returncode, 3)
        self.assertIn("not known which keys are trusted", done.stdout.decode())
        self.expect_given_up("settings", data)
        self.expect_unhindered()

    def test_a_trace_and_a_record_of_damage(self):
        pack = next((self.store / "packs").rglob("*.pack")).stem
        for key in (f"traces/{self.snapshots[1]}", f"damage/{pack}"):
            (self.store / key).parent.mkdir(exist_ok=True)
            (self.store / key).write_bytes(b"rotten")
        self.expect_unhindered()


if __name__ == "__main__":
    program.main()
