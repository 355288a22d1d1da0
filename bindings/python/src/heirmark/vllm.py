"""Marks in vLLM 0.32, by its entry points: nothing is imported or called by hand.

    HEIRMARK_CONFIG=/etc/heirmark/heirmark.json vllm serve MODEL        # the variable names the server's configuration; without it the plugin does nothing

A request's extra arguments (SamplingParams.extra_args; over HTTP "vllm_xargs"):

    heirmark_account   name of the account whose issuance subkey is used; by default the configuration's
    heirmark_mark      False or 0: this request is not marked; by default, what vLLM's own field `watermarking` says

Here are the entry points, what both model runners share, and the V1 runner's marks, made on the host; the V2 runner's, on the device, are in heirmark.vllm_v2. What works
and what is refused is in bindings/engines/vllm/README.md. This module imports neither torch nor, where it is missing, vllm.
"""

import dataclasses
import functools
import importlib
import logging
import math
import multiprocessing.util
import os
import sys
import threading
import time
import types
from collections.abc import Mapping
from typing import Any

import heirmark
from heirmark.serving import VARIABLE, Config, Counters, Draw, Policy, Request, Service, Wish

try:
    from vllm.v1.sample.logits_processor.interface import LogitsProcessor as _V1
except ImportError:  # without vLLM the class below still has the interface, for tests
    _V1 = object
try:  # both runners load the one entry point, and each stops where it finds a class without its interface, also on a server without HEIRMARK_CONFIG
    from vllm.v1.worker.gpu.sample.logits_processor.interface import LogitsProcessor as _V2
except ImportError:
    _V2 = object

__all__ = ["LogitsProcessor", "check", "register"]

# Under vLLM's own logger, whose level and form are the server's.
_log = logging.getLogger("vllm.heirmark")
_GREEDY_BELOW = 1e-5  # vLLM's own bound: vllm/v1/sample/sampler.py
_REPORT_SECONDS = 60.0
_REST_SECONDS = 30.0  # an engine that has a request to go on with calls more often, on a slow machine too


# ---- What a request asks for

def wish_of(params: Any) -> Wish:
    """UsageError names the argument that is wrong."""
    return Wish.of(getattr(params, "extra_args", None), "extra argument")


def asked_of(params: Any) -> Wish:
    """What a request asks for as it is submitted, while vLLM's own field `watermarking` is still the caller's. UsageError names the argument that is wrong."""
    wish = wish_of(params)
    return dataclasses.replace(wish, marked=False) if _says_itself_unmarked(params) else wish


def _says_itself_unmarked(params: Any) -> bool:
    return getattr(params, "watermarking", None) is False and "heirmark_mark" not in (params.extra_args or {})


def note(params: Any) -> None:
    """Writes what `watermarking` says into the extra arguments, which reach the engine's process. params: vLLM's own copy of the request's, in which it is about to overwrite the field.

    What is noted is noted for good: of an EngineCoreRequest that a program makes first and hands in then, vLLM overwrites the field twice."""
    if "heirmark_mark" not in (params.extra_args or {}):
        params.extra_args = {**(params.extra_args or {}), "heirmark_mark": 0 if params.watermarking is False else 1}


def is_greedy(params: Any) -> bool:
    return params.temperature < _GREEDY_BELOW


def unsupported(params: Any, scheme: str) -> str:
    # Greedy rows are the engine's: it does not call the processor where all rows are greedy. Greenlist alone would mark them.
    return "temperature 0 under a greenlist profile" if scheme == "greenlist" and is_greedy(params) else ""


def truncation(params: Any, vocab_size: int) -> dict[str, Any]:
    """The request's top-k and top-p as Service.begin names them."""
    return {"top_k": params.top_k if 0 < params.top_k < vocab_size else 0, "top_p": params.top_p}


def parameters(params: Any, vocab_size: int) -> dict[str, Any]:
    """All of the request's parameters, as Service.begin names them."""
    return {"temperature": 0.0} if is_greedy(params) else {"temperature": params.temperature, "min_p": params.min_p, **truncation(params, vocab_size)}


