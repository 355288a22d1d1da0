"""The contract of the sampler backend, by a stand-in for SGLang 0.5.23: its scheduler's batches, chunks, retractions and overlap, and the interface of its Sampler.
engines/test_sglang_source.py holds the stand-in against SGLang's own source."""
import array
import dataclasses
import json
import subprocess
import sys
import types

import numpy as np
import pytest

import heirmark
import heirmark.sglang
from heirmark.serving import Config, Service, Wish
from heirmark.sglang import Batch, Engine, check, make_sampler_class
from support import HEIRMARK, logits_of, subkeys_bytes

VOCAB, TOP_K_ALL = 211, 1 << 30


class Tensor(np.ndarray):
    """As much of torch.Tensor as the backend uses."""

    def detach(self):
        return self

    def cpu(self):
        return np.asarray(self)

    def clone(self):
        return self.copy()

    def new_tensor(self, values):
        return np.asarray(values, self.dtype).view(Tensor)

    def log_softmax(self, dim):
        values = np.asarray(self, np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):  # a row without a finite logit has none
            values = values - values.max(dim, keepdims=True)
            return (values - np.log(np.exp(values).sum(dim, keepdims=True))).view(Tensor)


def tensor(values, dtype=None):
    return np.asarray(values, dtype).view(Tensor)


class FinishAbort:
    def __init__(self, message=None, status_code=None, err_type=None):
        self.message, self.status_code = message, status_code


class Req:
    def __init__(self, number, prompt, length, **params):
        self.number, self.length = number, length
        self.origin_input_ids = self.origin_input_ids_unpadded = array.array("q", prompt)
        self.output_ids = array.array("q")
        self.sampling_params = types.SimpleNamespace(**{**dict(temperature=1.0, top_k=TOP_K_ALL, top_p=1.0, min_p=0.0, custom_params=None, beam_width=None), **params})
        self.return_sampling_mask, self.custom_logit_processor = False, None
        self.finished_reason = self.to_finish = None
        self.is_retracted = False

    def finished(self):
        return self.finished_reason is not None

    def update_finish_state(self):
        if self.to_finish is not None:
            self.finished_reason, self.to_finish = self.to_finish, None
        elif len(self.output_ids) >= self.length:
            self.finished_reason = "length"

    def logits(self, index):
        return logits_of(1, self.number * 1000 + index, VOCAB)[0]


@dataclasses.dataclass
class LogitsProcessorOutput:
    next_token_logits: Tensor
    next_token_logprobs: object = None
    sampling_mask_output: object = None


class LogprobProcessor:
    def compute_logprobs(self, logprobs, top_logprobs_nums, token_ids_logprobs, batch_next_token_ids):
        values = np.take_along_axis(np.asarray(logprobs), np.asarray(batch_next_token_ids)[:, None], 1)[:, 0]
        return types.SimpleNamespace(write_output_to=lambda output: setattr(output, "next_token_logprobs", values))


class Sampler:
    """SGLang's: takes token 7 of every row, so that one sees whose a token is. The custom processor forbids token 5."""

    def __init__(self):
        self.output_logprob_processor, self.processed = LogprobProcessor(), 0

    def _preprocess_logits(self, logits, sampling_info):
        if sampling_info.has_custom_logit_processor:
            self.processed += 1
            logits[:, 5] = -np.inf
        return logits

    def forward(self, logits_output, sampling_info, return_logprob, top_logprobs_nums, token_ids_logprobs, positions, *, logprob_logits=None):
        logits = self._preprocess_logits(logits_output.next_token_logits, sampling_info)
        logits[:] = 0  # it works in place
        return positions.new_tensor([7] * len(logits))


class Group:
    """Of one rank; or of several, where `mail` carries what the first sends."""

    def __init__(self, rank=0, world_size=1, mail=None):
        self.rank, self.world_size, self.mail = rank, world_size, mail if mail is not None else []

    def broadcast(self, values, src=0):
        if self.rank == src:
            self.mail.append(values)
        return self.mail[-1]


