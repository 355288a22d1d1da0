from collections.abc import Callable, Iterable, Sequence as _Sequence
import enum
import os
from typing import Any, SupportsIndex

import numpy


class Profile:
    """A frozen, dated bundle of scheme and parameters (specs/marks.md)."""

    @staticmethod
    def find(name: str) -> Profile:
        """The profile of that name. BadInputError names the ones that exist."""

    @staticmethod
    def all() -> list[Profile]:
        """All profiles that this version knows, newest default first."""

    @property
    def name(self) -> str:
        """For example "standard-2026-11"."""

    @property
    def scheme(self) -> str:
        """"gumbel", "greenlist" or "tournament"."""

    @property
    def window(self) -> int:
        """h, the tokens that a window context has: 1 to 4."""

    @property
    def share_q32(self) -> int:
        """Share of window positions times 2^32."""

    @property
    def gamma_q32(self) -> int:
        """Greenlist: share of green bins times 2^32."""

    @property
    def delta_micro(self) -> int:
        """Greenlist: delta in 10^-6 nats."""

    @property
    def layers(self) -> int:
        """Tournament: layers, 1 to 30."""

    def __eq__(self, other: object, /) -> bool: ...

    def __hash__(self) -> int: ...

    def __reduce__(self) -> tuple[Any, ...]: ...

    def __repr__(self) -> str: ...

class Subkeys:
    """
    What an inference server holds of a key: the live member's subkeys and nothing above them (specs/keys.md, "Subkeys file").

    Made by read(), from_bytes(), Keystore.subkeys() or Opening.subkeys(). Wiped when it goes; never printed, pickled or copied.
    """

    @staticmethod
    def read(path: str | os.PathLike) -> Subkeys:
        """
        Reads the file that `heirmark key export-subkey` wrote, or a pipe. KeyAccessError: others can read or change the file, or it is another user's. BadInputError: other bytes than the canonical ones. IOFailureError: it cannot be read.
        """

    @staticmethod
    def from_bytes(data: bytes | bytearray | memoryview | str) -> Subkeys:
        """
        The same from the file's bytes. They are copied and the copy is wiped; overwriting `data` (a bytearray) is the caller's business.
        """

    def expose_bytes(self) -> bytes:
        """
        The canonical bytes of the file, which are secret: with them one can imitate the mark.
        """

    @property
    def path(self) -> str:
        """Name of the epoch, "family/YYYY-MM"."""

    @property
    def key_id(self) -> str:
        """16 hex digits; public."""

    @property
    def profile(self) -> Profile: ...

    @property
    def accounts(self) -> tuple[str, ...]:
        """Names of the accounts that it can mark for."""

    def __repr__(self) -> str: ...

    def __reduce_ex__(self, protocol: SupportsIndex) -> str:
        """Raises TypeError: it holds secrets."""

class Commitment:
    """
    commitment.json: public, made before the first marked token (specs/keys.md).
    """

    @staticmethod
    def from_bytes(data: bytes | bytearray | memoryview | str) -> Commitment:
        """Exactly the canonical bytes, else BadInputError."""

    def to_bytes(self) -> bytes:
        """The canonical bytes."""

    @property
    def path(self) -> str: ...

    @property
    def key_id(self) -> str: ...

    @property
    def family_size(self) -> int: ...

    @property
    def profile(self) -> str:
        """Name of the profile."""

    @property
    def scheme(self) -> str: ...

    @property
    def not_before(self) -> str:
        """YYYY-MM-DD"""

    @property
    def not_after(self) -> str:
        """YYYY-MM-DD"""

    @property
    def purpose(self) -> str: ...

    @property
    def digest(self) -> str:
        """SHA-256 of the opening's bytes, hex."""

    def __repr__(self) -> str: ...

class KeyInfo:
    """What may be shown of a key."""

    @property
    def path(self) -> str: ...

    @property
    def key_id(self) -> str: ...

    @property
    def profile(self) -> str:
        """Name of the profile."""

    @property
    def scheme(self) -> str: ...

    @property
    def family_size(self) -> int: ...

    @property
    def not_before(self) -> str:
        """YYYY-MM-DD"""

    @property
    def not_after(self) -> str:
        """YYYY-MM-DD"""

    @property
    def purpose(self) -> str: ...

    @property
    def commitment_digest(self) -> str: ...

    def __repr__(self) -> str: ...

