"""What every Python inference engine's integration shares: the server's configuration, each request's sequence, what to do where a mark cannot be
made, and the counters.

The configuration is one JSON file, which the environment variable HEIRMARK_CONFIG names; specs/formats.md, "Server configuration", has its members:

    {"subkeys": "subkeys.json", "account": "default", "policy": "fail-closed", "ledger": "ledger", "model": "acme-70b"}
"""

import dataclasses
import datetime
import enum
import hashlib
import json
import os
import re
import threading
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy

import heirmark

__all__ = ["Config", "Counters", "Draw", "Policy", "Recorder", "Request", "Service", "VARIABLE", "Wish"]

VARIABLE = "HEIRMARK_CONFIG"


class Policy(enum.Enum):
    """What happens where a mark should be made and cannot be."""

    FAIL_CLOSED = "fail-closed"
    SERVE_UNMARKED = "serve-unmarked-and-count"


@dataclasses.dataclass(frozen=True)
class Config:
    """A server's configuration; it holds no secret."""

    subkeys: Path
    account: str | None = None
    policy: Policy = Policy.FAIL_CLOSED
    ledger: Path | None = None
    model: str = "unnamed"
    epoch: str | None = None
    digest: str = dataclasses.field(default="", compare=False)  # SHA-256 of the file, hex: what the ledger says of how the model was served

    @classmethod
    def read(cls, path: str | os.PathLike) -> "Config":
        """Reads a configuration file. BadInputError names the file and the member; KeyAccessError: no permission."""
        path = Path(path)

        def bad(what: str) -> heirmark.BadInputError:
            return heirmark.BadInputError(f"{path}: {what}")

        try:
            data = path.read_bytes()
            # A number is wrong whatever it is, and Python does not read an integer of thousands of digits.
            members = json.loads(data.decode("utf-8"), object_pairs_hook=lambda pairs: _without_twins(pairs, bad), parse_int=float)
        except PermissionError as error:
            raise heirmark.KeyAccessError(f"{path}: {error.strerror}") from None
        except OSError as error:
            raise bad(error.strerror or "cannot be read") from None
        except UnicodeDecodeError:
            raise bad("no UTF-8 text") from None
        except json.JSONDecodeError as error:
            raise bad(f"line {error.lineno}: {error.msg}") from None
        except RecursionError:
            raise bad("nested too deeply") from None
        if not isinstance(members, dict):
            raise bad("expected an object")
        if unknown := sorted(members.keys() - {field.name for field in dataclasses.fields(cls) if field.name != "digest"}):
            raise bad(f"unknown member {_shown(unknown[0])}")
        for name, value in members.items():
            if not isinstance(value, str) or not value:
                raise bad(f'member "{name}": expected a string that is not empty')
            if re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", value):
                raise bad(f'member "{name}": holds a control character or half of a surrogate pair')
        if "subkeys" not in members:
            raise bad('member "subkeys": missing')
        if "account" in members and not _is_name(members["account"]):
            raise bad('member "account": expected 1 to 64 of a-z 0-9 . _ -')
        if "epoch" in members and not re.fullmatch("[0-9]{4}-(0[1-9]|1[0-2])", members["epoch"]):
            raise bad('member "epoch": expected YYYY-MM')
        if "model" in members and not re.fullmatch("[ -~]{1,256}", members["model"]):
            raise bad('member "model": expected 1 to 256 printable ASCII characters')
        try:
            policy = Policy(members.get("policy", Policy.FAIL_CLOSED.value))
        except ValueError:
            raise bad('member "policy": expected "' + '" or "'.join(p.value for p in Policy) + '"') from None
        ledger = members.get("ledger")
        return cls(path.parent / members["subkeys"], members.get("account"), policy, path.parent / ledger if ledger else None,
                   members.get("model", "unnamed"), members.get("epoch"), hashlib.sha256(data).hexdigest())

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Config":
        """The configuration that HEIRMARK_CONFIG names; UsageError where it names none."""
        path = environment.get(VARIABLE, "")
        if not path:
            raise heirmark.UsageError(f"{VARIABLE} is not set: it names the server's configuration, a JSON file")
        return cls.read(path)

    def keys(self) -> heirmark.Subkeys:
        """The subkeys, which must be those of the account and epoch that the server is to use. Errors as Subkeys.read; KeyAccessError: no such account, or keys of another month."""
        keys = heirmark.Subkeys.read(self.subkeys)
        if self.account is not None and self.account not in keys.accounts:
            raise heirmark.KeyAccessError(f'{self.subkeys}: no account "{self.account}", which the configuration names')
        epoch, wanted = keys.path.rpartition("/")[2], self.epoch or _month()
        if epoch != wanted:
            is_over = "is over" if epoch < wanted else "has not begun"
            raise heirmark.KeyAccessError(f"{self.subkeys}: keys of {epoch}, and the configuration names {wanted}" if self.epoch else
                                          f'{self.subkeys}: the epoch {epoch} {is_over}; export the subkeys of {wanted}, or name {epoch} in the configuration\'s member "epoch"')
        return keys