class Server:
    """As the scheduler works: run a batch, then process its result; with overlap, only after the next batch was run."""

    def __init__(self, service, overlap=False, group=None, processor=False):
        self.engine = Engine(service) if service is not None else None
        self.sampler = make_sampler_class(Sampler, engine=self.engine, group=group or Group(), abort=FinishAbort)()
        self.overlap, self.waiting, self.requests, self.processor = overlap, [], {}, processor
        if service is not None:
            begin = service.begin
            service.begin = lambda *a, **k: self.requests.setdefault(len(self.requests), begin(*a, **k))

    def run(self, reqs, chunk=None, hook=None):
        """chunk: lengths read so far, of a step that reads prompts; else every request's next token."""
        lengths = []
        for i, req in enumerate(reqs):
            late = sum(req in batch for batch, _ in self.waiting)
            lengths.append(chunk[i] if chunk else len(req.origin_input_ids) + len(req.output_ids) + late)
        logits = tensor([req.logits(length - len(req.origin_input_ids)) for req, length in zip(reqs, lengths)])
        if hook:
            hook(logits)
        info = types.SimpleNamespace(temperatures=tensor([[req.sampling_params.temperature] for req in reqs]), is_all_greedy=all(req.sampling_params.top_k <= 1 for req in reqs),
                                     has_custom_logit_processor=self.processor)
        heirmark.sglang._made, before = Sampler, heirmark.sglang._made
        try:
            heirmark.sglang._show_batch(types.SimpleNamespace(sampling_info=info), type, types.SimpleNamespace(reqs=list(reqs), seq_lens_cpu=np.asarray(lengths)), None)
        finally:
            heirmark.sglang._made = before
        output = LogitsProcessorOutput(logits)
        tokens = self.sampler.forward(output, info, True, [0] * len(reqs), [None] * len(reqs), tensor(lengths, np.int64))
        self.logprobs = output.next_token_logprobs
        chunks = [length < len(req.origin_input_ids) + len(req.output_ids) for req, length in zip(reqs, lengths)] if chunk else [False] * len(reqs)
        self.waiting.append((list(reqs), (tokens.tolist(), chunks)))
        if not self.overlap:
            self.process()
        elif len(self.waiting) > 1:
            self.process()
        return tokens

    def process(self):
        reqs, (tokens, chunks) = self.waiting.pop(0)
        for req, token, part in zip(reqs, tokens, chunks):
            if req.finished() or req.is_retracted or part:
                continue
            req.output_ids.append(token)
            req.update_finish_state()
        if self.engine is not None:
            self.engine.processed(reqs)

    def finish(self, reqs):
        while any(not req.finished() for req in reqs):
            self.run([req for req in reqs if not req.finished()])
        while self.waiting:
            self.process()


@pytest.fixture
def make(tmp_path):
    def service(profile="standard-2026-11", max_rows=1024, recorder=None, **members):
        (tmp_path / "subkeys.json").write_bytes(subkeys_bytes(profile))
        (tmp_path / "subkeys.json").chmod(0o600)
        (tmp_path / "heirmark.json").write_text(json.dumps({"subkeys": "subkeys.json", **members}))
        return Service(Config.read(tmp_path / "heirmark.json"), vocab_size=VOCAB, max_rows=max_rows, recorder=recorder)
    return service


def alone(service, request, req, hook=None):
    """The tokens of a response by the plain sampler."""
    sequence, params = service.sampler.begin(request_id=request.sequence.request_id, prompt=list(req.origin_input_ids), account=request.account), req.sampling_params
    greedy = params.top_k <= 1
    asked = heirmark.Params(temperature=0 if greedy else params.temperature, top_k=0 if greedy or params.top_k == TOP_K_ALL else params.top_k, top_p=params.top_p, min_p=params.min_p)
    tokens = []
    for index in range(len(req.output_ids)):
        row = req.logits(index)[None]
        if hook:
            hook(row)
        tokens += service.sampler.sample(row, [sequence], asked).token.tolist()
    return tokens


