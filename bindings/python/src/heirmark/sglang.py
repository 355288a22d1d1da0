"""Marks in SGLang (0.5.23): a sampler backend named heirmark.

    HEIRMARK_CONFIG=heirmark.json python -m sglang.launch_server --model-path MODEL --sampling-backend heirmark

SGLang finds register() by its entry points, in each of its processes. Nothing happens where another backend is chosen. The backend draws each row's token itself, behind
penalties, biases, grammars and custom logit processors, with the request's own temperature, top-k, top-p and min-p. What a request asks of it stands in SGLang's
custom_params: heirmark_account (a name) and heirmark_mark (false opts out). This module imports neither torch nor sglang before register() is called.
"""

import atexit
import collections
import copy
import dataclasses
import logging
import os
import types
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import heirmark
from heirmark.serving import Config, Draw, Policy, Request, Service, Wish

__all__ = ["BACKEND", "Batch", "Engine", "check", "make_sampler_class", "register"]

BACKEND = "heirmark"
TOP_K_ALL = 1 << 30  # SGLang's: top-k is off
_ENGINES, _REFUSED = -1, -2  # in place of a token: SGLang is to sample the row; the request is to be ended

_log = logging.getLogger(__name__)


# ---- What a request wants

def _wish(params: Any) -> Wish:
    """UsageError names the parameter that is wrong. params: SGLang's SamplingParams."""
    return Wish.of(params.custom_params, "custom parameter")


def _params(params: Any, vocab_size: int) -> dict[str, Any]:
    """A request's parameters as Service.begin names them. SGLang turns temperature 0 into top-k 1."""
    if params.top_k <= 1:
        return {"temperature": 0.0}
    return {"temperature": params.temperature, "top_k": params.top_k if params.top_k < vocab_size else 0, "top_p": params.top_p, "min_p": params.min_p}


def _prompt(req: Any) -> Sequence[int]:
    """The prompt's tokens that the model has read. Where it has images, SGLang puts numbers of its own into origin_input_ids; where it is too long (--allow-auto-truncate), only that is cut."""
    return req.origin_input_ids_unpadded[:len(req.origin_input_ids)]


def _unsupported(req: Any) -> str:
    if (req.sampling_params.beam_width or 1) > 1:
        return "beam_width"
    return "return_sampling_mask" if req.return_sampling_mask else ""


# ---- What the server must be

def check(args: Any) -> None:
    """UsageError where a server of these arguments would not mark, or would mark wrongly. args: ServerArgs.resolved_dict() as attributes; ServerArgs' own are as they were given."""
    for bad, words in (
        (args.speculative_algorithm, "speculative decoding (--speculative-algorithm): SGLang verifies drafts without asking the sampler"),
        (args.dllm_algorithm, "diffusion models (--dllm-algorithm): SGLang does not ask the sampler"),
        (args.attn_dp_size > 1, "data-parallel attention (--attn-dp-size, --enable-dp-attention)"),
        (args.pp_size > 1, "pipeline parallelism (--pp-size)"),
        (args.disaggregation_mode != "null", "--disaggregation-mode: the first token is drawn by another server"),
    ):
        if bad:
            raise heirmark.UsageError(f"--sampling-backend {BACKEND} does not support {words}")


# ---- Requests and rows

@dataclasses.dataclass(frozen=True)
class Batch:
    """The requests of one forward, in the order of its rows."""

    reqs: Sequence[Any]      # SGLang's Req
    lengths: Sequence[int]   # tokens of each that the model has read: its prompt, or a part, and what was generated

    @classmethod
    def of(cls, batch: Any) -> "Batch":
        """batch: SGLang's ScheduleBatch."""
        lengths = batch.seq_lens_cpu if batch.seq_lens_cpu is not None else batch.seq_lens
        return cls(tuple(batch.reqs), lengths.tolist())


