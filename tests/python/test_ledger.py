"""The issuance ledger from Python: what is written is what a reader opens; and the recorder of the engines' integrations."""
import json
import pickle
import sqlite3
import subprocess
import threading

import numpy as np
import pytest

import heirmark
from heirmark.serving import Config, Service
from support import HEIRMARK, VOCAB, logits_of, make_sampler, request, subkeys_bytes

KEY_ID = f"{1:016x}"


@pytest.fixture
def made(tmp_path):
    """A folder with a keystore, a ledger, and a subkeys file."""
    store = heirmark.Keystore.create(tmp_path / "keys", "a passphrase", opslimit=1, memlimit=8192)
    identity = heirmark.make_ledger(tmp_path / "ledger", store)
    assert len(identity) == 16
    (tmp_path / "subkeys.json").write_bytes(subkeys_bytes())
    (tmp_path / "subkeys.json").chmod(0o600)
    return tmp_path, store


def exported(folder, *more):
    """The responses, as `heirmark ledger export` opens them."""
    done = subprocess.run([HEIRMARK, "ledger", "export", folder / "ledger", "-o", "-", "--keystore", folder / "keys", "--passphrase-fd", "0", *more], input=b"a passphrase\n",
                          capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_what_was_sampled_comes_back(made):
    folder, store = made
    sampler = make_sampler()
    seq = sampler.begin(request_id=request(1), prompt=[4, 5], account="birch")
    issued = heirmark.Issued(request(1), "birch", [4, 5])
    tokens, phats = [], []
    for step in range(12):
        out = sampler.sample(logits_of(1, step), [seq], heirmark.Params(temperature=0.7), top=True)
        issued.add(int(out.token[0]), out.status[0], out.phat(0))
        tokens.append(int(out.token[0]))
        phats.append([list(entry) for entry in out.phat(0) if entry[1] > 0])
    issued.add(9, heirmark.RowStatus.UNMARKED)  # the engine's own
    assert len(issued) == 13 and issued.marked_tokens == 12
    with heirmark.Ledger.open(folder / "ledger", model="model-p", key_id=KEY_ID) as ledger:
        ticket = ledger.append(issued)
        assert ticket == 1 and len(issued) == 0
        ledger.wait(ticket)
        assert ledger.state.durable == 1 and ledger.state.records == 1 and ledger.state.error == ""
        with pytest.raises(heirmark.BadInputError, match="appended already"):
            ledger.append(issued)
    assert heirmark.verify_ledger(folder / "ledger").problems == []
    check = heirmark.verify_ledger(folder / "ledger", store=store)
    assert (check.problems, check.opened, check.covered, check.tokens, check.marked_tokens) == ([], 1, 1, 13, 12)
    [line] = exported(folder)
    assert line["tokens"] == [*tokens, 9] and line["prompt"] == [4, 5] and line["account"] == "birch" and line["request_id"] == request(1).hex()
    assert line["phat"] == [*phats, [[9, 2**32 - 1]]]


def test_two_likely_tokens_of_one_probability(made):
    """Logits that differ may give one p when it is rounded down: the sampler lists them by logit, the ledger by id."""
    folder, _ = made
    sampler, issued = make_sampler(), heirmark.Issued(request(1), "default")
    logits = np.full((1, VOCAB), -40, dtype=np.float32)
    logits[0, :40] = np.linspace(-21, -20, 40)  # p of 3 to 8, rising with the id
    logits[0, 50] = 0
    sampled = sampler.sample(logits, [sampler.begin(request_id=request(1))], top=True)
    phat = sampled.phat(0)
    assert len(phat) == 16 and phat != sorted(phat, key=lambda entry: (-entry[1], entry[0]))
    issued.add(int(sampled.token[0]), int(sampled.status[0]), phat)
    with heirmark.Ledger.open(folder / "ledger", model="m", key_id=KEY_ID) as ledger:
        ledger.append(issued)
    (line,) = exported(folder)
    assert line["phat"] == [[list(entry) for entry in sorted(phat, key=lambda entry: (-entry[1], entry[0]))]]


def test_wrong_use(made):
    folder, _ = made
    issued = heirmark.Issued(request(1), "default")
    for wrong in ([(1, 2), (1, 1)], [(1, 1), (1, 1)], [(2**20, 1)], [(-1, 1)], [(1, -1)], [(1, 2**32)]):
        with pytest.raises(heirmark.BadInputError):
            issued.add(1, heirmark.RowStatus.ISSUED, wrong)
    for wrong in ([1], ["ab"], [(1.5, 2)]):
        with pytest.raises(TypeError):
            issued.add(1, 0, wrong)
    for token in (-1, 2**20):
        with pytest.raises(heirmark.BadInputError):
            issued.add(token, 0)
    with pytest.raises(heirmark.BadInputError):
        issued.add(1, 7)
    assert len(issued) == 0
    with pytest.raises(heirmark.UsageError):
        heirmark.Issued(b"short", "default")
    with pytest.raises(TypeError):
        heirmark.Issued(None, "default")
    with pytest.raises(heirmark.BadInputError, match="no ledger here"):
        heirmark.Ledger.open(folder / "none", model="m")
    with pytest.raises(heirmark.UsageError):
        heirmark.Ledger.open(folder / "ledger", model="m", key_id="x")
    with pytest.raises(heirmark.UsageError):
        heirmark.Ledger.open(folder / "ledger", model="m", linger=-1)
    ledger = heirmark.Ledger.open(folder / "ledger", model="m")
    with pytest.raises(heirmark.IOFailureError, match="another server"):
        heirmark.Ledger.open(folder / "ledger", model="m")
    for secret in (ledger, issued):
        with pytest.raises(TypeError):
            pickle.dumps(secret)
    ledger.close()
    ledger.close()
    assert "closed" in repr(ledger)
    issued.add(1, 2)
    with pytest.raises(heirmark.UsageError, match="closed"):
        ledger.append(issued)


def test_many_threads(made):
    folder, store = made
    with heirmark.Ledger.open(folder / "ledger", model="m", key_id=KEY_ID) as ledger:
        def work(thread):
            for i in range(50):
                issued = heirmark.Issued(bytes([thread, i]) + bytes(10), "default")
                issued.add(i, heirmark.RowStatus.ISSUED, [(i, 77)])
                ledger.wait(ledger.append(issued)) if i % 10 == 0 else ledger.append(issued)
        threads = [threading.Thread(target=work, args=(t,)) for t in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert heirmark.verify_ledger(folder / "ledger", store=store).opened == 200
    assert len({line["request_id"] for line in exported(folder)}) == 200


class TestService:
    def service(self, folder, **members):
        (folder / "heirmark.json").write_text(json.dumps({"subkeys": "subkeys.json", "ledger": "ledger", "model": "model-s", **members}))
        return Service(Config.read(folder / "heirmark.json"), vocab_size=VOCAB)

    def test_every_marked_response_is_recorded_whole(self, made):
        folder, store = made
        here = self.service(folder)
        one, two, out = here.begin([1, 2], account="birch"), here.begin([3]), here.begin([4], marked=False)
        given = {}
        for step in range(5):
            for which, token in zip((one, two, out), here.sample(logits_of(3, step), [one, two, out])):
                if token is not None:
                    given.setdefault(which, []).append(token)
        here.sync(two, [*two.tokens, 11, 12])  # a grammar's
        given[two] += [11, 12]
        cut = list(given[one])
        here.sync(one, cut[:3])  # the engine took two tokens back
        assert cut[:3] == one.tokens
        after = [here.sample(logits_of(1, 9), [one])[0]]
        for which in (one, two, out):
            here.end(which)
        here.close()
        lines = exported(folder)
        assert sorted((line["account"], line["prompt"], line["tokens"]) for line in lines) == sorted([("birch", [1, 2], cut[:3]), ("birch", [1, 2, *cut[:3]], after), ("default", [3], given[two])])
        assert len({line["request_id"] for line in lines}) == 3
        forced = next(line for line in lines if line["account"] == "default")["phat"][5:]
        assert forced == [[[11, 2**32 - 1]], [[12, 2**32 - 1]]]
        check = heirmark.verify_ledger(folder / "ledger", store=store)
        assert check.problems == [] and check.covered == check.records == 3

    def test_a_token_that_was_drawn_for_a_row_that_had_ended(self, made):
        folder, _ = made
        here = self.service(folder)
        one = here.begin([1])
        for step in range(3):
            here.sample(logits_of(1, step), [one])
        given = one.tokens[:2]
        one.tokens.pop()  # as the integration of transformers does
        here.end(one)
        here.close()
        assert exported(folder)[0]["tokens"] == given

    def test_close_ends_what_is_live(self, made):
        folder, store = made
        here = self.service(folder)
        one = here.begin([1])
        here.sample(logits_of(1, 0), [one])
        here.begin([2])  # without a token: nothing to record
        here.close()
        assert here.live() == 0 and heirmark.verify_ledger(folder / "ledger", store=store).opened == 1

    @pytest.mark.parametrize("policy", ["fail-closed", "serve-unmarked-and-count"])
    def test_while_the_ledger_cannot_write(self, made, policy):
        folder, _ = made
        here = self.service(folder, policy=policy)
        first = here.begin([1])
        here.sample(logits_of(1, 0), [first])
        lock = sqlite3.connect(folder / "ledger" / "ledger.db", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        here.end(first)
        ledger = here._ledger._ledger
        with pytest.raises(heirmark.IOFailureError, match="locked by another program"):
            ledger.wait(1, 4.0)
        if policy == "fail-closed":
            with pytest.raises(heirmark.IOFailureError, match="cannot be recorded: .*locked"):
                here.begin([2], key="again")
            assert here.counters.snapshot()["requests.ledger-fails"] == 1
        else:
            second = here.begin([2], key="again")
            here.sample(logits_of(1, 0), [second])
            here.end(second)
        lock.execute("ROLLBACK")
        lock.close()
        ledger.wait(1, 10.0)
        here.end(here.begin([2], key="again"))
        here.close()
        assert heirmark.verify_ledger(folder / "ledger").responses == (1 if policy == "fail-closed" else 2)

    def test_two_services_on_one_ledger(self, made):
        folder, _ = made
        here = self.service(folder)
        with pytest.raises(heirmark.IOFailureError, match="another server"):
            self.service(folder)
        here.close()