def reqs_of(count, length=24):
    ways = [{}, {"temperature": 0.7}, {"top_k": 20}, {"top_p": 0.9, "temperature": 1.3}, {"min_p": 0.05}, {"top_k": 1}]
    return [Req(i, [i + 1, 50 + i, 9], length + i, **ways[i % len(ways)]) for i in range(count)]


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("max_rows", [1024, 2])
def test_tokens_are_the_samplers(make, overlap, max_rows):
    service = make(max_rows=max_rows)
    server, reqs = Server(service, overlap), reqs_of(6)
    server.finish(reqs)
    for i, req in enumerate(reqs):
        assert len(req.output_ids) == req.length
        assert server.requests[i].tokens == req.output_ids.tolist() == alone(service, server.requests[i], req)
    assert server.engine.live() == service.live() == 0
    counts = service.counters.snapshot()
    assert sum(counts[name] for name in counts if name.startswith("tokens.")) == sum(req.length for req in reqs)
    assert counts["tokens.unmarked"] == reqs[5].length and counts["requests.marked"] == 6 and "restarts" not in counts


@pytest.mark.parametrize("overlap", [False, True])
def test_batches_are_filtered_merged_and_turned(make, overlap):
    service = make()
    server, reqs = Server(service, overlap), reqs_of(6)
    rng = np.random.default_rng(5)
    for _ in range(12):
        live = [req for req in reqs if not req.finished()]
        chosen = rng.permutation(len(live))[:int(rng.integers(1, len(live) + 1))]
        server.run([live[i] for i in chosen])
    server.finish(reqs)
    by_prompt = {tuple(request.prompt): request for request in server.requests.values()}
    for req in reqs:
        assert req.output_ids.tolist() == alone(service, by_prompt[tuple(req.origin_input_ids)], req)
    assert len(server.requests) == 6 and service.live() == 0


@pytest.mark.parametrize("overlap", [False, True])
def test_prompts_in_chunks_and_requests_retracted(make, overlap):
    service = make()
    server, one, other = Server(service, overlap), *reqs_of(2)
    server.run([one, other], chunk=[3, 2])  # `other` has read two of its prompt's three tokens: what is drawn for it is thrown away
    server.run([one, other], chunk=[4 if overlap else 3 + len(one.output_ids), 3])
    for _ in range(5):
        server.run([one, other])
    other.is_retracted = True  # in the overlap mode its last token is under way, and lost
    held = len(other.output_ids)
    server.run([one])
    server.run([one])
    assert len(other.output_ids) == held
    other.is_retracted = False
    server.run([one, other], chunk=[len(one.origin_input_ids) + len(one.output_ids) + overlap, 3 + held - 2])  # read again, in chunks
    server.run([one, other], chunk=[len(one.origin_input_ids) + len(one.output_ids) + overlap, 3 + held])
    server.finish([one, other])
    assert len(server.requests) == 2 and "restarts" not in service.counters.snapshot()
    for i, req in enumerate((one, other)):
        assert req.output_ids.tolist() == alone(service, server.requests[i], req)


def test_a_response_thrown_away_begins_again(make):
    service = make()
    server, req = Server(service), reqs_of(1)[0]
    for _ in range(4):
        server.run([req])
    req.output_ids = array.array("q")  # reset_for_retract() of a request with input embeddings
    server.finish([req])
    assert service.counters.snapshot()["restarts"] == 1
    assert req.output_ids.tolist() == alone(service, server.requests[0], req)  # under its new id


def test_a_response_that_stands_in_part_when_it_is_first_seen(make):
    recorder = Recorder()
    server, req = Server(make(recorder=recorder)), Req(0, [1, 2], 12)
    req.output_ids.extend([7, 8])  # a server that went on with another's
    for _ in range(3):
        server.run([req])
    first = req.output_ids.tolist()
    assert recorder.begun == [[1, 2, 7, 8]] and recorder.tokens == first[2:4]
    req.output_ids = array.array("q")
    server.finish([req])
    assert recorder.begun == [[1, 2, 7, 8], [1, 2]] and recorder.ended[-1] == req.output_ids.tolist()


@pytest.mark.parametrize("appended", [[], [7, 8, 9, 10]])
def test_tokens_that_the_engine_adds_itself(make, appended):
    service = make()
    server, req = Server(service), Req(0, [1, 2], 12)
    server.run([req])
    req.output_ids.extend(appended)
    codes = server.engine.draw(Batch([req], [2 + 5]), tensor(req.logits(5)[None]))  # four more tokens than the one drawn
    if appended:  # shown: they are taken, and the next is drawn behind them
        request = server.requests[0]
        assert request.tokens == req.output_ids.tolist() and codes[0] >= 0 and "restarts" not in service.counters.snapshot()
    else:
        assert codes == [-2] and server.engine.refusal(req) == ("the engine added tokens that it does not show", 500) and service.live() == 0
        assert service.counters.snapshot()["tokens.unsupported-jump"] == 1