class SignerInfo:
    """A signing key's public side."""

    @property
    def name(self) -> str: ...

    @property
    def algorithm(self) -> str:
        """"ed25519" or "p256"."""

    @property
    def key_id(self) -> str: ...

    @property
    def public_pem(self) -> str: ...

    def __repr__(self) -> str: ...

class Opening:
    """
    An opened key (specs/keys.md): with it every mark of an epoch can be recomputed. For the auditor, never for a server. Not printed, pickled or copied.
    """

    @staticmethod
    def read(path: str | os.PathLike) -> Opening:
        """
        Reads an opening.json. BadInputError: other bytes than the canonical ones. KeyAccessError, IOFailureError: it cannot be read.
        """

    @staticmethod
    def from_bytes(data: bytes | bytearray | memoryview | str) -> Opening:
        """The same from the file's bytes."""

    def expose_bytes(self) -> bytes:
        """The canonical bytes of opening.json, which hold the family secret."""

    def subkeys(self, accounts: _Sequence[str] = ['default']) -> Subkeys:
        """
        Subkeys of the live member. BadInputError: no account, a bad name, or one twice.
        """

    @property
    def path(self) -> str: ...

    @property
    def key_id(self) -> str: ...

    @property
    def family_size(self) -> int:
        """Members of the family: the live key and its decoys."""

    @property
    def profile(self) -> Profile: ...

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical bytes, hex: what the commitment holds."""

    def __repr__(self) -> str: ...

    def __reduce_ex__(self, protocol: SupportsIndex) -> str:
        """Raises TypeError: it holds secrets."""

class Keystore:
    """
    A folder of sealed keys (specs/keys.md, "Keystore"). For the provider's key desk; a server is given a subkeys file. Not printed, pickled or copied.
    """

    @staticmethod
    def create(folder: str | os.PathLike, passphrase: str | bytes | bytearray, *, opslimit: int = 3, memlimit: int = 268435456) -> Keystore:
        """
        Makes the folder, which must not hold a keystore, with a fresh root.

        passphrase: 1 to 1024 bytes; copied, and the copy wiped. opslimit: passes of Argon2id, 1 to 16. memlimit: its memory in bytes, 8,192 to 2^30. Takes a second at the default cost, without the interpreter's lock. UsageError: a cost out of bounds or a keystore is there.
        """

    @staticmethod
    def open(folder: str | os.PathLike, passphrase: str | bytes | bytearray) -> Keystore:
        """Opens a keystore. KeyAccessError: a wrong passphrase or no permission."""

    @staticmethod
    def exists(folder: str | os.PathLike) -> bool:
        """
        False if there surely is no keystore; true also where permissions hide it.
        """

    def new_epoch(self, path: str, profile: Profile | str = 'standard-2026-11', *, not_before: str = '', not_after: str = '', purpose: str = '', family_size: int = 1048576) -> KeyInfo:
        """
        Makes a key, "family/YYYY-MM". Dates are YYYY-MM-DD, by default the month's first and last day; the purpose is ASCII, by default "training provenance".
        """

    def rotate(self, family: str) -> KeyInfo:
        """
        The epoch after the family's latest, with that one's profile, size and purpose.
        """

    def list(self) -> list[KeyInfo]:
        """All keys."""

    def info(self, path: str) -> KeyInfo: ...

    def commitment(self, path: str) -> Commitment: ...

    def subkeys(self, path: str, accounts: _Sequence[str] = ['default']) -> Subkeys:
        """
        What a server is given: the live member's subkeys, one issuance subkey for each account.
        """

    def open_for(self, path: str, recipient: str, *, time: str | None = None) -> Opening:
        """
        Hands the opening to a recipient and logs it in the keystore. time: YYYY-MM-DDThh:mm:ssZ, by default now.
        """

    def new_signer(self, name: str, algorithm: str = 'ed25519') -> SignerInfo:
        """Makes a signing key, "ed25519" or "p256"."""

    def signers(self) -> list[SignerInfo]: ...

    def signer(self, name: str) -> SignerInfo: ...

    def sign(self, name: str, message: bytes) -> bytes:
        """
        Signature of the message: Ed25519, 64 bytes; or ECDSA P-256 with SHA-256, DER.
        """

    def __repr__(self) -> str: ...

    def __reduce_ex__(self, protocol: SupportsIndex) -> str:
        """Raises TypeError: it holds secrets."""

def is_key_name(name: str) -> bool:
    """
    Is this a name of a family or an account: 1 to 64 of a-z 0-9 . _ -, first a letter or digit?
    """

class Mode(enum.IntEnum):
    """What a row asks for (specs/marks.md)."""

    OFF = 0
    """No mark: drawn with a key that nobody keeps."""

    GREEDY = 1
    """The greatest logit."""

    MARKED = 2
    """The coin and the history choose between window and issuance."""

    ISSUANCE = 3
    """Always the issuance draw."""

class RowStatus(enum.IntEnum):
    """What happened to a row (specs/marks.md, "Status of a row")."""

    MARKED = 0
    """Drawn at a window position."""

    ISSUED = 1
    """Drawn by the issuance draw."""

    UNMARKED = 2
    """Mode off, or greedy without a mark."""

    NO_FINITE_LOGIT = 3
    """Nothing to choose from; no token."""

    INFINITE_LOGIT = 4
    """Some logit is +inf: the smallest such id, unmarked."""

    BAD_PARAMETER = 5
    """A parameter, account slot or position out of range; no token."""

    NEEDS_ALL_LOGITS = 6
    """A row of sharded logits that needs them whole; no token."""

class Params:
    """Sampling parameters of a row; they do not change."""

    def __init__(self, *, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0, min_p: float = 0.0, mode: Mode | str = 'marked') -> None:
        """
        temperature: 0 (greedy), or from 0.001 to 1000. top_k: 0 is off. top_p: above 0, at most 1, which is off. min_p: from 0, which is off, to 1. mode: a Mode or its name in lower case. Kept as float32. UsageError: out of range.
        """

    @property
    def temperature(self) -> float: ...

    @property
    def top_k(self) -> int: ...

    @property
    def top_p(self) -> float: ...

    @property
    def min_p(self) -> float: ...

    @property
    def mode(self) -> Mode: ...

    def __eq__(self, other: object, /) -> bool: ...

    def __hash__(self) -> int: ...

    def __repr__(self) -> str: ...

class Sequence:
    """
    One response being generated: its last tokens, its history of windows, its position. Made by Sampler.begin(); a copy of its own, so it may outlive the sampler. One thread's at a time: a call that finds it in another thread's call is a UsageError.
    """

    @property
    def request_id(self) -> bytes:
        """12 bytes; unique under a key."""

    @property
    def account(self) -> str: ...

    @property
    def position(self) -> int:
        """Tokens taken since the prompt: the position of the next one."""

    def accept(self, tokens: int | Iterable[int]) -> None:
        """
        Takes a token, or some, that the engine chose itself (forced, from a grammar). sample() takes its own. BadInputError, and nothing is taken: no token id.
        """

    def clone(self) -> Sequence:
        """
        A second one in the same state and with the same request id, to go back to; two that both go on would share their randomness.
        """

    def __copy__(self) -> Sequence: ...

    def __repr__(self) -> str: ...

    def __reduce_ex__(self, protocol: SupportsIndex) -> str:
        """Raises TypeError."""

class Sampled:
    """
    What came out of the rows of a call: NumPy arrays with one entry for each row.
    """

    @property
    def token(self) -> numpy.ndarray:
        """int64 [rows]; -1 where a row has no token."""

    @property
    def status(self) -> numpy.ndarray:
        """uint8 [rows]: values of RowStatus."""

    @property
    def log_prob(self) -> numpy.ndarray:
        """
        float32 [rows]: natural logarithm of the token's probability at the row's temperature, before truncation; NaN unless the sampler was made with log_probs.
        """

    @property
    def top_token(self) -> numpy.ndarray | None:
        """
        int64 [rows, 16]: the likeliest tokens after temperature and truncation, likeliest first, -1 in unused places. None unless asked for.
        """

    @property
    def top_p(self) -> numpy.ndarray | None:
        """
        int64 [rows, 16]: their probabilities times 2^32, rounded down (specs/marks.md, "Top tokens"), 0 in unused places. None unless asked for.
        """

    def phat(self, row: int) -> list[tuple[int, int]]:
        """
        The used places of a row, (token, probability times 2^32), likeliest first.
        """

    def __len__(self) -> int: ...

    def __repr__(self) -> str: ...

class Sampler:
    """
    Logits in, marked tokens out (specs/marks.md). One for each loaded model and key; calls may come from several threads at once, on different sequences.

    Logits are any array that DLPack or the buffer protocol hands over (NumPy, PyTorch, JAX, CuPy), read where they are: float32, bfloat16 or float16, of the shape [rows, columns] with at least vocab_size columns; rows may lie apart, a row's columns may not. [columns] is one row.
    """

    def __init__(self, keys: Subkeys, *, vocab_size: int, max_rows: int = 1024, device: str = 'cpu', truncation: bool = True, log_probs: bool = False, threads: int = 1) -> None:
        """
        vocab_size: ids from 0 to vocab_size - 1 take part; columns behind them are padding; at most 2^20. max_rows: the largest batch, at most 65,536. device: "cpu", "cuda", "cuda:N", or "auto": cuda where the build and the machine have it. truncation: may rows ask for top-k, top-p or min-p? Without it a device needs less memory, and a row that asks has status BAD_PARAMETER. log_probs: compute Sampled.log_prob. threads: CPU threads of one call, 1 to 1024; tokens do not depend on it.

        The keys are copied and may go. UsageError: an option out of range. IOFailureError: no such device in this build or machine.
        """

    def begin(self, *, request_id: bytes | None = None, prompt: Iterable[int] = (), account: str | None = None) -> Sequence:
        """
        Starts a response.

        request_id: 12 bytes, unique under the key; by default random. prompt: all token ids before the first generated one. account: a name of the key's, by default its first. KeyAccessError: no such account.
        """

    def sample(self, logits: Any, sequences: Iterable[Sequence], params: Params | _Sequence[Params] | None = None, *, top: bool = False) -> Sampled:
        """
        One token for each row, on the CPU; each row's sequence takes its own.

        sequences: one for each row, none twice. params: one for all rows, or one for each. top: also the 16 likeliest tokens, for the ledger. Runs without the interpreter's lock. UsageError, and nothing has changed: shapes that do not fit, another type or device, a sequence of another key or in another call. A row that could not be marked is no error: its status says why.
        """

    def sample_draft(self, logits: Any, sequence: Sequence, draft: Iterable[int], params: Params | None = None, *, top: bool = False) -> Sampled:
        """
        Speculative decoding by coupling: what is taken is what plain sampling gives, token for token.

        logits: [len(draft) + 1, columns], row i after the first i draft tokens. The result has the rows that the sequence took, the confirmed draft tokens and the one that came in place of the next; where the first row has no token, that row alone.
        """

    def rows(self, sequences: Iterable[Sequence], params: Params | _Sequence[Params] | None = None) -> numpy.ndarray:
        """
        What the sequences' next rows ask for: an array of heirmark.layout.ROW, 64 bytes a row, to be copied to the device.
        """

    def launch(self, logits: Any, rows: Any, sampled: Any, top: Any = None, *, workspace: Any = None, stream: int = 0) -> None:
        """
        From memory to memory: on a device one asynchronous launch on `stream` (a cudaStream_t as an integer), fit for graph capture.

        All arrays are the backend's memory, without gaps: rows 64 bytes a row (heirmark.layout.ROW), sampled 12 (SAMPLED), top 128 (TOP_TOKENS), workspace workspace_bytes() and aligned to 256; the caller keeps them until the stream is past the launch. On the CPU the call is done when it returns and needs no workspace. UsageError, and nothing is launched: an array too small, of the wrong device, or not writable.
        """

    def settle(self, sequences: Iterable[Sequence], rows: Any, sampled: Any) -> None:
        """
        Lets the sequences take what came of their rows; arrays in the host's memory. UsageError, and nothing has changed: a row made for another sequence or position.
        """

    def draft_rows(self, sequence: Sequence, draft: Iterable[int], params: Params | None = None) -> numpy.ndarray:
        """
        Rows of a draft, len(draft) + 1 of heirmark.layout.ROW: row i as if the first i draft tokens had been taken.
        """

    def settle_draft(self, sequence: Sequence, rows: Any, draft: Iterable[int], sampled: Any) -> int:
        """
        Takes the draft tokens that were confirmed and the one that came in place of the next. Returns how many, at least 1 unless the first row has no token.
        """

    def workspace_bytes(self, rows: int | None = None) -> int:
        """
        Bytes of workspace for launches of up to `rows` rows, by default max_rows; 0 on the CPU.
        """

    def prepare(self, workspace: Any, *, stream: int = 0) -> None:
        """
        Makes a workspace ready, on the stream; once for each workspace, not for each launch.
        """

    @property
    def device(self) -> str:
        """"cpu" or "cuda"."""

    @property
    def profile(self) -> Profile: ...

    @property
    def key_id(self) -> str:
        """16 hex digits; public."""

    @property
    def accounts(self) -> tuple[str, ...]: ...

    @property
    def vocab_size(self) -> int: ...

    @property
    def max_rows(self) -> int: ...

    @property
    def log_probs(self) -> bool:
        """Does it compute Sampled.log_prob?"""

    def __repr__(self) -> str: ...

    def __reduce_ex__(self, protocol: SupportsIndex) -> str:
        """Raises TypeError: it holds secrets."""

class Detection:
    """
    The result of C1 on a collection of texts. Under the null hypothesis, that the key is independent of the texts, p and e hold exactly; a small signal never shows that a text was not made under the key. log10 values have 4 decimals, p rounded up and e rounded down, as `heirmark detect` prints them.
    """

    @property
    def scheme(self) -> str: ...

    @property
    def key_id(self) -> str: ...

    @property
    def n(self) -> int:
        """(window, bin) pairs scored."""

    @property
    def statistic(self) -> int:
        """X, the exact integer."""

    @property
    def value(self) -> float:
        """X in its natural unit: nats for gumbel, else counts."""

    @property
    def log10_p(self) -> float:
        """log10 of the p-value."""

    @property
    def log10_e(self) -> float:
        """log10 of the e-value."""

    @property
    def log_p(self) -> float:
        """Natural logarithm of the p-value, not rounded."""

    @property
    def log_e(self) -> float:
        """Natural logarithm of the e-value, not rounded."""

    @property
    def log10_p_prf(self) -> float:
        """log10 of the p-value by the PRF alone."""

    @property
    def log10_p_rank(self) -> float | None:
        """
        log10 of the p-value of the key's rank among its decoys; None without decoys.
        """

    @property
    def log10_p_saddlepoint(self) -> float | None:
        """An approximation beside the bound, with weighted pairs; else None."""

    @property
    def positions(self) -> int:
        """Positions behind the prompts."""

    @property
    def repeats(self) -> int:
        """Positions whose pair was scored before."""

    @property
    def tainted(self) -> int:
        """Positions left out because a prompt shows their pair."""

    @property
    def off_coin(self) -> int:
        """Positions that the coin does not mark by windows."""

    @property
    def classes(self) -> list[dict[str, Any]]:
        """
        By class of the window: class, pairs, ge, statistic (a decimal string).
        """

    def to_dict(self) -> dict[str, Any]:
        """The object that `heirmark detect --json` prints (specs/cli.md)."""

    def __repr__(self) -> str: ...

def detect(texts: str | os.PathLike | Iterable[Any], opening: Opening, *, count_rule: str = 'distinct', decoys: int = 0, vocab_size: int = 0, device: str = 'cpu', threads: int = 1, progress: Callable[[float], object] | None = None) -> Detection:
    """
    Scores texts against an opened key (specs/scoring.md, "C1 text").

    texts: the path of a token file ("-" is standard input), or an iterable of texts, each of them token ids, a pair (token ids, prompt_tokens), or a mapping with "tokens" and perhaps "prompt_tokens"; the first prompt_tokens of a text are context and never scored. count_rule: "distinct", "sqrt2" or "log2". decoys: also rank the key among so many decoys in each class. vocab_size: refuse ids from there on. device: "cpu" or "cuda", for the sums. threads: 1 to 1024; no number depends on it. progress: called with 0 to 1, perhaps by another thread; False from it stops with StoppedError.

    Runs without the interpreter's lock; Ctrl-C stops it. BadInputError: names file and line, or text and token. IOFailureError: the device, the disk.
    """

def detect_reading(path: str | os.PathLike, opening: Opening, *, decoys: int = 0, vocab_size: int = 0, device: str = 'cpu', threads: int = 1, progress: Callable[[float], object] | None = None) -> Detection:
    """
    The same for a file that also holds a suspect's probabilities while it read (specs/scoring.md, "C1 reading").
    """

class ChannelPlan:
    """One channel of a plan (specs/formats.md, "Plan")."""

    def __init__(self, channel: str, *, weight: int = 1000000, texts: int = 0, tokens_per_text: int = 0, count_rule: str = 'distinct', decoys: int = 0, temperature_milli: int = 1000, samples: int = 0, top: int = 0) -> None:
        """
        channel: "c1", "c2" or "c3". weight: in 10^-6; a plan's weights sum to 1,000,000. c1: texts of at most tokens_per_text tokens, count_rule, decoys in each class, temperature_milli. c2: samples for each context. c3: top, listed tokens for each context.
        """

    @property
    def channel(self) -> str: ...

    @property
    def weight(self) -> int: ...

    @property
    def texts(self) -> int: ...

    @property
    def tokens_per_text(self) -> int: ...

    @property
    def count_rule(self) -> str: ...

    @property
    def decoys(self) -> int: ...

    @property
    def temperature_milli(self) -> int: ...

    @property
    def samples(self) -> int: ...

    @property
    def top(self) -> int: ...

class Plan:
    """plan.json: fixed before the first query (specs/formats.md)."""

    @staticmethod
    def read(path: str | os.PathLike) -> Plan:
        """Reads the file; BadInputError names file and field."""

    @staticmethod
    def from_bytes(data: bytes | bytearray | memoryview | str) -> Plan:
        """Exactly the canonical bytes, else BadInputError."""

    def to_bytes(self) -> bytes:
        """The canonical bytes."""

    def to_dict(self) -> dict[str, Any]:
        """All members, as specs/formats.md names them; decimals are strings."""

    @property
    def plan_id(self) -> str:
        """16 hex digits."""

    @property
    def attempt(self) -> int: ...

    @property
    def date(self) -> str: ...

    @property
    def key_id(self) -> str: ...

    @property
    def path(self) -> str: ...

    @property
    def profile(self) -> str:
        """Name of the profile."""

    @property
    def alpha(self) -> str:
        """Decimal string."""

    @property
    def multiplicity(self) -> int: ...

    @property
    def channels(self) -> list[ChannelPlan]: ...

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical bytes, hex."""

    def __repr__(self) -> str: ...

