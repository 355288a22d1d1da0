"""Keystores, openings, subkeys; errors; and that no secret gets out."""
import copy
import json
import logging
import pickle
import re
import threading
import traceback

import pytest

import heirmark
from conftest import KEY, PASSPHRASE
from support import ROOT, command, logits_of, make_sampler, subkeys_bytes


def secrets_of(key):
    """Every secret of the key, as hex and as raw bytes."""
    texts = {PASSPHRASE.encode()}
    for data in (key.opening.expose_bytes(), key.store.subkeys(KEY).expose_bytes()):
        for secret in re.findall(rb"[0-9a-f]{64}", data):
            texts |= {secret, bytes.fromhex(secret.decode())}
    assert len(texts) > 30
    return texts


class TestKeystore:
    def test_what_the_command_says(self, key):
        told = json.loads(command("key", "show", KEY, "--keystore", key.store_folder, "--json", passphrase=PASSPHRASE))
        info = key.store.info(KEY)
        for name, member in (("path", "path"), ("key_id", "keyId"), ("profile", "profile"), ("scheme", "scheme"), ("family_size", "familySize"), ("not_before", "notBefore"),
                             ("not_after", "notAfter"), ("purpose", "purpose"), ("commitment_digest", "commitmentDigest")):
            assert getattr(info, name) == told[member], name
        assert [i.path for i in key.store.list()] == ["acme-70b/2026-11", "acme-70b/2026-12"]

    def test_the_commands_subkeys_file(self, key, tmp_path):
        path = tmp_path / "subkeys.json"
        command("key", "export-subkey", KEY, "--account", "default", "--account", "birch", "-o", path, "--keystore", key.store_folder, passphrase=PASSPHRASE)
        read = heirmark.Subkeys.read(path)
        assert read.expose_bytes() == path.read_bytes() == key.store.subkeys(KEY, ["default", "birch"]).expose_bytes() == key.opening.subkeys(["default", "birch"]).expose_bytes()
        assert (read.path, read.key_id, read.accounts, read.profile.name) == (KEY, key.info.key_id, ("default", "birch"), "standard-2026-11")
        for data in (path.read_bytes(), bytearray(path.read_bytes()), memoryview(path.read_bytes()), path.read_text()):
            assert heirmark.Subkeys.from_bytes(data).expose_bytes() == path.read_bytes()

    def test_commitment_and_opening_belong_together(self, key):
        commitment = key.store.commitment(KEY)
        assert commitment.digest == key.opening.digest == key.info.commitment_digest and commitment.key_id == key.opening.key_id
        assert heirmark.Commitment.from_bytes(commitment.to_bytes()).to_bytes() == commitment.to_bytes()
        assert heirmark.Opening.read(key.opening_file).digest == commitment.digest
        assert key.opening.family_size == 4096 and key.opening.profile == heirmark.Profile.find("standard-2026-11")

    def test_wrong_passphrase(self, key):
        with pytest.raises(heirmark.KeyAccessError) as error:
            heirmark.Keystore.open(key.store_folder, "wrong")
        assert error.value.code == 4 and "wrong" not in str(error.value).replace("wrong passphrase", "")
        for passphrase in (PASSPHRASE, PASSPHRASE.encode(), bytearray(PASSPHRASE.encode())):
            assert heirmark.Keystore.open(key.store_folder, passphrase).info(KEY).key_id == key.info.key_id
        for passphrase in ("", "x" * 1025):
            with pytest.raises(heirmark.KeyAccessError, match="1 to 1024"):
                heirmark.Keystore.open(key.store_folder, passphrase)
        with pytest.raises(TypeError):
            heirmark.Keystore.open(key.store_folder, 5)
        with pytest.raises(heirmark.UsageError, match="UTF-8"):
            heirmark.Keystore.open(key.store_folder, "secret \udc80")

    def test_signers(self, key):
        for algorithm in ("ed25519", "p256"):
            made = key.store.new_signer(f"signer-{algorithm}", algorithm)
            assert made.algorithm == algorithm and made.public_pem.startswith("-----BEGIN PUBLIC KEY-----")
            assert key.store.signer(made.name).public_pem == made.public_pem
            signature = key.store.sign(made.name, b"message")
            assert len(signature) == 64 if algorithm == "ed25519" else signature[0] == 0x30
        assert {s.name for s in key.store.signers()} >= {"signer-ed25519", "signer-p256"}

    def test_argon2_lets_others_run(self, tmp_path):
        """While the passphrase is hashed (some tenths of a second), this thread goes on."""
        store = threading.Thread(target=lambda: heirmark.Keystore.create(tmp_path / "keys", "x", opslimit=4, memlimit=256 << 20))
        ran = 0
        store.start()
        while store.is_alive():
            ran += 1
            store.join(0.001)
        assert ran > 5
        assert heirmark.Keystore.exists(tmp_path / "keys") and not heirmark.Keystore.exists(tmp_path)