@pytest.mark.parametrize("overlap", [False, True])
def test_a_prompt_that_the_server_cuts(make, overlap):
    """--allow-auto-truncate: validate_input_length() cuts what the model reads, and leaves the other copy as it was."""
    recorder = Recorder()
    service = make(recorder=recorder)
    server, req = Server(service, overlap), Req(0, range(20, 60), 12)
    req.origin_input_ids = req.origin_input_ids[:30]
    server.finish([req])
    assert recorder.begun == [list(range(20, 50))] and req.output_ids.tolist() == alone(service, server.requests[0], req)


def test_a_prompt_with_padding_of_images(make):
    """SGLang's numbers in place of an image's tokens are in no window, and in no record."""
    recorder = Recorder()
    server, req = Server(make(recorder=recorder)), Req(0, [1, 2, 9, 9], 4)
    req.origin_input_ids = array.array("q", [1, 2, 1 << 21, 1 << 21])
    server.finish([req])
    assert recorder.begun == [[1, 2, 9, 9]] and recorder.tokens == req.output_ids.tolist()


def test_logprobs_are_the_distributions(make):
    server, reqs = Server(make()), reqs_of(3)
    reqs.insert(1, Req(9, [1], 10, custom_params={"heirmark_mark": False}))  # SGLang works in place, on a copy
    tokens = server.run(reqs)
    for i, req in enumerate(reqs):
        expected = tensor(req.logits(0) / np.float32(req.sampling_params.temperature)).log_softmax(-1)[tokens[i]]
        assert abs(server.logprobs[i] - expected) < 1e-5
    assert tokens.dtype == np.int64 and tokens.shape == (4,)


def test_custom_processors_run_once_and_before(make):
    def forbid(row):
        row[:, 5] = -np.inf
    service = make()
    server = Server(service, processor=True)
    one, off = Req(1, [1], 12, temperature=2.0), Req(2, [2], 12, custom_params={"heirmark_mark": False})
    server.finish([one, off])
    assert server.sampler.processed == 12
    assert one.output_ids.tolist() == alone(service, server.requests[0], one, forbid) and 5 not in one.output_ids


def test_opting_out_and_accounts(make):
    service = make()
    server = Server(service)
    reqs = [Req(0, [1], 10, custom_params={"heirmark_mark": False}), Req(1, [2], 10, custom_params={"heirmark_account": "birch", "other": 1}), Req(2, [3], 10)]
    server.finish(reqs)
    assert reqs[0].output_ids.tolist() == [7] * 10  # SGLang's own
    assert [server.requests[i].account for i in (1, 2)] == ["birch", "default"]
    for i in (1, 2):
        assert reqs[i].output_ids.tolist() == alone(service, server.requests[i], reqs[i])
    assert service.counters.snapshot()["requests.opted-out"] == 1


@pytest.mark.parametrize("custom, words", [({"heirmark_acount": "a"}, "heirmark_acount"), ({"heirmark_account": "A B"}, "1 to 64"), ({"heirmark_account": 3}, "1 to 64"),
                                           ({"heirmark_mark": 2}, "true or false"), ({"heirmark_mark": "no"}, "true or false")])
