"""Keys: making, committing, rotating, opening; passphrases; and no secret where none belongs."""
import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(__file__))
from support import HEIRMARK, PASSPHRASE, Case, environment, heirmark, main, make_keystore, on_terminal

KEY = "acme-70b/2026-11"


class Keys(Case):
    def key(self, *args, passphrase=PASSPHRASE):
        if args[0] in ("new", "signer"):
            make_keystore(self.store)
        return self.run_ok("key", *args, "--keystore", self.store, passphrase=passphrase)

    def key_fails(self, code, *args, passphrase=PASSPHRASE, words=()):
        return self.run_fails(code, "key", *args, "--keystore", self.store, passphrase=passphrase, words=words)

    def test_a_key_of_this_month_is_in_force_from_today(self):
        today = time.strftime("%Y-%m-%d", time.gmtime())
        shown = self.run_ok("key", "new", "acme-70b", "--keystore", make_keystore(self.store), "--json", passphrase=PASSPHRASE).json
        self.assertIn(shown["notBefore"], (today, time.strftime("%Y-%m-%d", time.gmtime())))
        other = self.run_ok("key", "new", "acme-70b/2031-04", "--keystore", self.store, "--json", passphrase=PASSPHRASE).json
        self.assertEqual((other["notBefore"], other["notAfter"]), ("2031-04-01", "2031-04-30"))
        late = self.run_ok("key", "new", "acme-70b/2020-04", "--keystore", self.store, "--json", passphrase=PASSPHRASE).json
        self.assertEqual(late["notBefore"], "2020-04-01")
        done = self.run_ok("key", "commit", "acme-70b/2020-04", "-o", self.dir / "late/commitment.json", "--keystore", self.store, passphrase=PASSPHRASE)
        self.assertIn("after the key's first day of use, 2020-04-01", done.err)
        done = self.run_ok("key", "commit", shown["path"], "-o", self.dir / "now/commitment.json", "--keystore", self.store, passphrase=PASSPHRASE)
        self.assertNotIn("first day of use", done.err)

    def test_life_of_a_key(self):
        made = self.key("new", "acme-70b", "--epoch", "2026-11", "--json").json
        self.assertEqual((made["path"], made["profile"], made["familySize"]), (KEY, "standard-2026-11", 1 << 20))
        self.assertRegex(made["keyId"], r"^[0-9a-f]{16}$")
        self.assertEqual(self.key("show", KEY, "--json").json, made)
        self.assertIn(made["keyId"], self.key("show", KEY).out)
        rotated = self.key("rotate", "acme-70b", "--json").json
        self.assertEqual(rotated["path"], "acme-70b/2026-12")
        self.assertNotEqual(rotated["keyId"], made["keyId"])
        listed = self.key("list", "--json").json
        self.assertEqual([key["path"] for key in listed["keys"]], [KEY, "acme-70b/2026-12"])
        self.key_fails(4, "show", "acme-70b/2031-01", words="acme-70b/2031-01")
        self.key_fails(4, "rotate", "nobody", words="nobody")
        self.key_fails(2, "new", KEY, words=KEY)

    def test_a_purpose_is_stated(self):
        self.key_fails(2, "new", KEY, "--purpose", "", words="--purpose is empty")
        self.assertFalse(self.store.exists())
        self.assertEqual(self.key("new", KEY, "--json").json["purpose"], "training provenance")
        self.assertEqual(self.key("new", "acme-70b/2026-12", "--purpose", "court case 17", "--json").json["purpose"], "court case 17")
        self.assertEqual(self.key("rotate", "acme-70b", "--json").json["purpose"], "court case 17")
        self.key_fails(2, "new", "acme-70b/2027-02", "--purpose", "x" * 4097, words=("purpose", "4096"))
        self.key_fails(4, "show", "acme-70b/2027-02", words="no key")

    def test_commitment_is_signed_and_binds_the_opening(self):
        self.key("new", KEY)
        (self.dir / "public").mkdir()
        self.key("commit", KEY, "-o", self.dir / "public/commitment.json")
        commitment = json.loads((self.dir / "public/commitment.json").read_text())
        self.assertEqual(commitment["path"], KEY)
        envelope = json.loads((self.dir / "public/statements/commitment.dsse.json").read_text())
        self.assertEqual(envelope["payloadType"], "application/vnd.in-toto+json")
        self.assertIn("BEGIN PUBLIC KEY", (self.dir / "public/trust/provider.pem").read_text())
        opening = self.dir / "opening.json"
        self.key("open", KEY, "--to", "auditor X", "-o", opening)
        import hashlib
        self.assertEqual(hashlib.sha256(opening.read_bytes()).hexdigest(), commitment["digest"])
        self.assertEqual(stat.S_IMODE(opening.stat().st_mode), 0o600)
        self.assertIn("auditor X", (self.store / "openings.log").read_text())

    def test_signing_keys(self):
        made = self.key("signer", "auditor", "--json").json
        self.assertEqual(made["algorithm"], "ed25519")
        again = self.key("signer", "auditor", "-o", self.dir / "auditor.pem", "--json").json
        self.assertEqual(again, made)
        self.assertEqual((self.dir / "auditor.pem").read_text(), made["publicPem"])
        self.assertEqual(self.key("signer", "court", "--algorithm", "p256", "--json").json["algorithm"], "p256")

    def test_subkeys_are_exported_without_what_is_above_them(self):
        self.key("new", KEY)
        out = self.dir / "subkeys.json"
        self.key("export-subkey", KEY, "--account", "a", "--account", "b", "-o", out)
        subkeys = json.loads(out.read_text())
        self.assertEqual((len(subkeys["window"]), len(subkeys["issuance"]), subkeys["accounts"]), (16, 2, ["a", "b"]))
        self.assertEqual(stat.S_IMODE(out.stat().st_mode), 0o600)
        self.key("open", KEY, "--to", "x", "-o", self.dir / "o.json")
        self.assertNotIn(json.loads((self.dir / "o.json").read_text())["familySecret"], out.read_text())

    def test_a_subkeys_file_is_all_that_a_server_needs(self):
        self.key("new", KEY)
        subkeys, opening = self.dir / "subkeys.json", self.dir / "o.json"
        self.key("export-subkey", KEY, "--account", "a", "--account", "b", "-o", subkeys)
        self.key("open", KEY, "--to", "x", "-o", opening)
        shutil.rmtree(self.store)
        for account in ("a", "b"):
            args = ("--seed", 5, "--mode", "issuance", "--tokens", 50, "--account", account)
            out = self.run_ok("mark", "--subkeys", subkeys, *args).out
            self.assertEqual(out, self.run_ok("mark", "--opening", opening, *args).out)
            self.assertEqual(out, self.run_ok("mark", "--subkeys", "-", *args, stdin=subkeys.read_bytes()).out)
        # Without --account it is the file's first, and a ledger says so.
        self.run_ok("mark", "--subkeys", subkeys, "--tokens", 5, "-o", self.dir / "t", "--ledger", self.dir / "l")
        self.assertEqual(json.loads((self.dir / "l").read_text())["account"], "a")
        self.run_fails(4, "mark", "--subkeys", subkeys, "--account", "c", words=("subkeys.json", "c"))
        self.assertIn("acme-70b/2026-11", self.run_ok("mark", "--subkeys", subkeys, "-v").err)

    def test_subkeys_files_that_are_refused(self):
        self.key("new", KEY)
        subkeys = self.dir / "subkeys.json"
        self.key("export-subkey", KEY, "-o", subkeys)
        good = subkeys.read_text()
        secrets = [json.loads(good)["coin"], *json.loads(good)["window"]]
        for content, words in ((good[:-200], "window"), (good.replace('"coin"', '"cion"'), "coin"), (good.replace("subkeys/v1", "opening/v1"), "type"), ("", "accounts"),
                               (good.replace(",", ", "), "byte"), (good + "{}", "follows")):
            with self.subTest(words):
                subkeys.write_text(content)
                done = self.run_fails(3, "mark", "--subkeys", subkeys, words=(str(subkeys), words))
                for secret in secrets:
                    self.assertNotIn(secret[:16], done.err)
        subkeys.write_text(good)
        subkeys.chmod(0o644)
        self.run_fails(4, "mark", "--subkeys", subkeys, words=(str(subkeys), "0644"))

    def test_wrong_and_missing_passphrases(self):
        self.key("new", KEY)
        self.key_fails(4, "list", passphrase="wrong", words="passphrase")
        self.key_fails(4, "list", passphrase="", words="--passphrase-fd")
        self.run_fails(4, "key", "list", "--keystore", self.store, "--passphrase-fd", "97", words="97")
        # No terminal at all: a new session has none.
        done = subprocess.run([HEIRMARK, "key", "list", "--keystore", self.store], capture_output=True, text=True, start_new_session=True, stdin=subprocess.DEVNULL,
                              env=environment(), check=False)
        self.assertEqual(done.returncode, 4)
        self.assertIn("--passphrase-fd", done.stderr)

    def test_no_keystore(self):
        self.key_fails(4, "list", words="there is no keystore")

    def test_damaged_keystore(self):
        self.key("new", KEY)
        record = next(self.store.glob("*@*.key"))
        data = bytearray(record.read_bytes())
        data[40] ^= 1
        record.write_bytes(data)
        done = heirmark("key", "show", KEY, "--keystore", self.store, passphrase=PASSPHRASE)
        self.assertIn(done.code, (3, 4))
        self.assertEqual(len(done.err.splitlines()), 1)

    def test_default_keystore_follows_xdg(self):
        env = environment(XDG_DATA_HOME=str(self.dir / "data"))
        done = heirmark("key", "new", KEY, passphrase=PASSPHRASE, env=env)
        self.assertEqual(done.code, 0, done.err)
        header = json.loads((self.dir / "data/heirmark/HEIRMARK-KEYSTORE").read_text())
        self.assertEqual((header["opslimit"], header["memlimit"]), (3, 256 << 20))  # libsodium's "moderate"

    def test_no_secret_is_printed(self):
        self.key("new", KEY)
        self.key("open", KEY, "--to", "x", "-o", self.dir / "o.json")
        opening = json.loads((self.dir / "o.json").read_text())
        self.key("export-subkey", KEY, "-o", self.dir / "s.json")
        subkeys = json.loads((self.dir / "s.json").read_text())
        secrets = [opening["familySecret"], opening["nonce"], subkeys["coin"], *subkeys["window"], *subkeys["issuance"], PASSPHRASE]
        (self.dir / "p").mkdir()
        for args in (["list"], ["list", "--json"], ["show", KEY], ["show", KEY, "--json"], ["commit", KEY, "-o", self.dir / "p/commitment.json"],
                     ["open", KEY, "--to", "y", "-o", self.dir / "o2.json"], ["export-subkey", KEY, "-o", self.dir / "s2.json"], ["signer", "provider", "--json"],
                     ["rotate", "acme-70b", "-v"]):
            done = self.key(*args)
            for secret in secrets:
                self.assertNotIn(secret, done.out + done.err, args)
        for path in [*(self.dir / "p").rglob("*"), self.store / "openings.log", self.store / "HEIRMARK-KEYSTORE"]:
            if path.is_file():
                for secret in secrets:
                    self.assertNotIn(secret.encode(), path.read_bytes(), path)

    def test_the_passphrase_is_not_in_argv_or_environment(self):
        self.key("new", KEY)
        read, write = os.pipe()
        running = subprocess.Popen([HEIRMARK, "key", "list", "--keystore", self.store, "--passphrase-fd", str(read)], pass_fds=(read,), env=environment(),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        os.write(write, PASSPHRASE.encode())  # no line feed yet: the command waits, and we look at it
        time.sleep(0.2)
        proc = pathlib.Path(f"/proc/{running.pid}")
        if (proc / "cmdline").exists():
            self.assertNotIn(PASSPHRASE.encode(), (proc / "cmdline").read_bytes())
            self.assertNotIn(PASSPHRASE.encode(), (proc / "environ").read_bytes())
        os.write(write, b"\n")
        os.close(write)
        os.close(read)
        out, err = running.communicate(timeout=60)
        self.assertEqual(running.returncode, 0, err)
        self.assertIn(KEY.encode(), out)
        self.run_fails(2, "key", "list", "--passphrase", PASSPHRASE)

    def test_a_terminal_asks_twice_without_echo(self):
        code, shown = on_terminal("key", "new", KEY, "--keystore", self.store, answers=[PASSPHRASE, PASSPHRASE])
        self.assertEqual(code, 0, shown)
        self.assertNotIn(PASSPHRASE, shown)
        self.assertIn("once more", shown)
        code, shown = on_terminal("key", "list", "--keystore", self.store, answers=[PASSPHRASE])
        self.assertEqual(code, 0, shown)
        self.assertTrue(re.search(KEY, shown))
        code, shown = on_terminal("key", "new", KEY, "--keystore", self.dir / "other", answers=[PASSPHRASE, "another"])
        self.assertEqual(code, 4, shown)
        self.assertIn("differ", shown)

    def test_a_folder_without_permission(self):
        options = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}  # root may do everything
        closed = self.dir / "closed"
        closed.mkdir(mode=0o500)
        self.dir.chmod(0o755)
        program = shutil.copy(HEIRMARK, self.dir / "heirmark")  # where it was built, another user may not come
        read, write = os.pipe()
        os.write(write, PASSPHRASE.encode() + b"\n")
        os.close(write)
        done = subprocess.run([program, "key", "new", KEY, "--keystore", closed / "keys", "--passphrase-fd", str(read)], pass_fds=(read,), capture_output=True, text=True,
                              env=environment(), check=False, **options)
        os.close(read)
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1)
        self.assertEqual(list(closed.iterdir()), [])


if __name__ == "__main__":
    main()