class TestErrors:
    def cases(self, key, tmp_path):
        open_file = tmp_path / "open.json"
        open_file.write_bytes(subkeys_bytes())
        open_file.chmod(0o644)
        bad = tmp_path / "bad.json"
        bad.write_bytes(subkeys_bytes()[:-2])
        bad.chmod(0o600)
        return [
            (heirmark.BadInputError, 3, lambda: heirmark.Subkeys.read(tmp_path / "none.json"), "none.json"),
            (heirmark.BadInputError, 3, lambda: heirmark.Subkeys.read(bad), "bad.json: byte"),
            (heirmark.KeyAccessError, 4, lambda: heirmark.Subkeys.read(open_file), "open.json"),
            (heirmark.BadInputError, 3, lambda: heirmark.Subkeys.from_bytes(b"{}"), "no subkeys file"),
            (heirmark.BadInputError, 3, lambda: heirmark.Opening.from_bytes(b"{}\n"), "opening"),
            (heirmark.BadInputError, 3, lambda: heirmark.Commitment.from_bytes(b"{}\n"), "commitment"),
            (heirmark.BadInputError, 3, lambda: heirmark.Plan.read(tmp_path / "none.json"), "none.json"),
            (heirmark.BadInputError, 3, lambda: heirmark.Profile.find("loud"), "standard-2026-11"),
            (heirmark.KeyAccessError, 4, lambda: key.store.info("acme-70b/2031-01"), "2031-01"),
            (heirmark.KeyAccessError, 4, lambda: heirmark.Keystore.open(tmp_path, "x"), "no keystore"),
            (heirmark.UsageError, 2, lambda: key.store.subkeys(KEY, ["Not a name"]), "no account name"),
            (heirmark.BadInputError, 3, lambda: key.opening.subkeys([]), "at least one account"),
            (heirmark.UsageError, 2, lambda: heirmark.Keystore.create(tmp_path / "new", "x", opslimit=99), "1 to 16"),
            (heirmark.UsageError, 2, lambda: heirmark.detect([[1]], key.opening, decoys=4096), "family size"),
        ]

    def test_classes_codes_and_words(self, key, tmp_path):
        for kind, code, call, words in self.cases(key, tmp_path):
            with pytest.raises(heirmark.Error, match=re.escape(words)) as error:
                call()
            assert type(error.value) is kind and error.value.code == code, error.value

    def test_the_codes_are_those_of_the_command(self):
        rows = re.findall(r"^\| (\d) \|", (ROOT / "specs/cli.md").read_text(), re.MULTILINE)
        assert [int(row) for row in rows][1:-1] == sorted(heirmark.errors.BY_CODE)  # 0 is no error, and 7 is --require's
        assert all(kind.code == code and issubclass(kind, heirmark.Error) for code, kind in heirmark.errors.BY_CODE.items())

    def test_a_directory_is_told(self, tmp_path):
        with pytest.raises(heirmark.BadInputError, match="folder"):
            heirmark.Plan.read(tmp_path)