def test_a_wrong_wish_ends_its_request_alone(make, custom, words):
    server = Server(make(policy="serve-unmarked-and-count"))
    wrong, right = Req(0, [1], 10, custom_params=custom), Req(1, [2], 10)
    with pytest.raises(heirmark.UsageError, match=words):
        Wish.of(wrong.sampling_params.custom_params, "custom parameter")
    server.finish([wrong, right])
    assert isinstance(wrong.finished_reason, FinishAbort) and words in wrong.finished_reason.message and wrong.finished_reason.status_code == 400
    assert right.finished_reason == "length" and server.engine.live() == 0


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("custom", [None, {"heirmark_account": "nobody"}])
def test_what_the_server_rejected_itself_begins_no_response(make, overlap, custom):
    """Req.set_finish_with_abort(): one token in place of the prompt, which runs once. SGLang's own error stands, and nothing is marked or recorded."""
    recorder = Recorder()
    service = make(recorder=recorder)
    server, rejected, good = Server(service, overlap), Req(0, range(40), 10, custom_params=custom), Req(1, [2], 10)
    rejected.origin_input_ids, rejected.to_finish = array.array("q", [0]), FinishAbort("too long", 400)
    server.finish([rejected, good])
    assert rejected.finished_reason.message == "too long" and set(rejected.output_ids) == {0}
    assert recorder.begun == [[2]] and service.counters.snapshot()["requests.marked"] == 1 and "requests.unknown-account" not in service.counters.snapshot()
    assert good.output_ids.tolist() == alone(service, server.requests[0], good) and server.engine.live() == service.live() == 0


@pytest.mark.parametrize("overlap", [False, True])
def test_an_abort_of_a_running_request_leaves_its_tokens(make, overlap):
    """What was served before it, and the token that SGLang appends while it ends, are the response's, and recorded."""
    recorder = Recorder()
    service = make(recorder=recorder)
    server, req = Server(service, overlap), Req(0, [1], 10)
    for _ in range(4):
        server.run([req])
    req.to_finish = FinishAbort("aborted")
    server.finish([req])
    assert req.finished_reason.message == "aborted" and recorder.ended == [req.output_ids.tolist()] and req.output_ids.tolist() == alone(service, server.requests[0], req)


def test_a_refusal_does_not_replace_the_servers_own_reason(make):
    server, req = Server(make(), overlap=True), Req(0, [1], 10, custom_params={"heirmark_account": "nobody"})
    server.run([req])  # refused
    assert req.to_finish.status_code == 400
    req.to_finish = FinishAbort("aborted", 499)
    server.run([req])
    while server.waiting:
        server.process()
    assert req.finished_reason.message == "aborted"


def test_what_cannot_be_marked_follows_the_policy(make):
    for policy in ("fail-closed", "serve-unmarked-and-count"):
        service = make(policy=policy)
        server = Server(service)
        reqs = [Req(0, [1], 6, custom_params={"heirmark_account": "nobody"}), Req(1, [2], 6, beam_width=4), Req(2, [3], 6), Req(3, [4], 6)]
        reqs[2].return_sampling_mask = True
        server.finish(reqs)
        counts = service.counters.snapshot()
        assert (counts["requests.unknown-account"], counts["requests.unsupported-beam_width"], counts["requests.unsupported-return_sampling_mask"]) == (1, 1, 1)
        for req in reqs[:3]:
            if policy == "fail-closed":
                assert req.finished_reason.status_code == 400 and "cannot be marked" in req.finished_reason.message
            else:
                assert req.output_ids.tolist() == [7] * 6
        assert reqs[3].finished_reason == "length" and service.live() == 0


@pytest.mark.parametrize("overlap", [False, True])
def test_a_row_without_a_token_follows_the_policy(make, overlap):
    def spoil(logits):
        logits[0] = -np.inf
    for policy in ("fail-closed", "serve-unmarked-and-count"):
        service = make(policy=policy)
        server = Server(service, overlap)
        bad, good = Req(0, [1], 10), Req(1, [2], 10)
        for step in range(4):
            server.run([bad, good], hook=spoil if step == 3 else None)
        server.finish([bad, good])
        assert service.counters.snapshot()["tokens.no-finite-logit"] == 1
        if policy == "fail-closed":
            assert bad.finished_reason.status_code == 500 and "no-finite-logit" in bad.finished_reason.message
        else:
            assert bad.output_ids[3] == 7 and server.requests[0].tokens == bad.output_ids.tolist() and 10 == len(bad.output_ids)
        assert good.output_ids.tolist() == alone(service, server.requests[1], good) and service.live() == 0


def test_greedy_under_greenlist_is_marked(make):
    service = make("greenlist-2026-11")
    server, req = Server(service), Req(0, [1, 2], 30, top_k=1)
    server.finish([req])
    assert req.output_ids.tolist() == alone(service, server.requests[0], req)


