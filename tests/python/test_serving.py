"""What the engines' integrations share: configuration, requests, policy, counters."""
import contextlib
import datetime
import json
import threading

import numpy as np
import pytest

import heirmark
import heirmark.serving
from heirmark.serving import Config, Policy, Service, VARIABLE, Wish
from support import VOCAB, logits_of, make_sampler, subkeys_bytes

MONTH = heirmark.serving._month  # as it is; each test has another in its place


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "subkeys.json").write_bytes(subkeys_bytes())
    (tmp_path / "subkeys.json").chmod(0o600)
    return tmp_path


def write(folder, **members):
    path = folder / "heirmark.json"
    path.write_text(json.dumps({"subkeys": "subkeys.json", **members}))
    return path


def service(folder, recorder=None, **members):
    return Service(Config.read(write(folder, **members)), vocab_size=VOCAB, recorder=recorder)


class TestConfig:
    def test_read(self, folder):
        config = Config.read(write(folder, account="birch", policy="serve-unmarked-and-count", ledger="issued"))
        assert config == Config(folder / "subkeys.json", "birch", Policy.SERVE_UNMARKED, folder / "issued")
        assert Config.read(write(folder)) == Config(folder / "subkeys.json", None, Policy.FAIL_CLOSED, None)
        assert Config.read(write(folder, subkeys="/etc/keys.json")).subkeys.as_posix() == "/etc/keys.json"

    def test_by_the_environment(self, folder):
        path = write(folder)
        assert Config.from_environment({VARIABLE: str(path)}) == Config.read(path)
        for empty in ({}, {VARIABLE: ""}):
            with pytest.raises(heirmark.UsageError, match=VARIABLE):
                Config.from_environment(empty)

    @pytest.mark.parametrize(("text", "words"), [
        ("", "line 1"), ("{", "line 1"), ("[]", "object"), ("{}", '"subkeys": missing'), ('{"subkeys":"a","subkey":"b"}', 'unknown member "subkey"'), ('{"subkeys":5}', '"subkeys": expected a string'),
        ('{"subkeys":""}', '"subkeys": expected a string'), ('{"subkeys":"a","policy":"open"}', '"policy": expected "fail-closed" or'), ('{"subkeys":"a","account":"Not One"}', '"account"'),
        ('{"subkeys":"a","subkeys":"b"}', "twice"), ('{"subkeys":"a","ledger":null}', '"ledger"'), ('{"subkeys":"a","epoch":"2026-13"}', '"epoch"'), ('{"subkeys":\n"a",}', "line 2"), (b"\xff\xfe", "UTF-8"),
        ('{"subkeys":"a","model":"m\\u00fc"}', '"model": expected 1 to 256 printable ASCII'), ('{"subkeys":"a","model":"%s"}' % ("m" * 257), '"model": expected 1 to 256 printable ASCII'),
        ('{"subkeys":"a","account":"\\ud800"}', '"account"'), ('{"subkeys":"a","account":"\u00fc"}', '"account"'), ('{"subkeys":"\\ud800"}', '"subkeys": holds'), ('{"subkeys":"a\\u0000b"}', '"subkeys": holds'),
        ('{"subkeys":"a","ledger":"a\\nb"}', '"ledger": holds'), ('{"subkeys":%s}' % ("1" * 5000), '"subkeys": expected a string'), ('{"subkeys":"a","x\\ud800\\n":1}', 'unknown member "x\\ud800\\n"'),
        ("[" * 200_000, "nested"),
    ], ids=lambda value: str(value)[:20])
    def test_bad_ones_are_named(self, folder, text, words):
        path = folder / "bad.json"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(heirmark.BadInputError) as error:
            Config.read(path)
        message = str(error.value)
        assert message.startswith(f"{path}: ") and words in message and "\n" not in message and message.encode()

    def test_a_models_longest_name(self, folder):
        assert len(Config.read(write(folder, model="acme 70b~" + "m" * 247)).model) == 256

    def test_missing(self, folder):
        with pytest.raises(heirmark.BadInputError, match="No such file"):
            Config.read(folder / "none.json")

    def test_a_server_with_a_bad_configuration_does_not_start(self, folder):
        with pytest.raises(heirmark.KeyAccessError, match="pine"):
            service(folder, account="pine")
        with pytest.raises(heirmark.BadInputError, match="no ledger here"):
            service(folder, ledger="issued")
        with pytest.raises(heirmark.BadInputError, match="none.json"):
            service(folder, subkeys="none.json")
        (folder / "subkeys.json").chmod(0o644)
        with pytest.raises(heirmark.KeyAccessError):
            service(folder)


