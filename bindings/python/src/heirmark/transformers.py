"""Marks in transformers' generate() (5.23):

    import heirmark.transformers

    marks = heirmark.transformers.Marks.from_environment(model)     # HEIRMARK_CONFIG names the server's configuration
    out = model.generate(**inputs, do_sample=True, temperature=0.8, custom_generate=marks)
    marks.counters.snapshot()

Each row of a batch is a response of its own, with the request's own temperature, top-k, top-p and min-p. Penalties, constraints and processors of the caller's
stand before the mark, as they stand before sampling. This module imports neither torch nor transformers.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import heirmark
from heirmark.serving import Config, Counters, Recorder, Request, Service

__all__ = ["Marks", "Processor"]

# Processors that come after the caller's, by the name of their class: what makes a distribution of the logits. Ours stands before the first of them.
_WARPERS = ("TemperatureLogitsWarper", "TopHLogitsWarper", "TopKLogitsWarper", "TopPLogitsWarper", "MinPLogitsWarper", "TypicalLogitsWarper", "EpsilonLogitsWarper",
            "EtaLogitsWarper", "WatermarkLogitsProcessor", "SynthIDTextWatermarkLogitsProcessor", "LogitNormalization")


class Processor:
    """A logits processor that picks each row's token: the chosen token's logit is 0 and the row's others -inf, so that whatever follows takes it.

    One for one call of generate(). A row that is not marked, or has ended, is left as it was."""

    def __init__(self, service: Service, requests: Sequence[Request], *, ends: Sequence[int] = (), pad: int | None = None) -> None:
        """requests: one for each row, in the order of the rows. ends: token ids that end a response. pad: what an ended row is filled with."""
        self._service = service
        self._requests = list(requests)
        self._ends = frozenset(ends)
        self._pad = pad
        self._alive = [True] * len(self._requests)
        self._length: int | None = None  # of the prompt's columns, once seen

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """input_ids: [rows, tokens so far]; scores: [rows, columns]. Returns the scores to sample from."""
        rows, length = input_ids.shape
        if rows != len(self._requests):
            raise heirmark.UsageError(f"{rows} rows for {len(self._requests)} requests: a processor serves one call of generate()")
        if self._length is None:
            self._length = length
        else:
            self._follow(input_ids[:, self._length:].tolist())
        live = [i for i in range(rows) if self._alive[i]]
        if not live:
            return scores
        logits = scores.detach().cpu()
        tokens = self._service.sample(logits if len(live) == rows else logits[live], [self._requests[i] for i in live])
        out = scores.clone()
        for i, token in zip(live, tokens, strict=True):
            if token is not None:
                out[i] = -math.inf
                out[i, token] = 0.0
        return out

    def _follow(self, generated: list[list[int]]) -> None:
        """Lets each request see what became of its row."""
        for i, (request, tokens) in enumerate(zip(self._requests, generated, strict=True)):
            if not self._alive[i]:
                continue
            taken = len(request.tokens)
            if taken == len(tokens) and request.tokens == tokens:
                self._alive[i] = tokens[-1] not in self._ends
            elif tokens[:-1] == request.tokens[:len(tokens) - 1] and tokens[-1] == self._pad and len(tokens) == taken:
                request.tokens.pop()  # sampled for a row that had ended by another criterion
                self._alive[i] = False
            else:
                self._service.sync(request, tokens)
                self._alive[i] = tokens[-1] not in self._ends

    def end(self, returned: Any = None) -> None:
        """Ends all requests, which records them. returned: [rows, tokens], what generate() is to return: what was drawn in its last step for a row that had ended is no part of it, nor of the record."""
        if returned is not None and self._length is not None:
            self._follow(returned[:, self._length:].tolist())
        for request in self._requests:
            self._service.end(request)


class Marks:
    """What generate(custom_generate=...) is given: sampling as transformers does it, with marks.

    Arguments of generate() beside its own: heirmark_rows, a list with one mapping for each prompt, {"account": NAME} or {"marked": False}. Errors: UsageError for
    beam search and other ways of generating than sampling and greedy search, whatever the policy."""

    def __init__(self, service: Service) -> None:
        self.service = service

    @classmethod
    def from_config(cls, config: Config, model: Any, *, vocab_size: int | None = None, max_rows: int = 1024, threads: int = 1, recorder: Recorder | None = None) -> "Marks":
        """vocab_size: by default the model's; give the tokenizer's where the model's logits are padded beyond it. The rest as Service."""
        size = vocab_size if vocab_size is not None else model.config.get_text_config().vocab_size
        return cls(Service(config, vocab_size=size, max_rows=max_rows, threads=threads, recorder=recorder))

    @classmethod
    def from_environment(cls, model: Any, **options: Any) -> "Marks":
        """By the configuration that HEIRMARK_CONFIG names; options as from_config."""
        return cls.from_config(Config.from_environment(), model, **options)

    @property
    def counters(self) -> Counters:
        return self.service.counters

    def __call__(self, model: Any, input_ids: Any, logits_processor: Any, stopping_criteria: Any, generation_config: Any, synced_gpus: bool = False, streamer: Any = None,
                 heirmark_rows: Sequence[Mapping[str, Any]] | None = None, **model_kwargs: Any) -> Any:
        """As generate() calls it."""
        self.check(generation_config)
        prompts = _prompts(input_ids, model_kwargs.get("attention_mask") if not model.config.is_encoder_decoder else None)
        params = _params(generation_config)
        requests: list[Request] = []
        try:
            for row, prompt in enumerate(prompts):
                wish = _wish(heirmark_rows, row, len(prompts), generation_config.num_return_sequences or 1)
                requests.append(self.service.begin(prompt, account=wish.get("account"), marked=wish.get("marked", True), unsupported=_unsupported(generation_config),
                                                   **params))
            processor = Processor(self.service, requests, ends=_token_ids(generation_config.eos_token_id), pad=next(iter(_token_ids(generation_config.pad_token_id)), None))
            logits_processor.insert(next((i for i, p in enumerate(logits_processor) if type(p).__name__ in _WARPERS), len(logits_processor)), processor)
            out = model._sample(input_ids, logits_processor=logits_processor, stopping_criteria=stopping_criteria, generation_config=generation_config, synced_gpus=synced_gpus,
                                streamer=streamer, **model_kwargs)
            processor.end(getattr(out, "sequences", out))  # return_dict_in_generate
            return out
        except BaseException:
            for request in requests:  # those of rows that had ended, too: generate() returns none of them
                self.service.forget(request)
            raise

    @staticmethod
    def check(generation_config: Any) -> None:
        """UsageError where the configuration asks for another way of generating than sampling or greedy search."""
        for name, off in (("num_beams", 1), ("num_beam_groups", 1), ("penalty_alpha", 0), ("dola_layers", None), ("prompt_lookup_num_tokens", None), ("constraints", None),
                          ("force_words_ids", None)):
            if getattr(generation_config, name, None) not in (None, off):
                raise heirmark.UsageError(f"{name} is not supported with marks: a token of a beam is not drawn, so there is nothing to mark. Use sampling, or greedy search")


