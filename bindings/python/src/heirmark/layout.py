"""Memory layout of what a launch reads and writes, as NumPy types: the structures of specs/c_api.

ROW is what a row asks for (Sampler.rows), SAMPLED what came out of it, TOP_TOKENS its likeliest tokens. Tokens are uint32 here, and
NO_TOKEN where there is none; probabilities are in 2^-32.
"""

import numpy as np

__all__ = ["NO_TOKEN", "ROW", "SAMPLED", "TOP_TOKENS", "WORKSPACE_ALIGNMENT"]

NO_TOKEN = 0xFFFFFFFF
WORKSPACE_ALIGNMENT = 256  # bytes

ROW = np.dtype([("temperature", "<f4"), ("min_p", "<f4"), ("top_p", "<f4"), ("top_k", "<u4"), ("mode", "<u4"), ("account_slot", "<u4"), ("position", "<u4"),
                ("window_repeated", "<u4"), ("window", "<u4", (4,)), ("request_id", "u1", (12,)), ("reserved", "<u4")])
SAMPLED = np.dtype([("token", "<u4"), ("status", "u1"), ("reserved", "u1", (3,)), ("log_prob", "<f4")])
TOP_TOKENS = np.dtype([("token", [("token", "<u4"), ("p", "<u4")], (16,))])
