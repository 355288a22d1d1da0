"""heirmark doctor: a set-up that marks is good; each way in which it does not is named."""
import json
import os
import subprocess
import sqlite3
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(__file__))
from support import HEIRMARK, PASSPHRASE, Case, environment, heirmark, json_members, main, make_keystore


class Doctor(Case):
    def setUp(self):
        super().setUp()
        make_keystore(self.store)
        self.month = time.strftime("%Y-%m", time.gmtime())
        self.subkeys = self.exported("acme-70b", self.month)

    def exported(self, family, month, *more):
        keys = ("--keystore", self.store)
        self.run_ok("key", "new", f"{family}/{month}", *more, *keys, passphrase=PASSPHRASE)
        file = self.dir / f"{family}-{month}.json"
        self.run_ok("key", "export-subkey", f"{family}/{month}", "-o", file, *keys, passphrase=PASSPHRASE)
        return file

    def ledger(self):
        folder = self.dir / "ledger"
        self.run_ok("ledger", "new", folder, "--keystore", self.store, passphrase=PASSPHRASE)
        return folder

    def mark(self, *more, subkeys=None, name="text.jsonl"):
        self.run_ok("mark", "--subkeys", subkeys or self.subkeys, "--texts", 20, "--tokens", 100, "-o", self.dir / name, *more)
        return self.dir / name

    def checks(self, *args, code=0):
        done = heirmark("doctor", *args, "--json")
        self.assertEqual(done.code, code, done.out + done.err)
        self.assertEqual(done.json["state"], "bad" if code else "good")
        return {check["code"]: (check["level"], check["detail"]) for check in done.json["checks"]}

    def test_a_good_set_up(self):
        ledger = self.ledger()
        text = self.mark("--ledger", ledger)
        checks = self.checks("--subkeys", self.subkeys, "--text", text, "--ledger", ledger)
        self.assertEqual({code for code, (level, _) in checks.items() if level == "ok"} | {"clock", "ledger.disk"},
                         {"clock", "keys.read", "keys.epoch", "probe", "text", "ledger.read", "ledger.checkpoint", "ledger.key", "ledger.disk"})
        self.assertEqual(checks["ledger.server"][0], "note")
        self.assertEqual(set(self.run_ok("doctor", "--subkeys", self.subkeys, "--json").json), json_members()["doctor"])
        lines = self.run_ok("doctor", "--subkeys", self.subkeys).out.splitlines()
        self.assertEqual(len(lines), 4)
        secrets = json.loads(self.subkeys.read_text())
        self.assertFalse(any(secret in "".join(lines) for secret in [secrets["coin"], *secrets["window"], *secrets["issuance"]]))

    def test_every_profile_has_a_probe(self):
        for profile in ("greenlist-2026-11", "tournament-2026-11"):
            with self.subTest(profile):
                level, detail = self.checks("--subkeys", self.exported(profile.split("-")[0], self.month, "--profile", profile))["probe"]
                self.assertEqual(level, "ok", detail)

    def test_text_that_is_not_marked_or_by_another_key(self):
        other = self.exported("other", self.month)
        for text in (self.mark("--mode", "off", name="off.jsonl"), self.mark(subkeys=other, name="other.jsonl")):
            level, detail = self.checks("--subkeys", self.subkeys, "--text", text, code=1)["text"]
            self.assertEqual(level, "fail")
            self.assertIn("NOT marked", detail)
        little = self.dir / "little.jsonl"
        little.write_text('{"tokens":[1,2,3,4]}\n')
        self.assertIn("too little", self.checks("--subkeys", self.subkeys, "--text", little, code=1)["text"][1])
        self.assertIn("no-such", self.checks("--subkeys", self.subkeys, "--text", self.dir / "no-such", code=1)["text"][1])

    def test_keys_of_the_wrong_month_or_open_to_others(self):
        self.assertIn("is over", self.checks("--subkeys", self.exported("old", "2020-01"), code=1)["keys.epoch"][1])
        self.assertIn("has not begun", self.checks("--subkeys", self.exported("new", "2999-01"), code=1)["keys.epoch"][1])
        self.subkeys.chmod(0o644)
        self.assertEqual(self.checks("--subkeys", self.subkeys, code=1)["keys.read"][0], "fail")
        self.assertEqual(self.checks("--subkeys", self.dir / "none.json", code=1)["keys.read"][0], "fail")

    def test_a_ledger_of_another_key_a_damaged_one_and_none(self):
        ledger = self.ledger()
        self.mark("--ledger", ledger, subkeys=self.exported("other", self.month))
        self.assertEqual(self.checks("--subkeys", self.subkeys, "--ledger", ledger, code=1)["ledger.key"][0], "fail")
        database = sqlite3.connect(ledger / "ledger.db")
        database.execute("DELETE FROM records WHERE seq = 3")
        database.commit()
        database.close()
        self.assertIn("record 3 is missing", self.checks("--subkeys", self.subkeys, "--ledger", ledger, code=1)["ledger.read"][1])
        self.assertEqual(self.checks("--subkeys", self.subkeys, "--ledger", self.dir / "none", code=1)["ledger.read"][0], "fail")

    def test_a_server_that_runs_is_seen(self):
        ledger = self.ledger()
        server = subprocess.Popen([HEIRMARK, "mark", "--subkeys", self.subkeys, "--ledger", ledger, "--texts", "100000", "--tokens", "20", "--vocab", "300", "-o", self.dir / "never.jsonl"],
                                  stderr=subprocess.DEVNULL, env=environment())
        try:
            deadline = time.time() + 60
            seen = ("note", "")
            while seen[0] != "ok" and time.time() < deadline:
                seen = self.checks("--subkeys", self.subkeys, "--ledger", ledger)["ledger.server"]
            self.assertEqual(seen, ("ok", "a server has it open"))
        finally:
            server.kill()
            server.wait()

    def test_wrong_usage(self):
        self.run_fails(2, "doctor", words=("--subkeys",))
        self.run_fails(2, "doctor", "--subkeys", "-", "--text", "-", words=("standard input",))


if __name__ == "__main__":
    main()