def make_plan(folder: str | os.PathLike, *, commitment: str | os.PathLike, suspect: str | os.PathLike, prompts: str | os.PathLike | None = None, ledger: str | os.PathLike | None = None, commitment_statement: str | os.PathLike | None = None, ledger_statement: str | os.PathLike | None = None, provider_key: str | os.PathLike | None = None, stamps: _Sequence[str | os.PathLike] = [], alpha: str = '0.000001', attempt: int = 1, multiplicity: int = 0, h1: str = '', h2: str = '', channels: Iterable[ChannelPlan] | None = None, fit_responses: int | None = None, controls: int = 4, date: str | None = None) -> Plan:
    """
    Checks everything that a run will need and writes the folder of a case, which must not exist or be empty.

    prompts: a token file, needed by c1. ledger: needed by c2 and c3. stamps: time stamps of the provider's statements, under the names that add_stamp gave them. alpha: a decimal string. multiplicity: 0 is as `attempt`. channels: by default those that the files allow. date: YYYY-MM-DDThh:mm:ssZ, by default now. BadInputError names file and line.
    """

class VerdictChannel:
    """One channel of a verdict. Everything else is in Verdict.to_dict()."""

    @property
    def channel(self) -> str: ...

    @property
    def weight(self) -> int:
        """In 10^-6."""

    @property
    def n(self) -> int:
        """Pairs (c1) or usable contexts (c2, c3)."""

    @property
    def log10_p(self) -> str:
        """Decimal string."""

    @property
    def log10_e(self) -> str:
        """Decimal string."""