class _Row:
    """One of the engine's requests. It is held weakly: SGLang's die when nobody holds them."""

    def __init__(self, req: Any, gone: Callable[[int], None]) -> None:
        number = id(req)
        self.req = weakref.ref(req, lambda _: gone(number))
        self.output = req.output_ids  # the engine's own list, to which it appends when it has seen a token: in the overlap mode a step late
        self.request: Request | None = None  # None: it cannot be marked, and is ended
        self.before = 0                      # tokens generated that are part of the request's prompt
        self.pending: Draw | int | None = None  # given to the engine, which may throw it away; a number is a token that the engine sampled
        self.message, self.code = "", 0


class Engine:
    """The requests of one scheduler process, and what draws for them. One thread's, the scheduler's."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._rows: dict[int, _Row] = {}
        self._gone: collections.deque[int] = collections.deque()  # filled by the collector, at any time

    def draw(self, batch: Batch, logits: Any) -> list[int]:
        """A token for each row; -1 where SGLang is to sample it, -2 where the request is to be ended (refusal() says why), 0 where SGLang throws the token away, or ends the request before its first.

        logits: [rows, columns], as they stand before temperature; rows are copied to the host."""
        self._sweep()
        if logits.shape[0] != len(batch.reqs):
            raise heirmark.UsageError(f"{logits.shape[0]} rows of logits for {len(batch.reqs)} requests")
        tokens, at, rows = [0] * len(batch.reqs), [], []
        for i, (req, length) in enumerate(zip(batch.reqs, batch.lengths, strict=True)):
            index = length - len(req.origin_input_ids)  # of the token to be drawn, in the response
            if index < len(req.output_ids):
                continue  # a part of a prompt that is read in chunks, or read again
            if id(req) not in self._rows and req.to_finish is not None:
                continue  # SGLang has rejected it (set_finish_with_abort) or it was aborted: a prompt of one token runs to its end, and no response begins
            row = self._row(req, index)
            if row.request is None:
                tokens[i] = _REFUSED
            elif not row.request.marked:
                tokens[i] = _ENGINES
            else:
                at.append(i)
                rows.append(row)
        step = self.service.sampler.max_rows
        for start in range(0, len(rows), step):
            part, here = rows[start:start + step], at[start:start + step]
            host = (logits if len(here) == len(batch.reqs) else logits[here]).detach().cpu()
            for i, row, drawn in zip(here, part, self.service.draw(host, [row.request for row in part]), strict=True):
                tokens[i] = self._judge(row, drawn)
        return tokens

    def sampled(self, batch: Batch, i: int, token: int) -> None:
        """The engine sampled a row that draw() left to it."""
        row = self._rows[id(batch.reqs[i])]
        if row.request is not None and row.request.marked:
            row.pending = token

    def refusal(self, req: Any) -> tuple[str, int]:
        """Why a request is ended, and the HTTP status for it."""
        row = self._rows[id(req)]
        return row.message, row.code

    def processed(self, reqs: Sequence[Any]) -> None:
        """The engine has processed a step's tokens: those who have ended are ended."""
        self._sweep()
        for req in reqs:
            if req.finished() and id(req) in self._rows:
                self._end(id(req))

    def close(self) -> None:
        """Ends all requests and closes the ledger. IOFailureError says what is lost."""
        for number in list(self._rows):
            self._end(number)
        self.service.close()

    def live(self) -> int:
        """How many requests are live."""
        return len(self._rows)

    def _sweep(self) -> None:
        while self._gone:
            self._end(self._gone.popleft())

    def _row(self, req: Any, index: int) -> _Row:
        row = self._rows.get(id(req))
        if row is None:
            row = self._rows[id(req)] = _Row(req, self._gone.append)
            row.before = index
            self._begin(row, req, index)
            return row
        row.output = req.output_ids
        if row.request is not None and row.request.marked:
            self._follow(row, index)
        return row

    def _begin(self, row: _Row, req: Any, index: int) -> None:
        params = req.sampling_params
        try:
            wish = _wish(params)
            row.request = self.service.begin([*_prompt(req), *req.output_ids[:index]], account=wish.account, marked=wish.marked, unsupported=_unsupported(req),
                                             **_params(params, self.service.sampler.vocab_size))
        except (heirmark.UsageError, heirmark.KeyAccessError) as error:
            self._refuse(row, str(error), 400)
        except heirmark.IOFailureError as error:
            self._refuse(row, str(error), 503)

    def _refuse(self, row: _Row, message: str, code: int) -> None:
        _log.error("heirmark: a response is ended: %s", message)
        row.request, row.pending, row.message, row.code = None, None, message, code

    def _follow(self, row: _Row, index: int) -> None:
        request = row.request
        try:
            self._catch_up(row, index)
        except heirmark.IOFailureError as error:  # a response that begins again cannot be recorded
            self.service.end(request)
            self._refuse(row, str(error), 503)

    def _catch_up(self, row: _Row, index: int) -> None:
        """Lets a request see what became of its last token; `index` tokens stand in the response now, and the engine may not have appended the last of them yet."""
        request, pending = row.request, row.pending
        row.pending = None
        standing = list(row.output[row.before:index])
        known = row.before + len(request.tokens)
        if pending is not None and index == known + 1:
            token = pending.token if isinstance(pending, Draw) else pending
            if len(row.output) <= known or row.output[known] == token:
                if isinstance(pending, Draw):
                    self.service.take(request, pending)
                else:
                    self.service.sync(request, [*request.tokens, token])
                known += 1
        if index < row.before:  # the engine threw all away and begins again
            req = row.req()
            self.service.end(request)
            row.before = index
            self._begin(row, req, index)
        elif len(standing) == index - row.before:
            if standing != request.tokens:
                self.service.sync(request, standing)
        elif index != known:
            self.service.end(request)
            self.service.counters.add("tokens.unsupported-jump")
            self._refuse(row, "the engine added tokens that it does not show", 500)

    def _judge(self, row: _Row, draw: Draw) -> int:
        if draw.good:
            row.pending = draw
            return draw.token
        self.service.counters.add(f"tokens.{draw.reason}")
        if self.service.config.policy is Policy.FAIL_CLOSED:
            self.service.end(row.request)
            self._refuse(row, f"a token could not be marked: {draw.reason}", 500)
            return _REFUSED
        return _ENGINES

    def _end(self, number: int) -> None:
        row = self._rows.pop(number, None)
        if row is None or row.request is None:
            return
        if row.request.marked and len(row.output) >= row.before:
            self._follow(row, len(row.output))
        if row.request is not None:
            self.service.end(row.request)