def ending(params: Any, vocab_size: int) -> int | None:
    """The token that ends a response which cannot be marked: an engine has no way to fail one request from a logits processor. None where it has none.

    eos_token_id and stop_token_ids are what vLLM stops at. all_stop_token_ids has EOS also where the request says ignore_eos: that token, which does not stop it, only where nothing does."""
    for tokens in ((params.eos_token_id, *(params.stop_token_ids or ())), params.all_stop_token_ids):
        good = [token for token in tokens if token is not None and 0 <= token < vocab_size]
        if good:
            return min(good)
    return None


# ---- What the engine must be

def check(config: Any) -> None:
    """UsageError where an engine of this VllmConfig could not mark, or would answer wrongly if it did."""
    model = config.model_config
    if model is None or model.runner_type == "pooling":
        return
    parallel = config.parallel_config
    faults = [
        (parallel.tensor_parallel_size > 1, "tensor parallelism: each rank samples for itself, and request ids are random"),
        (parallel.pipeline_parallel_size > 1, "pipeline parallelism"),
        (str(model.logprobs_mode).startswith("processed"), f"--logprobs-mode {model.logprobs_mode}: it would report the choice instead of the distribution; raw_logprobs and raw_logits work"),
        (config.watermark_config is not None, "vLLM's own watermark (--watermark-config) beside its marks"),
    ]
    if config.use_v2_model_runner:
        faults += _faults_of_v2(config, model, parallel)
    else:
        faults += [
            (config.speculative_config is not None, "speculative decoding (--speculative-config) with model runner V1: vLLM calls no logits processor with it"),
            (config.scheduler_config.async_scheduling, "asynchronous scheduling with model runner V1: start the server with --no-async-scheduling"),
        ]
    for bad, words in faults:
        if bad:
            raise heirmark.UsageError(f"heirmark ({VARIABLE} is set) does not support {words}")


def _faults_of_v2(config: Any, model: Any, parallel: Any) -> list[tuple[bool, str]]:
    draft = config.speculative_config
    method = draft.rejection_sample_method if draft is not None else "standard"
    drafter = draft.draft_model_config if draft is not None else None
    return [
        (method not in ("standard", "block"), f'speculative decoding with rejection_sample_method "{method}": it accepts draft tokens that the model did not choose; "standard" and "block" work'),
        (drafter is not None and drafter.get_vocab_size() < model.get_vocab_size(), "a draft model with a smaller vocabulary: vLLM's rejection sampler cuts the model's logits to it"),
        (parallel.prefill_context_parallel_size > 1, "prefill context parallelism"),
        (model.is_diffusion, "diffusion models: they have a sampler of their own"),
        (model.return_sampling_mask, "replay of sampling distributions (--return-sampling-mask): it would report the choice"),
        (model.enable_trace_replay, "trace replay (--enable-trace-replay): it puts tokens in place of the choice"),
        ((_front.config if _front is not None else Config.from_environment()).ledger is not None,
         'a "ledger" in its configuration with model runner V2, whose tokens no logits processor sees on the host: set VLLM_USE_V2_MODEL_RUNNER=0, or leave the member out'),
    ]


@dataclasses.dataclass(frozen=True)
class _Front:
    """What the process that takes requests knows: names, and no secret."""

    config: Config
    accounts: tuple[str, ...]
    scheme: str
    counters: Counters

    @classmethod
    def read(cls) -> "_Front":
        config = Config.from_environment()
        keys = config.keys()
        return cls(config, keys.accounts, keys.profile.scheme, Counters())


_front: _Front | None = None  # set by register() where HEIRMARK_CONFIG is