class Verdict:
    """
    verdict.json (specs/formats.md). It supports, or it is inconclusive; it never clears anybody.
    """

    @staticmethod
    def read(path: str | os.PathLike) -> Verdict:
        """Reads the file; BadInputError names file and field."""

    @staticmethod
    def from_bytes(data: bytes | bytearray | memoryview | str) -> Verdict:
        """Exactly the canonical bytes, else BadInputError."""

    def to_bytes(self) -> bytes:
        """The canonical bytes."""

    def to_dict(self) -> dict[str, Any]:
        """All members, as specs/formats.md names them; decimals are strings."""

    @property
    def outcome(self) -> str: ...

    @property
    def date(self) -> str: ...

    @property
    def log10_p(self) -> str:
        """Decimal string."""

    @property
    def log10_e(self) -> str:
        """Decimal string."""

    @property
    def alpha(self) -> str:
        """Decimal string."""

    @property
    def multiplicity(self) -> int: ...

    @property
    def plan(self) -> str:
        """Digest of the plan."""

    @property
    def channels(self) -> list[VerdictChannel]: ...

    def __repr__(self) -> str: ...

def run_audit(folder: str | os.PathLike, *, batch: int = 16, progress: Callable[[str, int, int], object] | None = None) -> dict[str, Any]:
    """
    Starts the suspect's program and makes the plan's queries that are not yet in the transcript, then seals it. Stopped or killed at any byte, the same call goes on.

    batch: texts in one request. progress: called with channel, queries done, queries in all; False from it stops with StoppedError. Returns transcript.json. EvidenceError: the files no longer fit the plan. BadInputError: the suspect's answers depend on the token that they are about. IOFailureError: the suspect's program died, with its last words.
    """