class TestWish:
    @pytest.mark.parametrize(("given", "words"), [
        ({"heirmark_account": "\ud800"}, "heirmark_account"), ({"heirmark_account": "\u00fc"}, "heirmark_account"), ({"heirmark_account": "a\0"}, "heirmark_account"),
        ({"heirmark_\ud800\n": 1}, '"heirmark_\\ud800\\n"'), ({"heirmark" + "x" * 1000: 1}, '"heirmark' + "x" * 56 + '"'), ({"heirmark_mark": "\ud800"}, "heirmark_mark"),
    ], ids=lambda value: ascii(value)[:30])
    def test_bad_ones_are_the_clients_fault(self, given, words):
        """A UsageError, which engines answer with 400, in a line that can be written anywhere."""
        with pytest.raises(heirmark.UsageError) as error:
            Wish.of(given, "argument")
        message = str(error.value)
        assert words in message and message.isascii() and "\n" not in message


class TestEpoch:
    """The keys in these tests are of 2026-11."""

    @pytest.mark.parametrize(("month", "words"), [("2026-12", "the epoch 2026-11 is over"), ("2026-10", "the epoch 2026-11 has not begun")])
    def test_keys_of_another_month_do_not_start_a_server(self, folder, monkeypatch, month, words):
        monkeypatch.setattr(heirmark.serving, "_month", lambda: month)
        for policy in Policy:
            with pytest.raises(heirmark.KeyAccessError, match=words):
                service(folder, policy=policy.value)
        assert service(folder, epoch="2026-11").begin([1]).marked

    def test_keys_of_another_month_than_the_configuration_names(self, folder):
        with pytest.raises(heirmark.KeyAccessError, match="keys of 2026-11, and the configuration names 2026-12"):
            service(folder, epoch="2026-12")

    def test_a_server_that_runs_on_goes_on_and_counts(self, folder, monkeypatch):
        here, named = service(folder), service(folder, epoch="2026-11")
        here.begin([1])
        monkeypatch.setattr(heirmark.serving, "_month", lambda: "2026-12")
        assert here.begin([1]).marked and named.begin([1]).marked
        here.begin([1], marked=False)
        assert here.counters.snapshot() == {"requests.epoch-over": 1, "requests.marked": 2, "requests.opted-out": 1}
        assert named.counters.snapshot() == {"requests.marked": 1}

    def test_the_month_is_that_of_utc(self):
        before, month, after = (datetime.datetime.now(datetime.timezone.utc), MONTH(), datetime.datetime.now(datetime.timezone.utc))
        assert month in {f"{t.year:04}-{t.month:02}" for t in (before, after)}