class Recorder:
    def __init__(self):
        self.begun, self.tokens, self.ended = [], [], []

    def begin(self, request):
        self.begun.append(list(request.prompt + request.tokens))

    def token(self, request, token, status, phat):
        assert len(phat) > 0
        self.tokens.append(token)

    def end(self, request):
        self.ended.append(list(request.tokens))


@pytest.mark.parametrize("overlap", [False, True])
def test_what_is_recorded_is_what_was_served(make, overlap):
    recorder = Recorder()
    server, req = Server(make(recorder=recorder), overlap), Req(0, [1, 2], 10)
    server.finish([req])
    assert recorder.begun == [[1, 2]] and recorder.tokens == req.output_ids.tolist() and recorder.ended == [req.output_ids.tolist()]


def test_the_ledger_holds_what_was_served(make, tmp_path):
    store = heirmark.Keystore.create(tmp_path / "keys", "a passphrase", opslimit=1, memlimit=8192)
    heirmark.make_ledger(tmp_path / "ledger", store)
    service = make(ledger="ledger", model="acme-70b")
    server, reqs = Server(service, overlap=True), reqs_of(3)
    reqs.append(Req(9, [1], 5, custom_params={"heirmark_mark": False}))
    server.finish(reqs)
    server.engine.close()
    done = subprocess.run([HEIRMARK, "ledger", "export", tmp_path / "ledger", "-o", "-", "--keystore", tmp_path / "keys", "--passphrase-fd", "0"], input=b"a passphrase\n",
                          capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    responses = [json.loads(line) for line in done.stdout.splitlines()]
    found = sorted((line["prompt"], line["tokens"]) for line in responses)
    assert found == sorted((req.origin_input_ids.tolist(), req.output_ids.tolist()) for req in reqs[:3])


def test_a_ledger_that_fails_ends_what_would_begin(make):
    class Failing(Recorder):
        def begin(self, request):
            if self.begun:
                raise heirmark.IOFailureError("disk full")
            super().begin(request)
    service = make(recorder=Failing())
    server, req, late = Server(service), Req(0, [1, 2], 12), Req(1, [3], 12)
    server.run([req, late])  # the second begins when the ledger fails
    assert late.finished_reason.status_code == 503 and "disk full" in late.finished_reason.message
    server.run([req])
    req.output_ids = array.array("q")  # begins again
    server.run([req])
    assert req.finished_reason.status_code == 503 and server.engine.live() == service.live() == 0


def test_a_request_that_the_engine_forgets_is_ended(make):
    recorder = Recorder()
    service = make(recorder=recorder)
    server, req, other = Server(service), Req(0, [1, 2], 10), Req(1, [3], 10)
    server.run([req, other])
    served = req.output_ids.tolist()
    del req  # aborted while it waited
    server.run([other])
    assert service.live() == 1 and recorder.ended == [served] and len(served) == 1


def test_every_rank_takes_the_firsts_tokens(make):
    service, mail = make(), []
    first, second = Server(service, group=Group(0, 2, mail)), Server(None, group=Group(1, 2, mail))
    def reqs():
        return [Req(0, [1], 8), Req(1, [2], 8, custom_params={"heirmark_mark": False}), Req(2, [3], 8, custom_params={"heirmark_account": "nobody"})]
    here, there = reqs(), reqs()
    while any(not req.finished() for req in here):
        first.run([req for req in here if not req.finished()])
        second.run([req for req in there if not req.finished()])
    assert [req.output_ids for req in here] == [req.output_ids for req in there] and all(req.finished() for req in there)
    assert isinstance(there[2].finished_reason, FinishAbort)
    assert here[0].output_ids.tolist() == alone(service, first.requests[0], here[0])


def test_rows_and_requests_must_agree(make):
    with pytest.raises(heirmark.UsageError, match="2 rows of logits for 1 requests"):
        Engine(make()).draw(Batch([Req(0, [1], 3)], [1]), tensor(logits_of(2, 1, VOCAB)))
    sampler = Server(make()).sampler
    with pytest.raises(heirmark.UsageError, match="SGLANG_PLUGINS"):
        sampler.forward(LogitsProcessorOutput(tensor(logits_of(1, 1, VOCAB))), types.SimpleNamespace(), False, [], [], tensor([1]))


def args(**changes):
    return types.SimpleNamespace(**{**dict(speculative_algorithm=None, dllm_algorithm=None, attn_dp_size=1, pp_size=1, disaggregation_mode="null", dp_size=1), **changes})


@pytest.mark.parametrize("change, words", [({"speculative_algorithm": "EAGLE"}, "speculative decoding"), ({"dllm_algorithm": "x"}, "diffusion"), ({"attn_dp_size": 2}, "data-parallel attention"),
                                           ({"pp_size": 2}, "pipeline"), ({"disaggregation_mode": "decode"}, "another server")])
def test_servers_that_could_not_mark_do_not_start(change, words):
    check(args())
    with pytest.raises(heirmark.UsageError, match=words):
        check(args(**change))


@pytest.fixture
def modules(monkeypatch):
    """A package sglang, as far as the plugin asks for it."""
    class Registry:
        hooks = {}

        @classmethod
        def register(cls, target, hook, hook_type="after", *, source=None):
            cls.hooks[target] = hook

    factories, replicas = {}, [1]
    names = {"sglang.srt.layers.sampler": dict(Sampler=Sampler, SGLANG_RETURN_ORIGINAL_LOGPROB=False, register_sampler_backend=factories.__setitem__),
             "sglang.srt.plugins.hook_registry": dict(HookRegistry=Registry, HookType=types.SimpleNamespace(AFTER="after")),
             "sglang.srt.managers.schedule_batch": dict(FINISH_ABORT=FinishAbort),
             "sglang.srt.runtime_context": dict(get_server_args=lambda: types.SimpleNamespace(resolved_dict=lambda: {**vars(args()), "dp_size": replicas[0]}), get_parallel=lambda: types.SimpleNamespace(tp_rank=0, tp_group=Group())),
             "sglang.srt.configs.model_config": dict(ModelConfig=types.SimpleNamespace(from_server_args=lambda args: types.SimpleNamespace(vocab_size=VOCAB)))}
    for name, members in names.items():
        parts = name.split(".")
        for i in range(1, len(parts)):
            monkeypatch.setitem(sys.modules, ".".join(parts[:i]), types.ModuleType(".".join(parts[:i])))
        module = types.ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
    for name in ("_engine", "_made"):
        monkeypatch.setattr(heirmark.sglang, name, None)
    return factories, Registry.hooks, replicas


def test_the_plugin(make, modules, monkeypatch, tmp_path, caplog):
    factories, hooks, replicas = modules
    monkeypatch.delenv("HEIRMARK_CONFIG", raising=False)
    heirmark.sglang.register()
    assert list(factories) == ["heirmark"] and len(hooks) == 2
    info = types.SimpleNamespace()
    for hook in hooks.values():  # not chosen: nothing happens
        assert hook(types.SimpleNamespace(sampling_info=info), None, types.SimpleNamespace(reqs=[])) is None
    assert vars(info) == {}
    with pytest.raises(heirmark.UsageError, match="HEIRMARK_CONFIG is not set"):
        factories["heirmark"]()
    assert [record.message for record in caplog.records] == ["heirmark: the server does not start: HEIRMARK_CONFIG is not set: it names the server's configuration, a JSON file"]
    make()
    monkeypatch.setenv("HEIRMARK_CONFIG", str(tmp_path / "heirmark.json"))
    (tmp_path / "subkeys.json").chmod(0o644)
    with pytest.raises(heirmark.KeyAccessError, match="subkeys.json"):
        factories["heirmark"]()
    (tmp_path / "subkeys.json").chmod(0o600)
    (tmp_path / "heirmark.json").write_text('{"subkeys": "subkeys.json", "ledger": "ledger"}')
    replicas[0] = 2
    with pytest.raises(heirmark.UsageError, match="dp-size"):
        factories["heirmark"]()
    make()
    first, second = factories["heirmark"](), factories["heirmark"]()
    assert isinstance(first, Sampler) and type(first) is type(second)
    heirmark.sglang._engine.close()


def test_the_module_needs_no_sglang():
    """Asked in an interpreter of its own: another test of this one may have imported torch."""
    code = "import sys, heirmark.sglang; print(heirmark.sglang.BACKEND, *sorted({'torch', 'sglang'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "heirmark\n"), done.stderr