def write_verdict(folder: str | os.PathLike, opening: str | os.PathLike, *, date: str | None = None, device: str = 'cpu', threads: int = 1, progress: Callable[[float], object] | None = None) -> Verdict:
    """
    Computes the verdict of a case's folder, puts the opening into it and writes verdict.json. No byte depends on device or threads.
    """

class Check:
    """One thing that was checked."""

    @property
    def code(self) -> str:
        """Stable (specs/evidence-codes.md)."""

    @property
    def level(self) -> str:
        """"ok", "note" or "fail"."""

    @property
    def detail(self) -> str:
        """For a person."""

    def __repr__(self) -> str: ...

class Verification:
    """What verifying a bag found."""

    @property
    def state(self) -> str:
        """"valid", "invalid" or "valid-but-untrusted"."""

    @property
    def checks(self) -> list[Check]: ...

    @property
    def plan_id(self) -> str:
        """"" when unreadable."""

    @property
    def outcome(self) -> str:
        """Of the bag's verdict; "" when unreadable."""

    @property
    def log10_p(self) -> str:
        """Decimal string, or ""."""

    @property
    def log10_e(self) -> str:
        """Decimal string, or ""."""

    def __repr__(self) -> str: ...

def verify_bag(bag: str | os.PathLike, *, trust_roots: _Sequence[str | tuple[str, str]] = [], stamp_roots: _Sequence[str] = [], device: str = 'cpu', threads: int = 1, progress: Callable[[float], object] | None = None) -> Verification:
    """
    Recomputes everything in a bag from raw bytes.

    trust_roots: public keys in PEM that the caller trusts, each alone or as (role, key) with the role provider or auditor. stamp_roots: certificates in PEM of time-stamping authorities that the caller trusts; with them every statement but the verdict's needs a stamp that they vouch for. Whatever is wrong with the evidence is in the result; IOFailureError is about reading it, or the device.
    """

