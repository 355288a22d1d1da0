"""Marks in vLLM's V2 model runner (0.32), made on the device: heirmark.vllm.LogitsProcessor hands that runner's calls to Marks.

Everything that a row asks for is there already. The token history of each request is the runner's, on the device; draft tokens are the step's input; so window, position and whether
the window stood before are tensor operations, and the sampler's launch follows them on the same stream. Nothing waits for the device and nothing comes back from it but
counts, once a minute. On the CPU the same calls work on the host's memory.
"""

import logging
import os
from typing import Any

import numpy
import torch
from vllm.v1.worker.gpu.buffer_utils import UvaBackedTensor

import heirmark
from heirmark import vllm as plugin
from heirmark.layout import NO_TOKEN, ROW, SAMPLED
from heirmark.serving import Policy, Service

__all__ = ["Marks"]

_log = logging.getLogger("vllm.heirmark")

# A request's slot in int32 words: the row that it asks for (heirmark.layout.ROW, of which apply() fills in position, window and window_repeated), what is done with its rows, and
# the token that ends its response.
_ROW_WORDS = ROW.itemsize // 4
_KIND, _STOP, _WORDS = _ROW_WORDS, _ROW_WORDS + 1, _ROW_WORDS + 2
_LEFT, _MARKED, _ENDED = range(3)
_POSITION, _REPEATED, _WINDOW = (ROW.fields[name][1] // 4 for name in ("position", "window_repeated", "window"))
_WINDOW_WORDS = 4
_TOKEN, _STATUS = (SAMPLED.fields[name][1] // 4 for name in ("token", "status"))
_NO_TOKEN = numpy.uint32(NO_TOKEN).astype(numpy.int32).item()
_STATUSES = 8  # room for all; the last counts nothing
_MOST_ROWS = 4096  # of a launch
_SCAN = 1 << 22    # tokens that are looked at at a time: some 60 MB


class Marks:
    """The marks of one engine. Calls as vllm.v1.worker.gpu.sample.logits_processor.LogitsProcessor has them."""

    def __init__(self, vllm_config: Any, req_states: Any) -> None:
        """Errors as Service."""
        device = torch.device(req_states.device)
        name = device.type if device.type != "cuda" or device.index is None else f"cuda:{device.index}"
        draft = vllm_config.speculative_config
        self._drafts = draft.num_speculative_tokens if draft is not None else 0
        self.service = Service.from_environment(vocab_size=vllm_config.model_config.get_vocab_size(), max_rows=min(_MOST_ROWS, req_states.max_num_reqs * (1 + self._drafts)),
                                                device=name, threads=min(16, len(os.sched_getaffinity(0))))
        self._device, self._states, self._sampler = device, req_states, self.service.sampler
        self._h = self._sampler.profile.window
        self._closed = self.service.config.policy is Policy.FAIL_CLOSED
        self._slots, self._changed = UvaBackedTensor((req_states.max_num_reqs, _WORDS), dtype=torch.int32), False
        self._workspace = None
        if device.type != "cpu":
            self._workspace = torch.empty(self._sampler.workspace_bytes(), dtype=torch.uint8, device=device)
            self._sampler.prepare(self._workspace, stream=self._stream())
        self._counts = torch.zeros(_STATUSES, dtype=torch.int64, device=device)
        self._copied = torch.zeros(_STATUSES, dtype=torch.int64, pin_memory=device.type != "cpu")  # as they were a report ago
        self._reporter = plugin.Reporter(self.service.counters)
        plugin.announce(self.service, f"on {name}")

    def _stream(self) -> int:
        return torch.cuda.current_stream(self._device).cuda_stream if self._device.type == "cuda" else 0

    # ---- Requests

    def add_request(self, slot: int, params: Any) -> bool:
        """A request has got a slot, for the first time or, when it was preempted, again: then it goes on as a response of its own, whose prompt is all that stands."""
        words = numpy.zeros(_WORDS, numpy.int32)
        try:
            wish, scheme = plugin.wish_of(params), self._sampler.profile.scheme
            asked, account, reason = self.service.admit(account=wish.account, marked=wish.marked, unsupported=plugin.unsupported(params, scheme),
                                                        **plugin.parameters(params, self._sampler.vocab_size))
            if not reason and not plugin.is_greedy(params):
                words[:_ROW_WORDS] = self._sampler.rows([self._sampler.begin(account=account)], asked).view(numpy.int32)
                words[_KIND] = _MARKED
            if self._states.prefill_len.np[slot] == self._states.prompt_len.np[slot]:
                self.service.count(reason)
            elif not reason:
                self.service.counters.add("restarts")
        except (heirmark.UsageError, heirmark.KeyAccessError) as error:  # validate_params refuses what is wrong where it is submitted
            _log.error("heirmark: a response is ended: %s", error)
            words[_KIND] = _ENDED
        words[_STOP] = plugin.ending(params, self._sampler.vocab_size) or 0
        self._slots.np[slot] = words
        self._changed = True
        return bool(words[_KIND] != _LEFT)

    def apply_staged_writes(self) -> None:
        if self._changed:
            self._slots.copy_to_uva()
            self._changed = False
        if self._reporter.due:
            counts = self._copied.tolist()  # host memory, written long ago
            self._reporter.report({f"rows.{status.name.lower().replace('_', '-')}": counts[status] for status in map(heirmark.RowStatus, range(_STATUSES - 2)) if counts[status]})
            self._copied.copy_(self._counts, non_blocking=True)

    # ---- Tokens

    def apply(self, logits: torch.Tensor, ctx: Any) -> torch.Tensor:
        """logits: [rows, columns], float32, before temperature and truncation. Of a row that is to be marked the token's becomes 0, and all others -inf."""
        kinds = self._slots.np[ctx.idx_mapping_np, _KIND]
        if not kinds.any():
            return logits
        slots = ctx.expanded_idx_mapping.long()
        asked = self._slots.gpu[slots.clamp(min=0)]
        kind = torch.where(slots >= 0, asked[:, _KIND], _LEFT)
        token, stop = torch.full_like(kind, _NO_TOKEN), asked[:, _STOP]
        if (kinds == _MARKED).any():
            drawn, status = self._draw(logits, ctx, slots.clamp(min=0), asked[:, :_ROW_WORDS].contiguous(), kinds == _MARKED)
            marked = kind == _MARKED
            self._counts.index_add_(0, torch.where(marked, status, _STATUSES - 1).long(), torch.ones_like(kind, dtype=torch.int64))
            if self._closed:
                drawn = torch.where(status <= int(heirmark.RowStatus.UNMARKED), drawn, stop)
            token = torch.where(marked, drawn, token)
        token = torch.where(kind == _ENDED, stop, token)
        chosen, at = (token != _NO_TOKEN)[:, None], token.clamp(min=0).long()[:, None]
        others = logits.gather(1, at)
        logits.masked_fill_(chosen, -torch.inf)
        return logits.scatter_(1, at, torch.where(chosen, 0.0, others))

    def _draw(self, logits: torch.Tensor, ctx: Any, slots: torch.Tensor, rows: torch.Tensor, marked: numpy.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Token and status of each row, int32. rows: what they ask for, to be filled in. marked: which requests of the batch are, on the host."""
        text = _Text(self._states, ctx, slots)
        window = text.before(self._h)
        rows[:, _POSITION] = (text.length - text.begin).int()
        rows[:, _WINDOW:_WINDOW + _WINDOW_WORDS - self._h] = _NO_TOKEN
        rows[:, _WINDOW + _WINDOW_WORDS - self._h:_WINDOW + _WINDOW_WORDS] = window
        longest = int((ctx.seq_lens_upper_bound_np - self._states.prefill_len.np[ctx.idx_mapping_np])[marked].max())
        rows[:, _REPEATED] = self._repeated(text, window, longest, self._drafts if logits.shape[0] > len(ctx.idx_mapping_np) else 0)
        sampled = torch.zeros((len(rows), SAMPLED.itemsize // 4), dtype=torch.int32, device=rows.device)
        for first in range(0, len(rows), self._sampler.max_rows):
            part = slice(first, first + self._sampler.max_rows)
            self._sampler.launch(logits[part], rows[part], sampled[part], workspace=self._workspace, stream=self._stream())
        return sampled[:, _TOKEN], sampled[:, _STATUS] & 0xFF

    def _repeated(self, text: "_Text", window: torch.Tensor, longest: int, drafts: int) -> torch.Tensor:
        """Stood a row's window at an earlier position of its response? That is as good as the history of marks.md, for which one would need the key: where the coin makes a window
        none of a window position, its row is issued whatever the flag says; where it makes it one, the window was marked, and entered, where it stood first.

        longest: no response has more tokens before its row than this."""
        repeated = torch.zeros_like(text.length, dtype=torch.bool)
        step = max(64, _SCAN // len(window))
        for first in range(0, longest, step):
            count = min(step, longest - first)
            ends = text.begin[:, None] + torch.arange(first, first + count, device=window.device)
            tokens = text.standing(text.begin[:, None] + torch.arange(first - self._h, first + count - 1, device=window.device))
            same = (ends < text.length[:, None]) & (ends <= text.stands[:, None])
            for i in range(self._h):
                same &= tokens[:, i:i + count] == window[:, i:i + 1]
            repeated |= same.any(1)
        for ahead in range(1, drafts):  # windows with draft tokens in them
            repeated |= (ahead < text.local) & (text.at(text.stands + ahead, self._h) == window).all(1)
        return repeated


class _Text:
    """What stands before each row of a step, on the device: the tokens of its request and, before the rows of a draft, those draft tokens that the row takes for accepted. Places count from the
    start of the prompt."""

    def __init__(self, states: Any, ctx: Any, slots: torch.Tensor) -> None:
        self._all, self._input, self._slots = states.all_token_ids.gpu, ctx.input_ids, slots[:, None]
        self.begin = states.prefill_len.gpu[slots].long()  # of the response
        self.stands = states.total_len.gpu[slots].long()
        self.local = ctx.expanded_local_pos.long()         # how many draft tokens
        self.length = self.stands + self.local
        self._first = torch.arange(len(slots), device=slots.device) - self.local  # row of the same request that has none: the row behind it was fed the first

    def standing(self, places: torch.Tensor) -> torch.Tensor:
        """Tokens [rows, n] at places [rows, n], which must stand; before the text there is no token."""
        return torch.where(places >= 0, self._all[self._slots, places.clamp(0, self._all.shape[1] - 1)], _NO_TOKEN)

    def at(self, places: torch.Tensor, count: int) -> torch.Tensor:
        """The last `count` tokens before places [rows], oldest first."""
        places = places[:, None] + torch.arange(-count, 0, device=places.device)
        ahead = places - self.stands[:, None]
        draft = self._input[(self._first[:, None] + ahead + 1).clamp(0, len(self._input) - 1)].int()
        return torch.where(ahead < 0, self.standing(places), draft)

    def before(self, count: int) -> torch.Tensor:
        """The last `count` tokens before the rows."""
        return self.at(self.length, count)