def _params(config: Any) -> dict[str, Any]:
    """The request's own parameters, as Service.begin names them."""
    if not config.do_sample:
        return {"temperature": 0.0}
    given = {name: getattr(config, name, None) for name in ("temperature", "top_k", "top_p", "min_p")}
    return {name: value for name, value in given.items() if value is not None}


def _unsupported(config: Any) -> str:
    """A way to cut the distribution that heirmark does not have, or another's watermark."""
    if getattr(config, "watermarking_config", None) is not None:
        return "watermarking_config"
    if not config.do_sample:
        return ""
    for name, off in (("typical_p", 1.0), ("epsilon_cutoff", 0.0), ("eta_cutoff", 0.0), ("top_h", None)):
        if getattr(config, name, None) not in (None, off):
            return name
    return ""


def _prompts(input_ids: Any, attention_mask: Any) -> list[list[int]]:
    """The prompt of each row without its padding."""
    rows = input_ids.tolist()
    if attention_mask is None:
        return rows
    masks = attention_mask.tolist()
    if not all(len(mask) == len(row) and all(bit in (0, 1) for bit in mask) for row, mask in zip(rows, masks, strict=True)):
        return rows
    return [[token for token, bit in zip(row, mask, strict=True) if bit] for row, mask in zip(rows, masks, strict=True)]


def _token_ids(value: Any) -> list[int]:
    if value is None:
        return []
    if hasattr(value, "tolist"):
        value = value.tolist()
    return list(value) if isinstance(value, (list, tuple)) else [int(value)]


def _wish(wishes: Sequence[Mapping[str, Any]] | None, row: int, rows: int, copies: int) -> Mapping[str, Any]:
    """What was said of the prompt that a row belongs to; `copies` rows follow each other for each prompt."""
    if wishes is None:
        return {}
    if len(wishes) * copies != rows:
        raise heirmark.UsageError(f"heirmark_rows has {len(wishes)} entries for {rows // copies} prompts")
    wish = wishes[row // copies]
    if unknown := sorted(wish.keys() - {"account", "marked"}):
        raise heirmark.UsageError(f'heirmark_rows[{row // copies}]: unknown member "{unknown[0]}"')
    if not isinstance(wish.get("marked", True), bool):
        raise heirmark.UsageError(f"heirmark_rows[{row // copies}]: marked is True or False")
    return wish
