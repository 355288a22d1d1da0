"""Marks in vLLM (0.32, V1 model runner), by its entry points: nothing is imported or called by hand.

    HEIRMARK_CONFIG=/etc/heirmark/heirmark.json vllm serve MODEL        # the variable names the server's configuration; without it the plugin does nothing

A request's extra arguments (SamplingParams.extra_args; over HTTP "vllm_xargs"):

    heirmark_account   name of the account whose issuance subkey is used; by default the configuration's
    heirmark_mark      False or 0: this request is not marked

What works and what is refused is in bindings/engines/vllm/README.md. This module imports neither torch nor, where it is missing, vllm.
"""

import dataclasses
import functools
import logging
import math
import multiprocessing.util
import os
import sys
import threading
import time
from typing import Any

import heirmark
from heirmark.serving import VARIABLE, Config, Counters, Draw, Policy, Request, Service, Wish

try:
    from vllm.v1.sample.logits_processor.interface import LogitsProcessor as _V1
except ImportError:  # without vLLM the class below still has the interface, for tests
    _V1 = object
try:  # vLLM's V2 runner loads the same entry point and stops where it finds a class without its interface, also on a server without HEIRMARK_CONFIG
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

def _wish(params: Any) -> Wish:
    """UsageError names the argument that is wrong."""
    return Wish.of(getattr(params, "extra_args", None), "extra argument")


def _greedy(params: Any) -> bool:
    return params.temperature < _GREEDY_BELOW


def _unsupported(params: Any, scheme: str) -> str:
    # Greedy rows are the engine's: it does not call the processor where all rows are greedy. Greenlist alone would mark them.
    return "temperature 0 under a greenlist profile" if scheme == "greenlist" and _greedy(params) else ""


# ---- What the engine must be

def check(config: Any) -> None:
    """UsageError where an engine of this VllmConfig could not mark, or would answer wrongly if it did."""
    model = config.model_config
    if model is None or model.runner_type == "pooling":
        return
    parallel = config.parallel_config
    for bad, words in (
        (config.speculative_config is not None, "speculative decoding (--speculative-config): vLLM calls no logits processor with it"),
        (config.use_v2_model_runner, "model runner V2: set VLLM_USE_V2_MODEL_RUNNER=0"),
        (config.scheduler_config.async_scheduling, "asynchronous scheduling: start the server with --no-async-scheduling"),
        (parallel.tensor_parallel_size > 1, "tensor parallelism: each rank samples for itself, and request ids are random"),
        (parallel.pipeline_parallel_size > 1, "pipeline parallelism"),
        (str(model.logprobs_mode).startswith("processed"), f"--logprobs-mode {model.logprobs_mode}: it would report the choice instead of the distribution; raw_logprobs and raw_logits work"),
    ):
        if bad:
            raise heirmark.UsageError(f"heirmark ({VARIABLE} is set) does not support {words}")


@dataclasses.dataclass(frozen=True)
class _Front:
    """What the process that takes requests knows: names, and no secret."""

    config: Config
    accounts: tuple[str, ...]
    scheme: str

    @classmethod
    def read(cls) -> "_Front":
        config = Config.from_environment()
        keys = config.keys()
        return cls(config, keys.accounts, keys.profile.scheme)


_front: _Front | None = None  # set by register() where HEIRMARK_CONFIG is


def register() -> None:
    """Entry point of vllm.general_plugins, which vLLM calls in each of its processes before it makes an engine: a server with a wrong configuration does not start.

    With speculative decoding vLLM leaves the logits processors of entry points out without a word, so text would go out unmarked. Nothing of vLLM's tells a plugin of the
    engine's configuration before that, so EngineArgs.create_engine_config is wrapped: what it returns is checked."""
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
        return config

    arguments.EngineArgs.create_engine_config = create_engine_config


# ---- The processor

class _Row:
    """A request in the engine's batch, or one that has left it and may come back."""

    def __init__(self, params: Any, output: list[int]) -> None:
        self.params = params
        self.output = output  # the engine's own list, to which it appends
        self.greedy = _greedy(params)
        self.request: Request | None = None  # None: it was to be marked and cannot be, so its response is ended
        self.before = len(output)            # tokens of the output that are part of the request's prompt
        self.draw: Draw | None = None        # given to the engine, not yet seen in the output
        self.counted = len(output)           # of a greedy row's


def _references(row: _Row) -> int:
    return sys.getrefcount(row.output)


# References to a row's output when nobody but the row holds it: the engine has forgotten the request.
_ALONE = _references(_Row(type("Params", (), {"temperature": 1.0}), []))


