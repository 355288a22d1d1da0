"""heirmark: keyed sampling for language models, and exact proof of inheritance.

    keys = heirmark.Subkeys.read("subkeys.json")
    sampler = heirmark.Sampler(keys, vocab_size=128256)
    seq = sampler.begin(prompt=prompt_ids)
    out = sampler.sample(logits, [seq], heirmark.Params(temperature=0.8))
    out.token, out.status
"""

from . import errors, layout
from ._core import (
    ChannelPlan,
    Check,
    Commitment,
    Detection,
    Issued,
    KeyInfo,
    Keystore,
    Ledger,
    LedgerCheck,
    LedgerState,
    Mode,
    Opening,
    Params,
    Plan,
    Profile,
    RowStatus,
    Sampled,
    Sampler,
    Sequence,
    SignerInfo,
    Subkeys,
    Verdict,
    VerdictChannel,
    Verification,
    __version__,
    add_stamp,
    check_case,
    detect,
    detect_reading,
    is_key_name,
    make_bag,
    make_ledger,
    make_plan,
    make_stamp_request,
    run_audit,
    sign_object,
    verify_bag,
    verify_ledger,
    write_report,
    write_verdict,
)
from .errors import BadInputError, Error, EvidenceError, IOFailureError, KeyAccessError, StoppedError, UsageError

__all__ = [
    "BadInputError", "ChannelPlan", "Check", "Commitment", "Detection", "Error", "EvidenceError", "IOFailureError", "Issued", "KeyAccessError", "KeyInfo", "Keystore", "Ledger", "LedgerCheck", "LedgerState", "Mode", "Opening", "Params",
    "Plan", "Profile", "RowStatus", "Sampled", "Sampler", "Sequence", "SignerInfo", "StoppedError", "Subkeys", "UsageError", "Verdict", "VerdictChannel", "Verification", "__version__",
    "add_stamp", "check_case", "detect", "detect_reading", "errors", "is_key_name", "layout", "make_bag", "make_ledger", "make_plan", "make_stamp_request", "run_audit", "sign_object", "verify_bag", "verify_ledger", "write_report", "write_verdict",
]