class TestRequests:
    def test_tokens_are_the_samplers(self, folder):
        here, sampler = service(folder, account="birch"), make_sampler()
        requests = [here.begin([i, i + 1], temperature=0.9, top_k=20 + i, top_p=0.95, min_p=0.001) for i in range(4)]
        sequences = [sampler.begin(request_id=r.sequence.request_id, prompt=r.prompt, account="birch") for r in requests]
        asked = [heirmark.Params(temperature=0.9, top_k=20 + i, top_p=0.95, min_p=0.001) for i in range(4)]
        for step in range(12):
            logits = logits_of(4, step)
            expected = sampler.sample(logits, sequences, asked)
            assert here.sample(logits, requests) == expected.token.tolist()
        counts = here.counters.snapshot()
        assert counts["requests.marked"] == 4 and counts["tokens.marked"] + counts["tokens.issued"] == 48 and all(len(r.tokens) == 12 for r in requests)

    def test_accounts(self, folder):
        assert service(folder).begin([]).account == "default" and service(folder, account="birch").begin([]).account == "birch"
        assert service(folder, account="birch").begin([], account="default").sequence.account == "default"

    def test_names(self, folder):
        here = service(folder)
        one = here.begin([1], key="req-1")
        with pytest.raises(heirmark.UsageError, match="req-1"):
            here.begin([1], key="req-1")
        assert here.get("req-1") is one and here.get("req-2") is None and here.live() == 1
        here.end(one)
        here.end(one)
        again = here.begin([1], key="req-1")
        here.end(one)  # the one before: nothing of the new one's
        assert here.get("req-1") is again and again.sequence.request_id != one.sequence.request_id
        assert len({here.begin([]).key for _ in range(50)}) == 50
        assert "subkeys" not in repr(again) and "req-1" in repr(again)

    def test_opting_out_is_no_fault_whatever_the_policy(self, folder):
        for policy in Policy:
            here = service(folder, policy=policy.value)
            requests = [here.begin([], marked=False), here.begin([]), here.begin([], marked=False), here.begin([])]
            alone = make_sampler()
            expected = alone.sample(logits_of(4, 1)[[1, 3]], [alone.begin(request_id=requests[i].sequence.request_id) for i in (1, 3)]).token.tolist()
            assert here.sample(logits_of(4, 1), requests) == [None, expected[0], None, expected[1]]
            assert here.counters.snapshot()["requests.opted-out"] == 2 and here.counters.snapshot()["requests.marked"] == 2
            assert here.sample(logits_of(1, 1), requests[:1]) == [None]

    def test_fail_closed(self, folder):
        here = service(folder)
        with pytest.raises(heirmark.KeyAccessError, match="cannot be marked"):
            here.begin([], account="pine")
        with pytest.raises(heirmark.UsageError, match="typical_p"):
            here.begin([], unsupported="typical_p")
        with pytest.raises(heirmark.UsageError, match="temperature"):
            here.begin([], temperature=1e-9)
        with pytest.raises(heirmark.UsageError, match="top_k is from 0"):
            here.begin([], top_k=-1)
        requests = [here.begin([]) for _ in range(3)]
        logits = logits_of(3, 1)
        logits[1] = -np.inf
        with pytest.raises(heirmark.BadInputError, match=f"{requests[1].key}.*no-finite-logit"):
            here.sample(logits, requests)
        assert [len(r.tokens) for r in requests] == [1, 0, 1]
        counts = here.counters.snapshot()
        assert [counts[name] for name in ("requests.unknown-account", "requests.unsupported-typical_p", "requests.bad-parameter", "tokens.no-finite-logit")] == [1, 1, 2, 1]
        assert here.live() == 3

    def test_serve_and_count(self, folder):
        here = service(folder, policy="serve-unmarked-and-count")
        requests = [here.begin([], account="pine"), here.begin([], unsupported="top_h"), here.begin([]), here.begin([]), here.begin([])]
        assert [r.marked for r in requests] == [False, False, True, True, True] and requests[0].reason == "unknown-account"
        logits = logits_of(5, 1)
        logits[3], logits[4, 7] = np.nan, np.inf
        bad = [here.begin([], top_p=7), here.begin([], temperature="hot")]
        assert not any(r.marked for r in bad) and {r.reason for r in bad} == {"bad-parameter"}
        tokens = here.sample(logits, requests)
        assert tokens[:2] == [None, None] and tokens[2] is not None and tokens[3:] == [None, 7]
        assert here.sample(logits[:2], bad) == [None] * 2
        counts = here.counters.snapshot()
        assert {name: counts[name] for name in counts if "." in name and name not in ("tokens.marked", "tokens.issued", "requests.marked")} == {
            "requests.unknown-account": 1, "requests.unsupported-top_h": 1, "requests.bad-parameter": 2, "tokens.no-finite-logit": 1, "tokens.infinite-logit": 1}

    @pytest.mark.parametrize("prompt", [[5, -1], [2**32 - 1], [2**40], ["five"], [None]], ids=str)
    def test_a_prompt_of_other_things_than_tokens_is_that_requests_fault(self, folder, prompt):
        closed = service(folder)
        with pytest.raises(heirmark.UsageError, match="cannot be marked"):
            closed.begin(prompt)
        assert closed.live() == 0 and closed.counters.snapshot()["requests.bad-prompt"] == 1
        serving = service(folder, policy="serve-unmarked-and-count")
        request = serving.begin(prompt)
        assert not request.marked and request.reason == "bad-prompt" and serving.sample(logits_of(1, 1), [request]) == [None]
        serving.end(request)

    def test_what_no_ledger_takes_is_not_begun_or_not_recorded(self, folder):
        store = heirmark.Keystore.create(folder / "keys", "no secret", opslimit=1, memlimit=8192)
        heirmark.make_ledger(folder / "ledger", store)
        for prompt in ([2**20], [1] * 2**20):
            with contextlib.closing(Service(Config.read(write(folder, ledger="ledger", model="m")), vocab_size=VOCAB)) as closed:
                with pytest.raises(heirmark.UsageError, match="cannot be recorded"):
                    closed.begin(prompt)
                assert closed.live() == 0 and closed.counters.snapshot()["requests.unrecordable"] == 1
            with contextlib.closing(Service(Config.read(write(folder, ledger="ledger", model="m", policy="serve-unmarked-and-count")), vocab_size=VOCAB)) as serving:
                request, other = serving.begin(prompt), serving.begin([1])
                assert None not in serving.sample(logits_of(2, 1), [request, other])
                serving.end(request)
        # The last token may be the one too many: that ends no engine, and keeps nobody else's response from the ledger.
        with contextlib.closing(Service(Config.read(write(folder, ledger="ledger", model="m")), vocab_size=VOCAB)) as closed:
            request, other = closed.begin([1] * (2**20 - 1)), closed.begin([1])
            for _ in range(3):
                closed.sample(logits_of(2, 1), [request, other])
        assert closed.counters.snapshot()["responses.unrecorded"] == 1
        assert heirmark.verify_ledger(folder / "ledger", store=store).responses == 3

    def test_greedy_is_counted(self, folder):
        here = service(folder)
        request = here.begin([], temperature=0)
        assert here.sample(logits_of(1, 1), [request]) == [int(logits_of(1, 1).argmax())]
        assert here.counters.snapshot()["tokens.unmarked"] == 1