def check_case(folder: str | os.PathLike, stage: str) -> Verification:
    """
    What verify_bag will say of what is in a case's folder before the first query ("planned") or after the last ("sealed"): objects, bindings, signatures, dates. Look at it before anything is spent on the case.
    """

def make_bag(folder: str | os.PathLike) -> None:
    """Packs a case's folder into folder/bag."""

def write_report(bag: str | os.PathLike, file: str | os.PathLike) -> None:
    """Writes the report on a bag, one self-contained HTML file."""

def sign_object(folder: str | os.PathLike, object: str, store: Keystore, signer: str, *, date: str | None = None) -> None:
    """
    Signs one object of a case's folder (commitment, ledger, plan, transcript, verdict) with a key of the keystore. EvidenceError: the folder has another key of that role.
    """

def make_stamp_request(statement: bytes) -> bytes:
    """
    The request (TimeStampReq of RFC 3161, DER) to a time-stamping authority for the bytes of a statement's file, with a random nonce. POST it as application/timestamp-query.
    """

def add_stamp(folder: str | os.PathLike, object: str, slot: int, reply: bytes, request: bytes = b'') -> tuple[str, str]:
    """
    Writes an authority's reply (TimeStampResp, DER) beside the statement of an object in a folder, as stamps/OBJECT-SLOT.tsr; slot is 1 or 2. Returns (time, authority): the statement existed no later than that time, says the certificate of that name. EvidenceError: it is about other bytes, answers another request, or is not signed by the certificate in it.
    """

