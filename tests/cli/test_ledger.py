"""The issuance ledger, as a provider uses it: made, written by a marking server, verified, exported, purged."""
import base64
import hashlib
import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(__file__))
from support import HEIRMARK, PASSPHRASE, Case, environment, heirmark, json_members, main, make_keystore


class Ledger(Case):
    def setUp(self):
        super().setUp()
        make_keystore(self.store)
        self.keys = ("--keystore", self.store)
        self.run_ok("key", "new", "acme-70b/2026-11", *self.keys, passphrase=PASSPHRASE)
        self.subkeys = self.dir / "subkeys.json"
        self.run_ok("key", "export-subkey", "acme-70b/2026-11", "--account", "alice", "--account", "bob", "-o", self.subkeys, *self.keys, passphrase=PASSPHRASE)
        self.ledger = self.dir / "ledger"
        self.run_ok("ledger", "new", self.ledger, *self.keys, passphrase=PASSPHRASE)

    def mark(self, account, texts=5, tokens=30, seed=1, more=()):
        return self.run_ok("mark", "--subkeys", self.subkeys, "--account", account, "--ledger", self.ledger, "--ledger-top", 16, "--texts", texts, "--tokens", tokens,
                           "--seed", seed, "--vocab", 500, "-o", self.dir / f"text-{seed}.jsonl", *more)

    def export(self, *args):
        out = self.dir / "ledger.jsonl"
        self.run_ok("ledger", "export", self.ledger, "-o", out, *args, *self.keys, passphrase=PASSPHRASE)
        return [json.loads(line) for line in out.read_text().splitlines()]

    def test_from_a_server_to_the_file_that_an_audit_takes(self):
        self.mark("alice", seed=1)
        self.mark("bob", texts=3, seed=2)
        # The same texts, logged directly: the ledger adds nothing and loses nothing.
        direct = []
        for account, texts, seed in (("alice", 5, 1), ("bob", 3, 2)):
            self.run_ok("mark", "--subkeys", self.subkeys, "--account", account, "--ledger", self.dir / "direct.jsonl", "--ledger-top", 16, "--texts", texts, "--tokens", 30,
                        "--seed", seed, "--vocab", 500, "-o", self.dir / "text.jsonl")
            direct += [json.loads(line) for line in (self.dir / "direct.jsonl").read_text().splitlines()]
        exported = self.export()
        self.assertEqual([line.pop("seq") for line in exported], list(range(8)))
        for line in direct:
            del line["seq"]
        for line in exported + direct:
            self.assertRegex(line.pop("time"), r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual(exported, direct)
        self.assertEqual([line["account"] for line in self.export("--account", "bob")], ["bob"] * 3)
        self.assertEqual(len(self.export("--account", "bob", "--account", "alice", "--key", "acme-70b/2026-11")), 8)
        # Two of each account, by the digests of their lines; `exported` is in the order of the records.
        lines = [line for line in self.run_ok("ledger", "list", self.ledger, "--records").out.splitlines(keepends=True) if json.loads(line)["type"] == "response"]
        least = {account: sorted((hashlib.sha256(line.encode()).digest(), i) for i, line in enumerate(lines) if exported[i]["account"] == account)[:2] for account in ("alice", "bob")}
        chosen = sorted(i for places in least.values() for _, i in places)
        self.assertEqual([line["request_id"] for line in self.export("--sample", 2)], [exported[i]["request_id"] for i in chosen])
        self.run_fails(2, "ledger", "export", self.ledger, "-o", self.dir / "x", "--sample", 0, *self.keys, words="--sample")

        public = self.dir / "public"
        self.run_ok("key", "commit", "acme-70b/2026-11", "-o", self.made(public) / "commitment.json", *self.keys, passphrase=PASSPHRASE)
        self.run_ok("ledger", "export", self.ledger, "-o", public / "ledger.jsonl", *self.keys, passphrase=PASSPHRASE)
        self.run_ok("key", "sign-ledger", public / "ledger.jsonl", *self.keys, passphrase=PASSPHRASE)
        self.assertTrue((public / "statements/ledger.dsse.json").exists())

    def made(self, folder):
        folder.mkdir()
        return folder

    def test_a_name_alone_is_a_folder_of_where_one_is(self):
        make_keystore(self.store)
        for name in ("plain", "slash/", "./dot", "in/to"):
            with self.subTest(name):
                self.run_ok("ledger", "new", name, "--keystore", self.store, cwd=self.dir, passphrase=PASSPHRASE)
                self.assertTrue((self.dir / name / "ledger.db").is_file())
        self.assertEqual([path.name for path in self.dir.iterdir() if path.name.startswith(".")], [])

    def test_json_members_are_those_of_the_page(self):
        self.mark("alice")
        members = json_members()
        listed = self.run_ok("ledger", "list", self.ledger, "--accounts", "--json", *self.keys, passphrase=PASSPHRASE).json
        self.assertEqual(set(listed), members["ledger list"])
        self.assertEqual(listed["accounts"], [{"account": "alice", "responses": 5, "tokens": 150}])
        verified = self.run_ok("ledger", "verify", self.ledger, "--json").json
        self.assertEqual(set(verified), members["ledger verify"])
        self.assertEqual((verified["state"], verified["covered"], verified["opened"]), ("valid", 5, 0))
        self.assertEqual(self.run_ok("ledger", "verify", self.ledger, "--sealed", "--json", *self.keys, passphrase=PASSPHRASE).json["opened"], 5)

    def test_what_the_public_part_and_the_folder_never_show(self):
        seed = 0x6865697265646D
        self.mark("alice", seed=seed)
        text = json.loads((self.dir / f"text-{seed}.jsonl").read_text().splitlines()[0])
        self.assertEqual(len(self.run_ok("ledger", "list", self.ledger, "--records").out.splitlines()), 5)
        everything = b"".join(path.read_bytes() for path in self.ledger.iterdir())
        hidden = {"account": b"alice", "request id": bytes.fromhex(text["request_id"]), "request id in hex": text["request_id"].encode(),
                  "tokens": b"".join(token.to_bytes(4, "big") for token in text["tokens"][:4])}
        hidden |= {f"subkey {i}": bytes.fromhex(secret) for i, secret in enumerate(json.loads(self.subkeys.read_text())["issuance"])}
        self.assertEqual([name for name, secret in hidden.items() if secret in everything], [])
        self.assertEqual(self.ledger.stat().st_mode & 0o777, 0o700)
        self.assertEqual((self.ledger / "log.key").stat().st_mode & 0o777, 0o600)

    def test_a_kept_checkpoint_shows_a_change_and_openssl_can_check_it(self):
        self.mark("alice", seed=1)
        kept = self.dir / "kept.txt"
        self.run_ok("ledger", "checkpoint", self.ledger, "-o", kept)
        self.mark("bob", seed=2)
        self.run_ok("ledger", "verify", self.ledger, "--checkpoint", kept)
        # Without heirmark: the note's text is signed with the key in log.pem.
        body, signature = kept.read_bytes().split(b"\n\n")
        (self.dir / "sig").write_bytes(base64.b64decode(signature.split(b" ")[2])[4:])
        (self.dir / "body").write_bytes(body + b"\n")
        checked = subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", self.ledger / "log.pem", "-rawin", "-in", self.dir / "body", "-sigfile", self.dir / "sig"],
                                 capture_output=True, check=False)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

        database = sqlite3.connect(self.ledger / "ledger.db")
        database.execute("UPDATE records SET line = replace(line, 'demonstration', 'demonstratino') WHERE seq = 2")
        database.commit()
        database.close()
        done = heirmark("ledger", "verify", self.ledger, "--checkpoint", kept)
        self.assertEqual(done.code, 1)
        self.assertIn("INVALID", done.out)
        self.assertIn("the published checkpoint of 5 records has another root", done.out)

    def test_a_ledger_that_is_wrong_is_invalid_and_one_that_is_none_is_bad_input(self):
        self.mark("alice")
        for sql, words in (("DELETE FROM tree", "ledger.db: the table tree has no row"), ("UPDATE tree SET peaks = x'00'", "ledger.db: the tree's peaks do not fit its size"),
                           ("UPDATE tree SET time = 'now'", "ledger.db: the tree's time is no time"), ("UPDATE sessions SET sealed = x'00'", "session 1: its key is no BLOB of 80 bytes")):
            with self.subTest(sql):
                kept = (self.ledger / "ledger.db").read_bytes()
                self.change(sql)
                done = heirmark("ledger", "verify", self.ledger)
                self.assertEqual((done.code, done.err), (1, ""))
                self.assertIn("INVALID", done.out)
                self.assertIn(words, done.out)
                shown = heirmark("ledger", "verify", self.ledger, "--json")
                self.assertEqual((shown.code, shown.json["state"], shown.json["records"]), (1, "invalid", 5))
                if "tree" in sql:
                    self.run_fails(1, "ledger", "export", self.ledger, "-o", self.dir / "never.jsonl", *self.keys, passphrase=PASSPHRASE, words=words)
                    self.run_fails(3, "mark", "--subkeys", self.subkeys, "--ledger", self.ledger, "-o", self.dir / "text.jsonl", words=words)
                (self.ledger / "ledger.db").write_bytes(kept)
        self.run_ok("ledger", "verify", self.ledger)
        self.change("ALTER TABLE tree RENAME COLUMN peaks TO tops")
        self.run_fails(3, "ledger", "verify", self.ledger, words=("ledger.db", "peaks"))

    def change(self, sql):
        database = sqlite3.connect(self.ledger / "ledger.db")
        database.execute(sql)
        database.commit()
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.close()

    def test_a_killed_server_leaves_a_whole_ledger(self):
        for round_ in range(4):
            server = subprocess.Popen([HEIRMARK, "mark", "--subkeys", self.subkeys, "--ledger", self.ledger, "--ledger-top", "16", "--texts", "100000", "--tokens", "20", "--vocab", "300",
                                       "-o", self.dir / "never.jsonl"], stderr=subprocess.DEVNULL, env=environment())
            before, deadline = self.records(), time.time() + 60
            while self.records() < before + 20 * (round_ + 1) and time.time() < deadline:
                time.sleep(0.01)
            server.send_signal(signal.SIGKILL)
            self.assertEqual(server.wait(), -signal.SIGKILL)
            self.assertGreaterEqual(self.records(), before + 20 * (round_ + 1))
            verified = self.run_ok("ledger", "verify", self.ledger, "--sealed", "--json", *self.keys, passphrase=PASSPHRASE).json
            self.assertEqual(verified["opened"], verified["responses"])
        self.assertFalse((self.dir / "never.jsonl").exists())
        self.mark("alice")
        verified = self.run_ok("ledger", "verify", self.ledger, "--json").json
        self.assertEqual(verified["covered"], verified["records"])

    def records(self):
        database = sqlite3.connect(f"file:{self.ledger}/ledger.db?mode=ro", uri=True)
        try:
            return database.execute("SELECT count(*) FROM records").fetchone()[0]
        finally:
            database.close()

    def test_purge_keeps_digests_and_needs_the_keystore_for_an_account_alone(self):
        self.mark("alice", seed=1)
        self.mark("bob", texts=2, seed=2)
        time.sleep(1.1)
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.run_fails(4, "ledger", "purge", self.ledger, "--before", now, "--account", "bob", "--keystore", self.dir / "nothing", words=("keystore",), passphrase=PASSPHRASE)
        self.assertEqual(self.run_ok("ledger", "purge", self.ledger, "--before", now, "--account", "bob", *self.keys, passphrase=PASSPHRASE).out, "2\n")
        self.assertEqual(len(self.export()), 5)
        self.assertEqual(self.run_ok("ledger", "purge", self.ledger, "--before", now).out, "5\n")
        verified = self.run_ok("ledger", "verify", self.ledger, "--sealed", "--json", *self.keys, passphrase=PASSPHRASE).json
        self.assertEqual((verified["state"], verified["purged"], verified["opened"], verified["records"]), ("valid", 7, 0, 9))
        self.run_fails(3, "ledger", "export", self.ledger, "-o", self.dir / "none.jsonl", *self.keys, words=("no response",), passphrase=PASSPHRASE)
        self.assertFalse((self.dir / "none.jsonl").exists())
        self.assertEqual(self.run_ok("ledger", "purge", self.ledger, "--keep-days", 1).out, "0\n")

    def test_wrong_use_and_wrong_folders(self):
        keys = {"passphrase": PASSPHRASE}
        self.run_fails(2, "ledger", "new", self.ledger, *self.keys, words=("is there already",), **keys)
        self.run_fails(4, "ledger", "new", self.dir / "l2", "--keystore", self.dir / "nothing", words=("no keystore",), **keys)
        self.assertFalse((self.dir / "l2").exists())
        for command in ("list", "verify", "checkpoint"):
            self.run_fails(3, "ledger", command, self.dir / "nothing", words=("no ledger here",))
        self.run_fails(3, "ledger", "checkpoint", self.ledger, words=("no checkpoint yet",))
        self.run_fails(2, "ledger", "purge", self.ledger, words=("--before",))
        self.run_fails(2, "ledger", "purge", self.ledger, "--before", "2026-11-20", "--keep-days", 3, words=("either",))
        self.run_fails(2, "ledger", "purge", self.ledger, "--before", "2999-01-01", words=("2999",))
        self.run_fails(2, "ledger", "purge", self.ledger, "--before", "2026-13-01", words=("before", "2026-13-01", "no time"))
        for option in ("from", "until"):
            self.run_fails(2, "ledger", "export", self.ledger, f"--{option}", "2026-02-30", "-o", self.dir / "never.jsonl", *self.keys, passphrase=PASSPHRASE, words=(option, "2026-02-30"))
        self.assertFalse((self.dir / "never.jsonl").exists())
        self.run_fails(2, "ledger", "purge", self.ledger, "--before", "last week", words=("last week",))
        self.run_fails(2, "ledger", "export", self.ledger, words=("--output",))
        self.run_fails(2, "ledger", "export", self.ledger, "-o", self.dir / "x", "--from", "then", *self.keys, words=("then",), **keys)
        self.run_fails(2, "ledger", "export", self.ledger, "-o", self.dir / "x", "--account", "No One", *self.keys, words=("No One",), **keys)
        self.run_fails(4, "ledger", "export", self.ledger, "-o", self.dir / "x", "--key", "acme-70b/2026-12", *self.keys, words=("2026-12",), **keys)
        self.run_fails(5, "ledger", "export", self.ledger, "-o", self.dir / "no/folder/x", *self.keys, words=("no/folder",), **keys)
        self.run_fails(2, "ledger", "list", self.ledger, "--records", "--json", words=("--records",))
        other = self.dir / "other"
        make_keystore(other)
        self.run_fails(4, "ledger", "export", self.ledger, "-o", self.dir / "x", "--keystore", other, words=("no secret of the ledger",), **keys)
        self.run_fails(3, "ledger", "verify", self.ledger, "--checkpoint", self.dir / "missing", words=("missing",))
        (self.dir / "cut").write_text("heirmark.dev/ledger/\n")
        self.run_fails(3, "ledger", "verify", self.ledger, "--checkpoint", self.dir / "cut", words=(f"{self.dir / 'cut'}: checkpoint: ",))
        self.run_fails(2, "mark", "--subkeys", self.subkeys, "--ledger", self.ledger, "--mode", "off", words=("ledger",))
        (self.ledger / "ledger.json").write_text("{}\n")
        self.run_fails(3, "ledger", "list", self.ledger, words=("ledger.json",))

    def test_a_new_ledger_is_there_whole_or_not_at_all(self):
        def new(folder, kill_after):
            read, write = os.pipe()
            os.write(write, (PASSPHRASE + "\n").encode())
            os.close(write)
            making = subprocess.Popen([HEIRMARK, "ledger", "new", folder, *map(str, self.keys), "--passphrase-fd", str(read)], pass_fds=(read,), stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL, env=environment())
            os.close(read)
            time.sleep(kill_after)
            making.kill()
            making.wait()

        for there in (False, True):  # a folder that is there may be a volume
            for delay in range(0, 60, 2):
                folder = self.dir / f"new-{there}-{delay}"
                if there:
                    folder.mkdir()
                new(folder, delay / 1000)
                if not (folder / "ledger.json").exists():
                    self.run_ok("ledger", "new", folder, *self.keys, passphrase=PASSPHRASE)
                self.run_ok("ledger", "verify", folder, *self.keys, passphrase=PASSPHRASE)
                self.assertLessEqual({path.name for path in folder.iterdir() if not path.name.startswith(".new.")}, {"ledger.json", "ledger.db", "log.key", "log.pem", "ledger.db-wal", "ledger.db-shm"})

    def test_what_a_kill_left_in_a_folder_that_was_there(self):
        def remains(*names):
            folder = self.dir / f"f{len(list(self.dir.iterdir()))}"
            for name in names:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text("x")
            return folder

        for names in ((".new.abc123/ledger.db", ".new.abc123/ledger.db-wal"), ("ledger.db", "log.key", ".new.abc123/log.pem", ".new.abc123/ledger.json")):
            folder = remains(*names)
            self.run_ok("ledger", "new", folder, *self.keys, passphrase=PASSPHRASE)
            self.assertEqual({path.name for path in folder.iterdir()}, {"ledger.json", "ledger.db", "log.key", "log.pem"})
            self.run_ok("ledger", "verify", folder)
            self.assertEqual(stat.S_IMODE(folder.stat().st_mode), 0o700)
        # What could be another ledger's is left alone.
        for names in (("ledger.db", "log.key"), ("ledger.db", ".new.abc123/x"), (".new.abc123/ledger.json", "note.txt"), ("ledger.json", ".new.abc123/ledger.json")):
            folder = remains(*names)
            self.run_fails(2, "ledger", "new", folder, *self.keys, passphrase=PASSPHRASE, words="is there already")
            self.assertEqual({str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}, set(names))

    def test_two_servers_on_one_ledger(self):
        server = subprocess.Popen([HEIRMARK, "mark", "--subkeys", self.subkeys, "--ledger", self.ledger, "--texts", "100000", "--tokens", "20", "--vocab", "300", "-o", self.dir / "never.jsonl"],
                                  stderr=subprocess.DEVNULL, env=environment())
        try:
            deadline = time.time() + 60
            while self.records() == 0 and time.time() < deadline:
                time.sleep(0.01)
            self.run_fails(5, "mark", "--subkeys", self.subkeys, "--ledger", self.ledger, words=("another server has this ledger open",))
            self.run_ok("ledger", "verify", self.ledger)  # readers need not wait
            self.run_ok("ledger", "list", self.ledger)
        finally:
            server.kill()
            server.wait()


if __name__ == "__main__":
    main()