# ---- SGLang's sampler

def make_sampler_class(base: type, *, engine: Engine | None, group: Any, abort: Callable[..., Any], original_logprobs: bool = False) -> type:
    """The sampler backend.

    base: SGLang's Sampler. engine: of the rank that draws, the first of its tensor-parallel group; None in the others, which are sent its tokens, so that all agree.
    group: the GroupCoordinator. abort: FINISH_ABORT. original_logprobs: SGLANG_RETURN_ORIGINAL_LOGPROB."""

    class HeirmarkSampler(base):
        def forward(self, logits_output: Any, sampling_info: Any, return_logprob: bool, top_logprobs_nums: list[int], token_ids_logprobs: list[list[int]], positions: Any, *,
                    logprob_logits: Any = None) -> Any:
            """As Sampler.forward: token ids [rows], on the device of the logits; logprobs are written into logits_output."""
            batch = getattr(sampling_info, "heirmark_batch", None)
            if batch is None:
                raise heirmark.UsageError("SGLang asked for tokens without a batch: SGLANG_PLUGINS leaves out heirmark, or this version's ForwardBatch.init_new is another")
            logits = self._preprocess_logits(logits_output.next_token_logits, sampling_info)
            codes = engine.draw(batch, logits) if engine is not None else [0] * len(batch.reqs)
            if group.world_size > 1:
                codes = group.broadcast(positions.new_tensor(codes), src=0).tolist()
            if _ENGINES in codes:
                output = dataclasses.replace(logits_output, next_token_logits=logits.clone())
                info = copy.copy(sampling_info)
                info.has_custom_logit_processor = False  # they have run
                sampled = super().forward(output, info, False, [], [], positions).tolist()
                logits_output.sampling_mask_output = output.sampling_mask_output
                for i, code in enumerate(codes):
                    if code == _ENGINES:
                        codes[i] = sampled[i]
                        if engine is not None:
                            engine.sampled(batch, i, sampled[i])
            for i, (req, code) in enumerate(zip(batch.reqs, codes, strict=True)):
                if code == _REFUSED:
                    codes[i] = 0
                    if not req.finished() and req.to_finish is None:  # SGLang's own reason stands
                        message, status = engine.refusal(req) if engine is not None else ("heirmark", 500)
                        req.to_finish = abort(message, status)
            tokens = positions.new_tensor(codes)
            if return_logprob:
                scaled = logits if original_logprobs or sampling_info.is_all_greedy else logits / sampling_info.temperatures
                self.output_logprob_processor.compute_logprobs(scaled.log_softmax(-1), top_logprobs_nums, token_ids_logprobs, tokens).write_output_to(logits_output)
            return tokens

    return HeirmarkSampler