def _month() -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m")


def _is_name(value: Any) -> bool:
    """Is it an account's name?"""
    return isinstance(value, str) and value.isascii() and heirmark.is_key_name(value)


def _shown(name: Any) -> str:
    """A stranger's name in quotes, as a message of one line that can be encoded holds it."""
    return json.dumps(str(name)[:64])


def _without_twins(pairs: list[tuple[str, Any]], bad: Callable[[str], Exception]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise bad("a member twice")
    return members


class Counters:
    """Counts by name, for a server's metrics; any thread may add and read.

    responses.unrecorded: the ledger had no room, or does not take such a response; responses.without-stop-token: it was to be ended, and nothing ends it (vLLM); requests.marked, requests.opted-out, requests.REASON; requests.epoch-over: of the marked ones, those that began after the
    month of the key, which goes on being used until the server is started with the next; tokens.marked (window), tokens.issued, tokens.unmarked (greedy), tokens.REASON; restarts. A REASON
    says why a mark that should have been made was not: unknown-account, bad-parameter, bad-prompt, unrecordable, unsupported-NAME, no-finite-logit, infinite-logit.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}

    def add(self, name: str, count: int = 1) -> None:
        with self._lock:
            self._counts[name] = self._counts.get(name, 0) + count

    def snapshot(self) -> dict[str, int]:
        """All counts that are not 0, by name."""
        with self._lock:
            return dict(sorted(self._counts.items()))


@dataclasses.dataclass(frozen=True)
class Wish:
    """What a client asks of heirmark through its engine's own field for extra arguments: heirmark_account (a name) and heirmark_mark (true or false; 1 or 0 where
    the engine's field holds numbers only)."""

    account: str | None = None
    marked: bool = True

    @classmethod
    def of(cls, arguments: Any, what: str) -> "Wish":
        """arguments: a mapping, of which only names that begin with heirmark are looked at; anything else asks for nothing. UsageError names the argument, which the
        engine calls a `what`."""
        given = {name: value for name, value in arguments.items() if str(name).startswith("heirmark")} if isinstance(arguments, Mapping) else {}
        if unknown := sorted(given.keys() - {"heirmark_account", "heirmark_mark"}, key=str):
            raise heirmark.UsageError(f"{what} {_shown(unknown[0])}: heirmark has heirmark_account and heirmark_mark")
        account, mark = given.get("heirmark_account"), given.get("heirmark_mark", True)
        if account is not None and not _is_name(account):
            raise heirmark.UsageError(f'{what} "heirmark_account": expected 1 to 64 of a-z 0-9 . _ -')
        if not isinstance(mark, (bool, int, float)) or mark not in (0, 1):
            raise heirmark.UsageError(f'{what} "heirmark_mark": expected true or false, 1 or 0')
        return cls(account, bool(mark))


class Request:
    """One response being generated: its sequence and the tokens that it has taken. Made by Service.begin; one thread's at a time."""

    def __init__(self, key: Hashable, sequence: heirmark.Sequence | None, params: heirmark.Params | None, prompt: list[int], account: str, reason: str) -> None:
        self.key = key
        self.sequence = sequence  # None: not marked, and `reason` says why
        self.params = params
        self.reason = reason
        self.account = account
        self.prompt = prompt
        self.tokens: list[int] = []
        self.since = 0  # tokens that stood before its sequence began

    @property
    def marked(self) -> bool:
        """Is it to be marked?"""
        return self.sequence is not None

    def __repr__(self) -> str:
        return f"<heirmark.serving.Request {self.key!r}, {len(self.tokens)} tokens, {'account ' + self.account if self.marked else self.reason}>"


class Draw:
    """A token drawn for a request that has not taken it yet (Service.draw)."""

    def __init__(self, row: numpy.ndarray, sampled: numpy.ndarray, top: numpy.ndarray | None) -> None:
        self._row, self._sampled, self._top = row, sampled, top  # one entry of each

    @property
    def token(self) -> int | None:
        """The token; None where the row has none."""
        token = int(self._sampled["token"][0])
        return None if token == heirmark.layout.NO_TOKEN else token

    @property
    def status(self) -> heirmark.RowStatus:
        return heirmark.RowStatus(int(self._sampled["status"][0]))

    @property
    def good(self) -> bool:
        """Is the row as it should be? Else it was to be marked and could not be."""
        return self.status in _GOOD

    @property
    def reason(self) -> str:
        """The status as counters name it."""
        return _word(self.status)

    @property
    def phat(self) -> list[tuple[int, int]]:
        """The likeliest tokens, (token, probability times 2^32); empty without a recorder."""
        return [(int(token), int(p)) for token, p in self._top["token"][0] if p] if self._top is not None else []


class Recorder(Protocol):
    """Who is told what was issued, for the ledger. A response begins with request.sequence's id and the prompt request.prompt + request.tokens; a request whose
    tokens the engine replaced ends and begins again."""

    def begin(self, request: Request) -> None: ...
    def token(self, request: Request, token: int, status: int, phat: list[tuple[int, int]]) -> None: ...
    def end(self, request: Request) -> None: ...


_LEDGER_TOKENS = 1 << 20  # specs/ledger.md: ids are below it, and prompt and answer have no more of them


class LedgerRecorder:
    """Records into an issuance ledger. Never waits for the disk."""

    def __init__(self, ledger: heirmark.Ledger, counters: "Counters", policy: Policy) -> None:
        self._ledger, self._counters, self._policy = ledger, counters, policy
        self._lock = threading.Lock()
        self._issued: dict[int, tuple[heirmark.Issued, int]] = {}  # and how many tokens the request had when it began

    def begin(self, request: Request) -> None:
        """Under fail-closed IOFailureError while the ledger cannot write, and UsageError for a prompt that no ledger takes: a response that could not be recorded is not begun."""
        error = self._ledger.state.error
        if error and self._policy is Policy.FAIL_CLOSED:
            self._counters.add("requests.ledger-fails")
            raise heirmark.IOFailureError(f"this request cannot be recorded: {error}")
        prompt = request.prompt + request.tokens
        if len(prompt) >= _LEDGER_TOKENS or any(token >= _LEDGER_TOKENS for token in prompt):
            self._counters.add("requests.unrecordable")
            if self._policy is Policy.FAIL_CLOSED:
                raise heirmark.UsageError(f"this request cannot be recorded: a ledger takes ids below {_LEDGER_TOKENS}, and fewer of them")
            return
        issued = heirmark.Issued(request.sequence.request_id, request.account, prompt)
        with self._lock:
            self._issued[id(request)] = issued, len(request.tokens)

    def token(self, request: Request, token: int, status: int, phat: list[tuple[int, int]]) -> None:
        """What the ledger does not take, a response of more tokens than it has room for, ends no engine: the response is counted and not recorded."""
        issued, _ = self._issued.get(id(request), (None, 0))
        if issued is None:
            return
        try:
            issued.add(token, status, phat)
        except heirmark.BadInputError:
            with self._lock:
                del self._issued[id(request)]
            self._counters.add("responses.unrecorded")

    def end(self, request: Request) -> None:
        """The tokens that the request has are recorded, those that the engine took back are not; or it is counted by the ledger as lost."""
        with self._lock:
            issued, before = self._issued.pop(id(request), (None, 0))
        if issued is None:
            return
        issued.truncate(max(0, len(request.tokens) - before))
        if len(issued) == 0:
            return
        try:
            self._ledger.append(issued)
        except heirmark.Error:  # full, closed meanwhile, or more than a response may have
            self._counters.add("responses.unrecorded")

    def close(self, seconds: float = 60.0) -> None:
        """Writes what is queued. IOFailureError says what is lost."""
        self._ledger.close(seconds)


# A row's statuses that are as they should be: unmarked is what greedy search gives.
_GOOD = (heirmark.RowStatus.MARKED, heirmark.RowStatus.ISSUED, heirmark.RowStatus.UNMARKED)


def _word(status: int) -> str:
    return heirmark.RowStatus(status).name.lower().replace("_", "-")


class Service:
    """A server's sampler, its live requests and its counters. Requests are begun and ended, and rows sampled, by any thread; one request is one thread's at a time."""

    def __init__(self, config: Config, *, vocab_size: int, max_rows: int = 1024, device: str = "cpu", threads: int = 1, recorder: Recorder | None = None) -> None:
        """vocab_size, max_rows, device and threads are the Sampler's. recorder: told of every token, with its 16 likeliest; by default one of the ledger that the
        configuration names, if it names one. The subkeys file is read and the sampler made now, so that a server with a bad configuration does not start: errors as Config.keys and Sampler."""
        keys = config.keys()
        self._epoch = config.epoch or _month()
        self.config = config
        self.counters = Counters()
        self.sampler = heirmark.Sampler(keys, vocab_size=vocab_size, max_rows=max_rows, device=device, threads=threads)
        self._ledger: LedgerRecorder | None = None
        if recorder is None and config.ledger is not None:
            ledger = heirmark.Ledger.open(config.ledger, model=config.model, key_id=keys.key_id, config_digest=config.digest)
            recorder = self._ledger = LedgerRecorder(ledger, self.counters, config.policy)
        self._recorder = recorder
        self._lock = threading.Lock()
        self._requests: dict[Hashable, Request] = {}

    @classmethod
    def from_environment(cls, **options: Any) -> "Service":
        """A service by the configuration that HEIRMARK_CONFIG names; options as the constructor's."""
        return cls(Config.from_environment(), **options)

    # ---- Requests

    def begin(self, prompt: Iterable[int], *, key: Hashable = None, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0, min_p: float = 0.0, account: str | None = None,
              marked: bool = True, unsupported: str = "") -> Request:
        """Starts a request.

        prompt: all token ids before the first generated one. key: the engine's name of it, by default a new one; UsageError where it is live. temperature (0 is
        greedy), top_k (0 is off), top_p (1 is off), min_p (0 is off): as Params. account: by default the configuration's. marked: False opts out, which no policy
        forbids. unsupported: the name of what else was asked for and marks do not have. The request id is random: a name that a client chose is never the id.

        By the policy, a request that should be marked and cannot be raises UsageError or KeyAccessError, or is begun unmarked."""
        tokens = list(prompt)
        params, name, reason = self.admit(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p, account=account, marked=marked, unsupported=unsupported)
        sequence = None
        if not reason:
            try:
                sequence = self.sampler.begin(prompt=tokens, account=name)
            except (heirmark.BadInputError, TypeError) as error:
                reason = self._fault("bad-prompt", heirmark.UsageError(str(error)))
        if key is None:
            key = sequence.request_id.hex() if sequence is not None else object()
        request = Request(key, sequence, params, tokens, name, reason)
        with self._lock:
            if key in self._requests:
                raise heirmark.UsageError(f"a request {key!r} is live")
            self._requests[key] = request
        if self._recorder and request.marked:
            try:
                self._recorder.begin(request)
            except heirmark.Error:
                with self._lock:
                    del self._requests[key]
                raise
        self.count(reason)
        return request

    def admit(self, *, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0, min_p: float = 0.0, account: str | None = None, marked: bool = True,
              unsupported: str = "") -> tuple[heirmark.Params | None, str, str]:
        """What begin() makes of a request, for an engine that keeps no sequence of it: its parameters, its account, and why it is not marked, "" where it is. Errors
        as begin(). A request that is not refused is counted by count()."""
        params = None
        name = account if account is not None else self.config.account if self.config.account is not None else self.sampler.accounts[0]
        fault: tuple[str, heirmark.Error] | None = None
        if marked:
            try:
                params = heirmark.Params(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
            except heirmark.UsageError as error:
                fault = "bad-parameter", error
            except TypeError:
                fault = "bad-parameter", heirmark.UsageError("a sampling parameter is no number in range")
            if unsupported:
                fault = f"unsupported-{unsupported}", heirmark.UsageError(f"{unsupported} is not supported with marks")
            elif name not in self.sampler.accounts:
                fault = "unknown-account", heirmark.KeyAccessError("the key has no such account")
        return params, name, self._fault(*fault) if fault else "" if marked else "opted-out"

    def _fault(self, reason: str, error: heirmark.Error) -> str:
        """Why a request cannot be marked, where the policy serves it all the same; else it is counted, and the error raised."""
        if self.config.policy is Policy.FAIL_CLOSED:
            self.counters.add(f"requests.{reason}")
            raise type(error)(f"this request cannot be marked: {error}")
        return reason

    def count(self, reason: str) -> None:
        """Counts a request that is begun; reason: as admit() gives it."""
        self.counters.add(f"requests.{reason or 'marked'}")
        if not reason and not self.config.epoch and _month() != self._epoch:
            self.counters.add("requests.epoch-over")

    def get(self, key: Hashable) -> Request | None:
        """The live request of that key."""
        with self._lock:
            return self._requests.get(key)

    def end(self, request: Request) -> None:
        """The request has ended; ended again, nothing happens."""
        with self._lock:
            if self._requests.get(request.key) is not request:
                return
            del self._requests[request.key]
        if self._recorder and request.marked:
            self._recorder.end(request)

    def forget(self, request: Request) -> None:
        """Ends a request of which nothing was served, so that nothing of it is recorded but what had ended before: what stood when the engine replaced tokens."""
        request.tokens = request.tokens[:request.since]
        self.end(request)

    def split(self, request: Request) -> None:
        """For an engine that does not say when a response has ended: what it has by now is recorded as a response of its own. What follows, if anything does, is
        another with a new request id, whose prompt is all that stands now."""
        if not self._recorder or request.sequence is None or len(request.tokens) == request.since:
            return
        self._recorder.end(request)
        request.since = len(request.tokens)
        request.sequence = self.sampler.begin(prompt=request.prompt + request.tokens, account=request.account)
        try:
            self._recorder.begin(request)
        except heirmark.Error:
            request.sequence, request.reason = None, "ledger-fails"
            raise

    def close(self, seconds: float = 60.0) -> None:
        """Ends all requests and closes the ledger, if the configuration names one; IOFailureError says how many responses are lost."""
        with self._lock:
            live = list(self._requests.values())
        for request in live:
            self.end(request)
        if self._ledger is not None:
            self._ledger.close(seconds)

    def live(self) -> int:
        """How many requests are live."""
        with self._lock:
            return len(self._requests)

    def sync(self, request: Request, tokens: Sequence[int]) -> None:
        """Tells a request all tokens that its response has by now, as the engine has them. What the engine added itself (forced, from a grammar) is taken; where it
        replaced tokens that the request had taken, the request goes on as a new response with a new request id, whose prompt is all that stands now."""
        known = len(request.tokens)
        tokens = list(tokens)
        if tokens[:known] == request.tokens:
            if request.sequence is not None:
                request.sequence.accept(tokens[known:])
                if self._recorder:
                    for token in tokens[known:]:
                        self._recorder.token(request, token, heirmark.RowStatus.UNMARKED, [])
            request.tokens += tokens[known:]
            return
        if request.sequence is not None and self._recorder:
            request.tokens = os.path.commonprefix([request.tokens, tokens])  # what was issued of the response that ends here
            self._recorder.end(request)
        request.tokens, request.since = tokens, len(tokens)
        if request.sequence is not None:
            request.sequence = self.sampler.begin(prompt=request.prompt + tokens, account=request.account)
            self.counters.add("restarts")
            if self._recorder:
                try:
                    self._recorder.begin(request)
                except heirmark.Error:
                    request.sequence, request.reason = None, "ledger-fails"
                    raise

    # ---- Tokens

    def sample(self, logits: Any, requests: Sequence[Request]) -> list[int | None]:
        """The tokens of a batch; None where the engine is to sample itself: the request is not marked, or its row gave no token and the policy says to serve it. Such
        a token must come back by sync().

        logits: [rows, columns] in the host's memory, one row for each request. By the policy, a row that should be marked and is not raises BadInputError, after all
        rows are sampled; the engine must fail the batch's requests, or end the named one and sync the others."""
        rows = [i for i, request in enumerate(requests) if request.sequence is not None]
        tokens: list[int | None] = [None] * len(requests)
        if not rows:
            return tokens
        part = logits if len(rows) == len(requests) else logits[rows]
        out = self.sampler.sample(part, [requests[i].sequence for i in rows], [requests[i].params for i in rows], top=self._recorder is not None)
        fault = None
        for at, (i, token, status) in enumerate(zip(rows, out.token.tolist(), out.status.tolist(), strict=True)):
            self.counters.add(f"tokens.{_word(status)}")
            if status not in _GOOD:
                fault = fault or f"request {requests[i].key!r}: {_word(status)}"
            if token < 0:
                continue
            tokens[i] = token
            requests[i].tokens.append(token)
            if self._recorder:
                self._recorder.token(requests[i], token, status, out.phat(at))
        if fault and self.config.policy is Policy.FAIL_CLOSED:
            raise heirmark.BadInputError(f"a token could not be marked: {fault}")
        return tokens

    def draw(self, logits: Any, requests: Sequence[Request]) -> list[Draw | None]:
        """sample() for an engine that may throw a token away after sampling it: the same tokens, but nothing is taken, counted or recorded until take(), and a draw
        that is not taken is forgotten. None where the request is not marked. What a draw that is not good means by the policy is the caller's business."""
        rows = [i for i, request in enumerate(requests) if request.sequence is not None]
        draws: list[Draw | None] = [None] * len(requests)
        if not rows:
            return draws
        asked = self.sampler.rows([requests[i].sequence for i in rows], [requests[i].params for i in rows])
        sampled = numpy.zeros(len(rows), heirmark.layout.SAMPLED)
        top = numpy.zeros(len(rows), heirmark.layout.TOP_TOKENS) if self._recorder is not None else None
        self.sampler.launch(logits if len(rows) == len(requests) else logits[rows], asked, sampled, top)
        for at, i in enumerate(rows):
            draws[i] = Draw(asked[at:at + 1], sampled[at:at + 1], top[at:at + 1] if top is not None else None)
        return draws

    def take(self, request: Request, draw: Draw) -> None:
        """The engine kept a drawn token. UsageError where the request has taken another since."""
        self.sampler.settle([request.sequence], draw._row, draw._sampled)
        self.counters.add(f"tokens.{draw.reason}")
        if (token := draw.token) is not None:
            request.tokens.append(token)
            if self._recorder:
                self._recorder.token(request, token, draw.status, draw.phat)
