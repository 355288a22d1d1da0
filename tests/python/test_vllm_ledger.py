"""What the vLLM plugin tells the ledger, among a stand-in for the engine."""
import gc
import json
import logging
import random
import subprocess
import threading
import time
import types

import pytest

import heirmark
import heirmark.vllm
from heirmark.serving import Config, Service
from support import HEIRMARK
from vllm_stand_in import EOS, VOCAB, Call, Engine, sampling, start


def test_a_recorder_is_told_what_was_kept(start, tmp_path):
    told = []
    recorder = types.SimpleNamespace(begin=lambda r: told.append(("begin", r.key)), token=lambda r, t, status, phat: told.append((t, phat)), end=lambda r: told.append(("end", r.key)))
    start()
    processor = heirmark.vllm.LogitsProcessor.__new__(heirmark.vllm.LogitsProcessor)
    processor._serve(Service(Config.read(tmp_path / "heirmark.json"), vocab_size=VOCAB, recorder=recorder), 64)
    engine = Engine(processor)
    engine.run([Call(1, [1], sampling(top_k=5), length=4, chunks=3)])
    gc.collect()
    engine.step([])
    assert [t[0] for t in told][0] == "begin" and told[-1][0] == "end" and len(told) == 6
    for token, phat in told[1:-1]:
        assert token in [t for t, _ in phat] and len(phat) == 5


class TestALedgerThatFails:
    """A response that begins again while the ledger cannot write is ended, and no other; the engine, and the thread that looks after it at rest, go on."""

    @pytest.fixture
    def failing(self, start, tmp_path):
        class Recorder:
            down = False

            def __init__(self):
                self.ended = []

            def begin(self, request):
                if self.down:
                    raise heirmark.IOFailureError("disk full")

            def token(self, request, token, status, phat):
                pass

            def end(self, request):
                self.ended.append(list(request.tokens))
        start()
        recorder = Recorder()
        processor = heirmark.vllm.LogitsProcessor.__new__(heirmark.vllm.LogitsProcessor)
        processor._serve(Service(Config.read(tmp_path / "heirmark.json"), vocab_size=VOCAB, recorder=recorder), 64)
        engine = Engine(processor)
        one, other = Call(1, [7, 8], sampling(), length=40), Call(2, [9], sampling(), length=40)
        for _ in range(5):
            engine.step([one, other])
        return processor, recorder, engine, one, other

    def test_in_the_engines_step(self, failing, caplog):
        processor, recorder, engine, one, other = failing
        requests = [row.request for row in processor._rows.values()]
        recorder.down = True
        del one.output[2:]
        with caplog.at_level(logging.ERROR, "vllm.heirmark"):
            for _ in range(3):
                engine.step([one, other])
        assert one.output[2:] == [EOS] * 3 and "disk full" in caplog.text and processor._service.live() == 1
        assert processor._rows[1].request is requests[1] and requests[1].tokens == other.output[:-1] and len(other.output) == 8

    def test_greedy_rows_need_no_ledger(self, failing, caplog):
        """They are not marked and not recorded, and nothing could end them."""
        processor, recorder, engine, _, _ = failing
        recorder.down, call = True, Call(3, [1], sampling(temperature=0.0), length=5)
        with caplog.at_level(logging.ERROR, "vllm.heirmark"):
            engine.run([call])
        assert len(call.output) == 5 and EOS not in call.output and caplog.text == "" and processor.counters.snapshot()["tokens.unmarked"] == 5

    def test_at_rest(self, failing):
        processor, recorder, engine, one, other = failing
        recorder.down = True
        del one.output[2:]
        with processor._busy:
            processor._settle()
        assert processor._service.live() == 0 and all(row.request is None for row in processor._rows.values())
        engine.step([one, other])
        assert one.output[2:] == other.output[5:] == [EOS]

    def test_at_the_end(self, failing, monkeypatch):
        processor, recorder, engine, one, other = failing
        recorder.down, closed, close = True, [], processor._service.close
        monkeypatch.setattr(processor._service, "close", lambda seconds: closed.append(close(seconds)))
        del one.output[2:]
        processor.close()
        assert closed == [None] and processor._service.live() == 0 and sorted(map(len, recorder.ended)) == [2, 5]


class TestTheLedger:
    """What was served stands in the ledger, once, whatever the batch did, and before anybody asks again."""

    @pytest.fixture
    def recorded(self, start, tmp_path, monkeypatch):
        monkeypatch.setattr(heirmark.vllm, "_REST_SECONDS", 2.0)
        store = heirmark.Keystore.create(tmp_path / "keys", "a passphrase", opslimit=1, memlimit=8192)
        heirmark.make_ledger(tmp_path / "ledger", store)
        processor = start(ledger="ledger", model="model-v")

        def lines():
            done = subprocess.run([HEIRMARK, "ledger", "export", tmp_path / "ledger", "-o", "-", "--keystore", tmp_path / "keys", "--passphrase-fd", "0"], input=b"a passphrase\n",
                                  capture_output=True, check=False)
            return [json.loads(line) for line in done.stdout.splitlines()]
        return processor, lines, tmp_path

    def test_has_what_was_served(self, recorded):
        processor, lines, folder = recorded
        engine = Engine(processor)
        calls = [Call(n, [n, n + 1], sampling(top_k=20), length=3 + n % 4, chunks=1 + n % 2) for n in range(12)]
        engine.run(calls, shuffle=random.Random(5))
        processor.close()
        assert sorted((line["prompt"], line["tokens"]) for line in lines()) == sorted((call.prompt, call.output) for call in calls)
        assert heirmark.verify_ledger(folder / "ledger").problems == []

    def test_an_engine_at_rest(self, recorded, monkeypatch):
        processor, lines, _ = recorded
        engine = Engine(processor)
        call = Call(1, [1], sampling(), length=6)
        for _ in range(3):
            engine.step([call])
        deadline = time.monotonic() + 20
        while processor._service.counters.snapshot().get("tokens.marked", 0) + processor._service.counters.snapshot().get("tokens.issued", 0) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        while not (found := lines()) and time.monotonic() < deadline:
            time.sleep(0.2)
        first = list(call.output)
        assert [line["tokens"] for line in found] == [first]
        for _ in range(3):  # it was only slow: what follows is a response of its own
            engine.step([call])
        processor.close()
        assert not any(thread.name == "heirmark-ledger" for thread in threading.enumerate()), "a thread that outlives the interpreter keeps keys from being wiped"
        assert [(line["prompt"], line["tokens"]) for line in lines()] == [([1], first), ([1, *first], call.output[3:])]
        assert len({line["request_id"] for line in lines()}) == 2