class LogitsProcessor(*dict.fromkeys(base for base in (_V1, _V2) if base is not object)):
    """Entry point of vllm.logits_processors. It picks each row's token and leaves only that one's logit finite, so that the engine's own sampling takes it.

    vLLM runs it behind penalties, biases, masks, temperature and min-p and before top-k and top-p, which it applies itself, with the request's own values. A drawn token
    is taken when it stands in the request's output: what vLLM samples for a prompt that it has not yet read whole, it throws away."""

    def __init__(self, vllm_config: Any, *_: Any) -> None:
        """As vLLM calls it. Errors, where HEIRMARK_CONFIG is set: as check() and Service."""
        self._service: Service | None = None
        if not os.environ.get(VARIABLE):
            return
        check(vllm_config)
        model, rows = vllm_config.model_config, vllm_config.scheduler_config.max_num_seqs
        self._serve(Service.from_environment(vocab_size=model.get_vocab_size(), max_rows=rows, threads=min(16, len(os.sched_getaffinity(0)))), rows)

    def _serve(self, service: Service, max_rows: int) -> None:
        self._service = service
        self._scheme = service.sampler.profile.scheme
        self._rows: dict[int, _Row] = {}
        self._left: dict[int, _Row] = {}  # by the identity of their output, oldest first
        self._most_left = 64 + 4 * max_rows
        self._reported: tuple[float, dict[str, int]] = (time.monotonic(), {})
        self._busy = threading.Lock()  # of the engine's calls, and of the thread that looks after an engine at rest
        self._called = time.monotonic()
        if service.config.ledger is not None:
            # The engine's process may be a child, which runs these finalizers and not those of atexit.
            multiprocessing.util.Finalize(None, self.close, exitpriority=10)
            threading.Thread(target=self._rest, name="heirmark-ledger", daemon=True).start()
        _log.info("heirmark: marking with key %s, profile %s, policy %s, %d tokens", service.sampler.key_id, service.sampler.profile.name, service.config.policy.value,
                  service.sampler.vocab_size)

    @classmethod
    def validate_params(cls, sampling_params: Any) -> None:
        """UsageError, a ValueError, at submission: vLLM answers 400."""
        if not os.environ.get(VARIABLE):
            return
        if _front is None:
            raise heirmark.UsageError(f"{VARIABLE} is set, but VLLM_PLUGINS leaves out heirmark, so that nobody checked the engine")
        wish = _wish(sampling_params)
        if not wish.marked or _front.config.policy is not Policy.FAIL_CLOSED:
            return
        if wish.account is not None and wish.account not in _front.accounts:
            raise heirmark.UsageError("this request cannot be marked: the key has no such account")
        if words := _unsupported(sampling_params, _front.scheme):
            raise heirmark.UsageError(f"this request cannot be marked: {words} is not supported")
        heirmark.Params(**_truncation(sampling_params, 2**20))

    def is_argmax_invariant(self) -> bool:
        """True: greedy rows are left alone. vLLM then calls it after penalties and temperature, and not at all where all rows are greedy."""
        return True

    @property
    def counters(self) -> Counters | None:
        """None where it does nothing."""
        return self._service.counters if self._service is not None else None

    # ---- The batch

    def add_request(self, *_: Any) -> bool:
        """The V2 runner's: False, for it is only there where HEIRMARK_CONFIG is not set."""
        return False

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

    def _rest(self) -> None:
        """An engine at rest calls nothing, and so does not say that the last responses have ended: they are recorded as they stand."""
        while True:
            time.sleep(_REST_SECONDS / 2)
            with self._busy:
                if time.monotonic() - self._called >= _REST_SECONDS:
                    self._settle()

    def _settle(self) -> None:
        for row in [*self._rows.values(), *self._left.values()]:
            if row.request is None or not row.request.marked or row.greedy:
                continue
            self._follow(row)
            try:
                self._service.split(row.request)
            except heirmark.Error as error:
                _log.error("heirmark: a response is ended: %s", error)
                row.request = None

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
        self._report()

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
        row.request = self._begin(params, [*prompt, *output])
        return row

    @staticmethod
    def _same(row: _Row, prompt: list[int]) -> bool:
        """Has the request come back as it left?"""
        if row.request is None or not row.request.marked:
            return True
        return len(row.request.prompt) == len(prompt) + row.before and row.request.tokens == row.output[row.before:]

    def _begin(self, params: Any, prompt: list[int]) -> Request | None:
        try:
            wish = _wish(params)
            return self._service.begin(prompt, account=wish.account, marked=wish.marked, unsupported=_unsupported(params, self._scheme),
                                       **({"temperature": 0.0} if _greedy(params) else _truncation(params, self._service.sampler.vocab_size)))
        except (heirmark.UsageError, heirmark.KeyAccessError, heirmark.IOFailureError) as error:  # validate_params refuses what is wrong where it is submitted
            _log.error("heirmark: a response is ended: %s", error)
            return None

    def _end(self, row: _Row) -> None:
        if row.request is not None:
            self._service.end(row.request)

    def _follow(self, row: _Row) -> None:
        """Lets a request see what became of its row."""
        draw, row.draw = row.draw, None
        request, now = row.request, len(row.output)
        if request is None or not request.marked:
            return
        if row.greedy:
            self._service.counters.add("tokens.unmarked", max(0, now - row.counted))
            row.counted = now
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

    def apply(self, logits: Any, *_: Any) -> Any:
        """logits: [rows, columns], float32, divided by temperature. They are changed in place and returned."""
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
                chosen[index] = _ending(row.params)
        if chosen:
            indices = list(chosen)
            logits[indices] = -math.inf
            logits[indices, list(chosen.values())] = 0.0
        return logits

    def _report(self) -> None:
        """One line of counts a minute, where they changed."""
        now, (then, reported) = time.monotonic(), self._reported
        if now - then < _REPORT_SECONDS:
            return
        counts = self._service.counters.snapshot()
        if counts != reported:
            _log.info("heirmark: %s", ", ".join(f"{name} {count}" for name, count in counts.items()))
        self._reported = (now, counts)


def _truncation(params: Any, vocab_size: int) -> dict[str, Any]:
    """The request's parameters as Service.begin names them. Temperature and min-p have been applied."""
    return {"top_k": params.top_k if 0 < params.top_k < vocab_size else 0, "top_p": params.top_p}


def _ending(params: Any) -> int:
    """The token that ends a response which cannot be marked: an engine has no way to fail one request from here."""
    if not params.all_stop_token_ids:
        raise heirmark.BadInputError("a response cannot be marked, and has no stop token to end it with")
    return min(params.all_stop_token_ids)