class TestSecrets:
    def test_never_printed_pickled_or_copied(self, key):
        sampler = heirmark.Sampler(key.store.subkeys(KEY), vocab_size=100)
        secrets = secrets_of(key)
        for thing in (key.store, key.opening, key.store.subkeys(KEY), sampler, sampler.begin()):
            shown = " ".join((repr(thing), str(thing), format(thing), ascii(thing), " ".join(dir(thing)), repr(getattr(thing, "__dict__", "")))).encode()
            assert not any(secret in shown for secret in secrets)
            for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
                with pytest.raises(TypeError, match="not pickled"):
                    pickle.dumps(thing, protocol)
            with pytest.raises(TypeError, match="not pickled"):
                copy.deepcopy(thing)
        for thing in (key.store, key.opening, key.store.subkeys(KEY), sampler):
            with pytest.raises(TypeError, match="not pickled"):
                copy.copy(thing)

    def test_never_in_a_traceback_or_a_log(self, key, tmp_path, caplog):
        """Every failing call that holds a secret: its message and its traceback, which shows no values of ours."""
        data = key.opening.expose_bytes()
        texts = []
        for call in (lambda d: heirmark.Opening.from_bytes(d.replace(b"standard-2026-11", b"standard-2031-11")), lambda d: heirmark.Opening.from_bytes(d[:-1]),
                     lambda d: heirmark.Opening.from_bytes(d + b"x"), lambda d: heirmark.Opening.from_bytes(d.replace(b":4096", b":4097")),
                     lambda d: heirmark.Subkeys.from_bytes(d), lambda d: heirmark.Subkeys.from_bytes(key.store.subkeys(KEY).expose_bytes().upper()),
                     lambda d: heirmark.Keystore.open(tmp_path, PASSPHRASE), lambda d: heirmark.Keystore.open(tmp_path, d[:2000]), lambda d: heirmark.detect([[1]], d),
                     lambda d: heirmark.Sampler(d, vocab_size=5), lambda d: heirmark.Profile.find(heirmark.Subkeys)):
            try:
                call(data)
            except Exception as error:
                logging.getLogger("test").exception("failed")
                texts.append("".join(traceback.format_exception(error)))
            else:
                pytest.fail("a call that had to fail did not")
        shown = (" ".join(texts) + caplog.text).encode()
        assert len(shown) > 1000
        assert not any(secret in shown for secret in secrets_of(key) if secret != PASSPHRASE.encode())
        assert PASSPHRASE.encode() not in shown

    def test_a_profile_may_be_pickled(self):
        profile = heirmark.Profile.find("tournament-2026-11")
        assert pickle.loads(pickle.dumps(profile)) == profile and (profile.window, profile.layers, profile.scheme) == (4, 30, "tournament")

    def test_files_are_written_by_nobody_else(self):
        """The package has no call that writes a secret to a file: the modes of such files are the caller's, or the command's."""
        assert not [name for cls in (heirmark.Subkeys, heirmark.Opening, heirmark.Keystore) for name in dir(cls) if "write" in name or "save" in name]


def test_keys_may_go_before_their_sampler():
    import gc
    keys = heirmark.Subkeys.from_bytes(subkeys_bytes())
    sampler = heirmark.Sampler(keys, vocab_size=1003, device="cpu")
    sequence = sampler.begin(request_id=b"twelve bytes")
    del keys
    gc.collect()
    token = sampler.sample(logits_of(1, 1), [sequence]).token[0]
    name = sequence.account
    del sampler
    gc.collect()
    assert (sequence.position, sequence.account, sequence.request_id, name) == (1, "default", b"twelve bytes", "default")
    again = make_sampler()
    assert again.sample(logits_of(1, 1), [again.begin(request_id=b"twelve bytes")]).token[0] == token
    copy_of = sequence.clone()
    del sequence
    gc.collect()
    assert again.sample(logits_of(1, 2), [copy_of]).token[0] >= 0


def test_half_made_objects_do_not_crash():
    for cls in (heirmark.Subkeys, heirmark.Sampler, heirmark.Sequence, heirmark.Opening, heirmark.Keystore, heirmark.Sampled, heirmark.Detection, heirmark.Plan):
        with pytest.raises(TypeError):
            cls()
        made = cls.__new__(cls)
        with pytest.raises(TypeError), pytest.warns(RuntimeWarning, match="uninitialized"):
            repr(made)
