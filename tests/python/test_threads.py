"""Several threads on one sampler; the interpreter's lock; a sequence in two threads."""
import threading
import time

import numpy as np
import pytest

import heirmark
from support import logits_of, make_sampler, request

VOCAB = 20011


def run_all(count, target):
    errors = []
    def guarded(i):
        try:
            target(i)
        except BaseException as error:  # noqa: BLE001: handed to the test
            errors.append(error)
    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    if errors:
        raise errors[0]


@pytest.mark.parametrize("own_threads", [1, 2])
def test_one_sampler_many_threads(own_threads):
    sampler = make_sampler(vocab_size=VOCAB, threads=own_threads)
    logits = [logits_of(3, step, VOCAB) for step in range(8)]
    def tokens(i):
        sequences = [sampler.begin(request_id=request(3 * i + j)) for j in range(3)]
        return [sampler.sample(x, sequences, heirmark.Params(top_p=0.9)).token.tolist() for x in logits for _ in range(3)]
    alone, together = [tokens(i) for i in range(6)], [None] * 6
    def work(i):
        together[i] = tokens(i)
    run_all(6, work)
    assert together == alone


def test_sampling_lets_others_run():
    """A call of some tenths of a second: another thread counts meanwhile."""
    sampler = make_sampler(vocab_size=1 << 18, max_rows=256)
    logits = np.broadcast_to(logits_of(1, 1, 1 << 18), (1, 1 << 18))
    rows = 128
    logits = np.repeat(logits, rows, axis=0)
    sequences = [sampler.begin() for _ in range(rows)]
    times = []
    thread = threading.Thread(target=lambda: times.append(timed(lambda: sampler.sample(logits, sequences, heirmark.Params(top_p=0.95)))))
    counted = 0
    thread.start()
    while thread.is_alive():
        thread.join(0.002)
        counted += 1
    assert counted > 3, f"{counted} turns in {times[0]:.2f} s"


def timed(call):
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def test_a_sequence_in_two_threads_is_refused_and_stays_whole():
    sampler = make_sampler(vocab_size=VOCAB)
    sequence, logits = sampler.begin(request_id=request(1)), logits_of(1, 1, VOCAB)
    taken, refused = [], []
    def work(_):
        for _ in range(200):
            try:
                taken.append(sampler.sample(logits, [sequence]).token[0])
            except heirmark.UsageError as error:
                assert "another row or call" in str(error)
                refused.append(1)
    run_all(4, work)
    assert sequence.position == len(taken) and len(taken) + len(refused) == 800


def test_what_a_running_call_holds_cannot_be_touched():
    """While a slow call runs, accept, clone, rows and a second call on its sequence are refused."""
    sampler = make_sampler(vocab_size=1 << 20)
    sequence, logits = sampler.begin(), logits_of(1, 1, 1 << 20).repeat(64, axis=0)
    others = [sampler.begin() for _ in range(63)]
    thread = threading.Thread(target=lambda: sampler.sample(logits, [sequence, *others], heirmark.Params(top_p=0.95)))
    thread.start()
    seen = set()
    while thread.is_alive():
        for name, call in (("accept", lambda: sequence.accept([])), ("clone", sequence.clone), ("rows", lambda: sampler.rows([sequence]))):
            try:
                call()
            except heirmark.UsageError:
                seen.add(name)
        thread.join(0.001)
    assert seen == {"accept", "clone", "rows"} and sequence.position == 1
    sequence.accept(5)
    assert sequence.clone().position == 2


def test_sequences_and_arrays_that_nobody_else_holds():
    """All arguments are temporaries: the call keeps them alive while it runs without the lock."""
    sampler = make_sampler(vocab_size=VOCAB)
    def work(i):
        for step in range(20):
            out = sampler.sample(logits_of(2, step, VOCAB)[:, :VOCAB], (sampler.begin(request_id=request(j)) for j in range(2)), heirmark.Params())
            assert (out.token >= 0).all()
    run_all(4, work)