# ---- The plugin

_engine: Engine | None = None  # of this process: a model may make a second sampler
_made: type | None = None


def _make(*_: Any) -> Any:
    """SGLang's factory: called where the backend is chosen, in each process that samples, before the model is loaded."""
    global _engine, _made
    if _made is None:
        try:
            from sglang.srt.layers.sampler import SGLANG_RETURN_ORIGINAL_LOGPROB, Sampler
            from sglang.srt.managers.schedule_batch import FINISH_ABORT
            from sglang.srt.runtime_context import get_parallel, get_server_args

            server, parallel = get_server_args(), get_parallel()
            args = types.SimpleNamespace(**server.resolved_dict())
            check(args)
            if parallel.tp_rank == 0:
                from sglang.srt.configs.model_config import ModelConfig

                config = Config.from_environment()
                if config.ledger is not None and args.dp_size > 1:
                    raise heirmark.UsageError("--dp-size above 1 does not go with a ledger: each replica would write into the one folder")
                service = Service(config, vocab_size=ModelConfig.from_server_args(server).vocab_size, threads=min(16, len(os.sched_getaffinity(0))))
                _engine = Engine(service)
                atexit.register(_engine.close)
                _log.info("heirmark: marking with key %s, profile %s, policy %s, %d tokens", service.sampler.key_id, service.sampler.profile.name, config.policy.value,
                          service.sampler.vocab_size)
            _made = make_sampler_class(Sampler, engine=_engine, group=parallel.tp_group, abort=FINISH_ABORT, original_logprobs=SGLANG_RETURN_ORIGINAL_LOGPROB)
        except heirmark.Error as error:
            _log.error("heirmark: the server does not start: %s", error)
            raise
    return _made()


def _show_batch(result: Any, cls: type, batch: Any, *_: Any, **__: Any) -> None:
    """After ForwardBatch.init_new: the sampler is told nothing of requests, so they are put where it looks. Their copy of the sampling information is this forward's own."""
    if _made is not None and result.sampling_info is not None:
        result.sampling_info.heirmark_batch = Batch.of(batch)


def _processed(result: Any, scheduler: Any, batch: Any, *_: Any, **__: Any) -> None:
    """After Scheduler.process_batch_result."""
    if _engine is not None:
        _engine.processed(batch.reqs)


def register() -> None:
    """Entry point of sglang.srt.plugins. Adds the backend's name; its two hooks do nothing unless it is chosen."""
    from sglang.srt.layers.sampler import register_sampler_backend
    from sglang.srt.plugins.hook_registry import HookRegistry, HookType

    register_sampler_backend(BACKEND, _make)
    HookRegistry.register("sglang.srt.model_executor.forward_batch_info.ForwardBatch.init_new", _show_batch, HookType.AFTER)
    HookRegistry.register("sglang.srt.managers.scheduler.Scheduler.process_batch_result", _processed, HookType.AFTER)