class TestSync:
    def start(self, folder):
        here = service(folder)
        request = here.begin([1, 2, 3])
        for step in range(6):
            here.sample(logits_of(1, step), [request])
        return here, request

    def test_what_the_request_knows(self, folder):
        here, request = self.start(folder)
        before = here.sampler.rows([request.sequence]).tobytes()
        here.sync(request, request.tokens)
        assert here.sampler.rows([request.sequence]).tobytes() == before

    def test_what_the_engine_added(self, folder):
        here, request = self.start(folder)
        twin = request.sequence.clone()
        here.sync(request, request.tokens + [7, 8])
        twin.accept([7, 8])
        assert here.sampler.rows([request.sequence]).tobytes() == here.sampler.rows([twin]).tobytes() and request.sequence.position == 8 == len(request.tokens)
        assert "restarts" not in here.counters.snapshot()

    @pytest.mark.parametrize("change", [lambda t: t[:-1] + [999], lambda t: t[:-1], lambda t: [999] + t[1:]])
    def test_what_the_engine_replaced(self, folder, change):
        here, request = self.start(folder)
        old, now = request.sequence.request_id, change(request.tokens)
        here.sync(request, now)
        assert request.sequence.request_id != old and request.prompt == [1, 2, 3] and request.tokens == now and request.sequence.position == 0
        assert here.counters.snapshot()["restarts"] == 1
        row = here.sampler.rows([request.sequence])[0]
        assert row["window"].tolist()[2:] == now[-2:]
        here.sample(logits_of(1, 9), [request])
        here.sync(request, request.tokens)
        assert len(request.tokens) == len(now) + 1 and request.sequence.position == 1 and here.counters.snapshot()["restarts"] == 1

    def test_of_an_unmarked_request(self, folder):
        here = service(folder)
        request = here.begin([1], marked=False)
        here.sync(request, [5])
        here.sync(request, [6])
        assert request.sequence is None and here.counters.snapshot() == {"requests.opted-out": 1}


def test_a_recorder_is_told_of_every_token(folder):
    told = []
    class Recorder:
        def begin(self, request):
            told.append(("begin", request.key))
        def token(self, request, token, status, phat):
            told.append(("token", request.key, token, phat))
        def end(self, request):
            told.append(("end", request.key))
    here = service(folder, recorder=Recorder(), ledger="issued")
    one, out = here.begin([], key="a", top_k=4), here.begin([], key="b", marked=False)
    tokens = [here.sample(logits_of(2, step), [one, out])[0] for step in range(3)]
    here.end(out)
    here.end(one)
    assert [t[:2] for t in told] == [("begin", "a"), *[("token", "a")] * 3, ("end", "a")] and [t[2] for t in told[1:4]] == tokens
    for _, _, token, phat in told[1:4]:
        assert len(phat) == 4 and token in [t for t, _ in phat] and sum(p for _, p in phat) <= 2**32 and phat == sorted(phat, key=lambda entry: (-entry[1], entry[0]))


def test_many_threads(folder):
    here = service(folder)
    def work():
        for _ in range(50):
            request = here.begin([1])
            here.sample(logits_of(1, 1), [request])
            here.end(request)
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts = here.counters.snapshot()
    assert counts["requests.marked"] == 200 == counts.get("tokens.marked", 0) + counts.get("tokens.issued", 0) and here.live() == 0