def register() -> None:
    """Entry point of vllm.general_plugins, which vLLM calls in each of its processes before it makes an engine: a server with a wrong configuration does not start.

    With speculative decoding the V1 runner leaves the logits processors of entry points out without a word, so text would go out unmarked. Nothing of vLLM's tells a plugin
    of the engine's configuration before that, so EngineArgs.create_engine_config is wrapped: what it returns is checked. Nor does anything tell a plugin of beam search or of
    the field `watermarking`, so two functions of InputProcessor are wrapped too."""
    global _front
    if _front is not None or not os.environ.get(VARIABLE):
        return
    _front = _Front.read()
    arguments = sys.modules.get("vllm.engine.arg_utils")  # there whenever an engine is about to be made
    if arguments is None:
        return
    make = arguments.EngineArgs.create_engine_config

    @functools.wraps(make)
    def create_engine_config(self: Any, *args: Any, **options: Any) -> Any:
        config = make(self, *args, **options)
        check(config)
        _watch_requests(importlib.import_module("vllm.v1.engine.input_processor"))  # which the process that makes an engine is about to import
        return config

    arguments.EngineArgs.create_engine_config = create_engine_config


def _watch_requests(module: Any) -> None:
    """module: vllm.v1.engine.input_processor. resolve_watermarking is what each beam search calls first; apply_watermarking overwrites `watermarking` in vLLM's copy of each request's parameters."""
    resolve, apply = module.InputProcessor.resolve_watermarking, module.InputProcessor.apply_watermarking
    if getattr(resolve, "heirmark_watches", False):
        return

    @functools.wraps(resolve)
    def resolve_watermarking(self: Any, params: Any) -> bool:
        if isinstance(params, module.BeamSearchParams):
            _beam_search()
        return resolve(self, params)

    @functools.wraps(apply)
    def apply_watermarking(self: Any, params: Any, watermarking: bool) -> None:
        note(params)
        apply(self, params, watermarking)

    resolve_watermarking.heirmark_watches = True  # functools.wraps hands this on to whoever wraps it again
    module.InputProcessor.resolve_watermarking = resolve_watermarking
    module.InputProcessor.apply_watermarking = apply_watermarking


def _beam_search() -> None:
    """vLLM makes beams of requests for one token and chooses among them by probability, which leaves no mark. UsageError, a ValueError, under fail-closed: vLLM answers 400.

    BeamSearchParams have no extra arguments, so it cannot be seen here whether a gateway has said heirmark_mark 1: that the client says `watermarking` false excuses no beam."""
    if _front is None:
        return
    if _front.config.policy is Policy.FAIL_CLOSED:
        raise heirmark.UsageError("this request cannot be marked: beam search is not supported")
    name = "requests.unsupported-beam-search"
    _front.counters.add(name)
    _log.warning("heirmark: a beam search is served without a mark: %s %d", name, _front.counters.snapshot()[name])


class Reporter:
    """One line of counts a minute, where they changed."""

    def __init__(self, counters: Counters) -> None:
        self._counters, self._then, self._reported = counters, time.monotonic(), {}

    @property
    def due(self) -> bool:
        return time.monotonic() - self._then >= _REPORT_SECONDS

    def report(self, more: Mapping[str, int] = types.MappingProxyType({})) -> None:
        """more: counts that are not among the counters."""
        self._then, counts = time.monotonic(), {**self._counters.snapshot(), **more}
        if counts != self._reported:
            _log.info("heirmark: %s", ", ".join(f"{name} {count}" for name, count in counts.items()))
        self._reported = counts


def announce(service: Service, where: str) -> None:
    sampler = service.sampler
    _log.info("heirmark: marking with key %s, profile %s, policy %s, %d tokens, %s", sampler.key_id, sampler.profile.name, service.config.policy.value, sampler.vocab_size, where)


# ---- The processor

class _Row:
    """A request in the engine's batch, or one that has left it and may come back."""

    def __init__(self, params: Any, output: list[int]) -> None:
        self.params = params
        self.output = output  # the engine's own list, to which it appends
        self.greedy = is_greedy(params)
        self.request: Request | None = None  # None: it was to be marked and cannot be, so its response is ended; or the row is greedy, and has none
        self.before = len(output)            # tokens of the output that are part of the request's prompt
        self.draw: Draw | None = None        # given to the engine, not yet seen in the output
        self.endless = False                 # ended, and without a stop token
        self.counted: int | None = None      # how many tokens of a greedy row; None where they are not counted