class Issued:
    """
    One response while it is made, for Ledger.append: packed in memory as it grows, some 100 bytes a token with 16 likeliest tokens. Holds text of customers: not printed or pickled, and wiped when it goes. One thread's at a time.
    """

    def __init__(self, request_id: bytes, account: str, prompt: Iterable[int] = ()) -> None:
        """
        request_id: the sequence's. account: whose subkey marks it. prompt: all tokens before the first generated one.
        """

    def add(self, token: int, status: RowStatus | int, phat: Iterable[tuple[int, int]] = ()) -> None:
        """
        One token with its row's status and its likeliest tokens, Sampled.phat(row): (token, probability times 2^32), likeliest first; entries with p = 0 end the list. Without phat the token was certain: a grammar or the engine forced it. BadInputError changes nothing.
        """

    def truncate(self, tokens: int) -> None:
        """Forgets all tokens but the first `tokens`: the engine took them back."""

    @property
    def marked_tokens(self) -> int:
        """Of its tokens, those that the key chose."""

    def __len__(self) -> int: ...

    def __repr__(self) -> str: ...

    def __reduce_ex__(self, protocol: SupportsIndex) -> str:
        """Raises TypeError: it holds secrets."""

class LedgerState:
    """How a ledger is doing."""

    @property
    def appended(self) -> int:
        """The last ticket."""

    @property
    def durable(self) -> int:
        """Tickets up to this one are on the disk."""

    @property
    def refused(self) -> int:
        """Responses for which the queue had no room."""

    @property
    def queued_bytes(self) -> int: ...

    @property
    def records(self) -> int:
        """In the ledger, since it was made."""

    @property
    def error(self) -> str:
        """Why writing fails just now; empty when it does not."""