def _references(row: _Row) -> int:
    return sys.getrefcount(row.output)


# References to a row's output when nobody but the row holds it: the engine has forgotten the request.
_ALONE = _references(_Row(type("Params", (), {"temperature": 1.0}), []))


class LogitsProcessor(*dict.fromkeys(base for base in (_V1, _V2) if base is not object)):
    """Entry point of vllm.logits_processors. It picks each row's token and leaves only that one's logit finite, so that the engine's own sampling takes it.

    Each runner makes one, and calls what its own interface has. For the V2 runner heirmark.vllm_v2.Marks does the work.

    The V1 runner calls it behind penalties, biases, masks, temperature and min-p and before top-k and top-p, which it applies itself, with the request's own values. A drawn token
    is taken when it stands in the request's output: what vLLM samples for a prompt that it has not yet read whole, it throws away."""

    _v2: Any = None  # a heirmark.vllm_v2.Marks
    _service: Service | None = None

    def __init__(self, vllm_config: Any, *given: Any) -> None:
        """As vLLM calls it; given: the V2 runner's LogitsProcRequestState. Errors, where HEIRMARK_CONFIG is set: as check() and Service."""
        if not os.environ.get(VARIABLE):
            return
        check(vllm_config)
        if vllm_config.use_v2_model_runner:
            from heirmark import vllm_v2  # needs torch
            self._v2 = vllm_v2.Marks(vllm_config, *given)
            return
        model, rows = vllm_config.model_config, vllm_config.scheduler_config.max_num_seqs
        self._serve(Service.from_environment(vocab_size=model.get_vocab_size(), max_rows=rows, threads=min(16, len(os.sched_getaffinity(0)))), rows)

    def _serve(self, service: Service, max_rows: int) -> None:
        self._service = service
        self._scheme = service.sampler.profile.scheme
        self._rows: dict[int, _Row] = {}
        self._left: dict[int, _Row] = {}  # by the identity of their output, oldest first
        self._most_left = 64 + 4 * max_rows
        self._reporter = Reporter(service.counters)
        self._busy = threading.Lock()  # of the engine's calls, and of the thread that looks after an engine at rest
        self._called = time.monotonic()
        self._closed = threading.Event()
        self._rester = threading.Thread(target=self._rest, name="heirmark-ledger", daemon=True)
        if service.config.ledger is not None:
            # The engine's process may be a child, which runs these finalizers and not those of atexit.
            multiprocessing.util.Finalize(None, self.close, exitpriority=10)
            self._rester.start()
        announce(service, "on the host")

    @classmethod
    def validate_params(cls, sampling_params: Any) -> None:
        """UsageError, a ValueError, at submission: vLLM answers 400. sampling_params are the caller's own, who may use them again: they are only read."""
        if not os.environ.get(VARIABLE):
            return
        if _front is None:
            raise heirmark.UsageError(f"{VARIABLE} is set, but VLLM_PLUGINS leaves out heirmark, so that nobody checked the engine")
        if (module := sys.modules.get("vllm.v1.engine.input_processor")) is not None:
            _watch_requests(module)  # of an engine made without EngineArgs
        wish = asked_of(sampling_params)
        if not wish.marked or _front.config.policy is not Policy.FAIL_CLOSED:
            return
        if wish.account is not None and wish.account not in _front.accounts:
            raise heirmark.UsageError("this request cannot be marked: the key has no such account")
        if words := unsupported(sampling_params, _front.scheme):
            raise heirmark.UsageError(f"this request cannot be marked: {words} is not supported")
        heirmark.Params(**parameters(sampling_params, 2**20))

    def is_argmax_invariant(self) -> bool:
        """True: greedy rows are left alone. vLLM then calls it after penalties and temperature, and not at all where all rows are greedy."""
        return True

    @property
    def counters(self) -> Counters | None:
        """None where it does nothing."""
        service = self._v2.service if self._v2 is not None else self._service
        return service.counters if service is not None else None

    # ---- The V2 runner's calls

    def add_request(self, req_idx: int, sampling_params: Any) -> bool:
        """Does it change logits for this request?"""
        return self._v2 is not None and self._v2.add_request(req_idx, sampling_params)

    def apply_staged_writes(self) -> None:
        if self._v2 is not None:
            self._v2.apply_staged_writes()

    # ---- The V1 runner's batch

    def update_state(self, batch_update: Any) -> None:
        """Follows what became of the last tokens, then who came, went and moved."""
        if self._service is None:
            return
        with self._busy:
            self._update(batch_update)
            self._called = time.monotonic()

    def close(self) -> None:
        """Records what is live, and closes the ledger: at the end of the engine's process."""
        with self._busy:
            for row in self._rows.values():
                self._follow(row)
            try:
                self._service.close(10.0)
            except heirmark.Error as error:
                _log.error("heirmark: %s", error)
        self._closed.set()
        if self._rester.is_alive():
            self._rester.join(10.0)  # a thread that outlives the interpreter keeps keys from being wiped

    def _rest(self) -> None:
        """An engine at rest calls nothing, and so does not say that the last responses have ended: they are recorded as they stand."""
        while not self._closed.wait(_REST_SECONDS / 2):
            with self._busy:
                if time.monotonic() - self._called >= _REST_SECONDS:
                    self._settle()

    def _settle(self) -> None:
        for row in [*self._rows.values(), *self._left.values()]:
            if row.request is None or not row.request.marked:
                continue
            self._follow(row)
            if row.request is None:
                continue
            try:
                self._service.split(row.request)
            except heirmark.Error as error:
                self._fail(row, error)

    def _update(self, batch_update: Any) -> None:
        for row in self._rows.values():
            self._follow(row)
        if batch_update is not None:
            for index in batch_update.removed:
                self._leave(index)
            for index, params, prompt, output in batch_update.added:
                self._leave(index)
                self._rows[index] = self._join(params, prompt or [], output)
            for a, b, direction in batch_update.moved:
                one, other = self._rows.pop(a, None), self._rows.pop(b, None)
                if direction.name != "SWAP" and other is not None:
                    self._left[id(other.output)], other = other, None
                if one is not None:
                    self._rows[b] = one
                if other is not None:
                    self._rows[a] = other
        for key, row in list(self._left.items()):
            if _references(row) <= _ALONE or len(self._left) > self._most_left:
                del self._left[key]
                self._end(row)
        if self._reporter.due:
            self._reporter.report()

    def _leave(self, index: int) -> None:
        """Finished, preempted, or not in this step: which of them is not said."""
        if (row := self._rows.pop(index, None)) is not None:
            self._left[id(row.output)] = row

    def _join(self, params: Any, prompt: list[int], output: list[int]) -> _Row:
        row = self._left.pop(id(output), None)
        if row is not None:
            if self._same(row, prompt):
                return row
            self._end(row)
        row = _Row(params, output)
        if row.greedy:
            self._admit(row)
        else:
            row.request = self._begin(params, [*prompt, *output])
        return row

    @staticmethod
    def _same(row: _Row, prompt: list[int]) -> bool:
        """Has the request come back as it left?"""
        if row.request is None or not row.request.marked:  # greedy rows, too
            return True
        return len(row.request.prompt) == len(prompt) + row.before and row.request.tokens == row.output[row.before:]

    def _asked(self, params: Any) -> dict[str, Any]:
        """As Service.begin and admit have it. UsageError names the argument that is wrong."""
        wish = wish_of(params)
        return {"account": wish.account, "marked": wish.marked, "unsupported": unsupported(params, self._scheme)}

    def _admit(self, row: _Row) -> None:
        """A greedy row is vLLM's own: its tokens carry no mark, so none is recorded, and it needs no ledger that can write. Where all rows are greedy, vLLM does not even call apply()."""
        try:
            _, _, reason = self._service.admit(temperature=0.0, **self._asked(row.params))
        except (heirmark.UsageError, heirmark.KeyAccessError) as error:  # validate_params refuses it where it is submitted
            _log.error("heirmark: a response at temperature 0, which nothing can end, is served: %s", error)
            return
        self._service.count(reason)
        row.counted = None if reason else len(row.output)

    def _begin(self, params: Any, prompt: list[int]) -> Request | None:
        try:
            return self._service.begin(prompt, **self._asked(params), **truncation(params, self._service.sampler.vocab_size))  # temperature and min-p have been applied
        except (heirmark.UsageError, heirmark.KeyAccessError, heirmark.IOFailureError) as error:  # validate_params refuses what is wrong where it is submitted
            _log.error("heirmark: a response is ended: %s", error)
            return None

    def _end(self, row: _Row) -> None:
        if row.request is not None:
            self._service.end(row.request)

    def _fail(self, row: _Row, error: heirmark.Error) -> None:
        """Ends one response, and no other: a failure of the ledger under fail-closed, where a response begins again that cannot be recorded."""
        _log.error("heirmark: a response is ended: %s", error)
        self._end(row)
        row.request = None

    def _follow(self, row: _Row) -> None:
        """Lets a request see what became of its row. row.request is None behind it where that failed."""
        try:
            self._catch_up(row)
        except heirmark.Error as error:
            self._fail(row, error)

    def _catch_up(self, row: _Row) -> None:
        draw, row.draw = row.draw, None
        request, now = row.request, len(row.output)
        if row.counted is not None and now != row.counted:
            self._service.counters.add("tokens.unmarked", max(0, now - row.counted))
            row.counted = now
        if request is None or not request.marked:
            return
        known = row.before + len(request.tokens)
        if draw is not None and now == known + 1 and row.output[-1] == draw.token:
            self._service.take(request, draw)
        elif now < row.before:
            self._end(row)
            row.request = self._begin(row.params, request.prompt[:len(request.prompt) - row.before] + row.output)
            row.before = now
        elif now != known:
            self._service.sync(request, row.output[row.before:])

    # ---- Tokens

    def apply(self, logits: Any, *context: Any) -> Any:
        """logits: [rows, columns], float32; from the V1 runner divided by temperature, from the V2 runner not, and with its LogitsContext. They are changed in place and returned."""
        if self._v2 is not None:
            return self._v2.apply(logits, *context)
        if self._service is None:
            return logits
        with self._busy:
            self._called = time.monotonic()
            return self._apply(logits)

    def _apply(self, logits: Any) -> Any:
        rows = [(index, self._rows[index]) for index in sorted(self._rows) if not self._rows[index].greedy and index < logits.shape[0]]
        marked = [(index, row) for index, row in rows if row.request is not None and row.request.marked]
        chosen = {}
        if marked:
            part = logits if len(marked) == logits.shape[0] else logits[[index for index, _ in marked]]
            draws = self._service.draw(part.cpu() if hasattr(part, "cpu") else part, [row.request for _, row in marked])
            for (index, row), draw in zip(marked, draws, strict=True):
                if draw.good or (draw.token is not None and self._service.config.policy is not Policy.FAIL_CLOSED):
                    row.draw, chosen[index] = draw, draw.token
                    continue
                self._service.counters.add(f"tokens.{draw.reason}")
                if self._service.config.policy is Policy.FAIL_CLOSED:
                    _log.error("heirmark: a response is ended: a token could not be marked: %s", draw.reason)
                    self._end(row)
                    row.request = None
        for index, row in rows:
            if row.request is None:
                chosen[index] = self._ending(row)
        if chosen:
            indices = list(chosen)
            logits[indices] = -math.inf
            logits[indices, list(chosen.values())] = 0.0
        return logits

    def _ending(self, row: _Row) -> int:
        """The token that an ended response gets. An exception would end the engine, and everybody's responses with it: without a stop token it is token 0, up to the response's own limit."""
        token = ending(row.params, self._service.sampler.vocab_size)
        if token is None and not row.endless:
            row.endless = True
            self._service.counters.add("responses.without-stop-token")
            _log.error("heirmark: a response that is ended has no stop token, and gets token 0 up to its limit")
        return token or 0