class Ledger:
    """
    An issuance ledger that this process writes (specs/ledger.md); `heirmark ledger new`, or make_ledger, made its folder. Any thread may append. A context manager, which closes it.
    """

    @staticmethod
    def open(folder: str | os.PathLike, *, model: str, key_id: str = '', config_digest: str = '', queue_bytes: int = 268435456, linger: float = 0.02, checkpoint_every: float = 3600.0) -> Ledger:
        """
        Opens it to write. model: ASCII, 1 to 256 characters. key_id: Subkeys.key_id; empty if nothing is marked. config_digest: SHA-256 of how the model is served, hex. queue_bytes: of responses that are not on the disk; more are refused. linger: seconds that the first response of a batch waits for others. checkpoint_every: seconds, 1 to 86,400.

        BadInputError: no ledger there. KeyAccessError: no permission. IOFailureError: another server has it open.
        """

    def append(self, issued: Issued) -> int:
        """
        Takes a response into the queue and returns its ticket. Never waits for the disk. IOFailureError: the queue is full, and the message says why; the response stays as it was, and the ledger counts it.
        """

    def wait(self, ticket: int, seconds: float = 10.0) -> None:
        """
        Waits until that ticket, and all before it, is on the disk; IOFailureError after the time, with what fails.
        """

    @property
    def state(self) -> LedgerState: ...

    @property
    def id(self) -> str:
        """16 hex digits."""

    def close(self, seconds: float = 60.0) -> None:
        """
        Writes what is queued and a last checkpoint, and lets the ledger go. IOFailureError says how many responses are lost. A second call does nothing.
        """

    def __enter__(self) -> Ledger: ...

    def __exit__(self, *args: object) -> None: ...

    def __repr__(self) -> str: ...

    def __reduce_ex__(self, protocol: SupportsIndex) -> str:
        """Raises TypeError: it holds secrets."""

class LedgerCheck:
    """What verify_ledger found. `problems` is empty for a good ledger."""

    @property
    def problems(self) -> list[str]: ...

    @property
    def records(self) -> int: ...

    @property
    def responses(self) -> int: ...

    @property
    def tokens(self) -> int: ...

    @property
    def marked_tokens(self) -> int: ...

    @property
    def lost(self) -> int: ...

    @property
    def purged(self) -> int: ...

    @property
    def checkpoints(self) -> int: ...

    @property
    def covered(self) -> int:
        """Records under the last checkpoint."""

    @property
    def opened(self) -> int:
        """Sealed parts that were opened and fit their digests."""

    @property
    def root(self) -> str:
        """Of all records, hex."""

    def __repr__(self) -> str: ...

def make_ledger(folder: str | os.PathLike, store: Keystore) -> str:
    """
    Makes the folder of a new issuance ledger and puts the secret that opens its responses into the keystore. Returns its id.
    """

def verify_ledger(folder: str | os.PathLike, *, store: Keystore | None = None, published: _Sequence[str] = ()) -> LedgerCheck:
    """
    Recomputes a ledger (specs/ledger.md, "What a reader checks"); a server may be writing. store: opens the sealed parts too. published: checkpoints that were kept, which it must still fit.
    """
