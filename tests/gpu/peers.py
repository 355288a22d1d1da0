#!/usr/bin/env python3
"""What others take to choose a token from the same shapes: PyTorch, a Triton Gumbel-max kernel as engines have them, FlashInfer.

    tests/gpu/peers.py --json peers.jsonl --floors bench.jsonl --seconds 50

Timed like gpu_bench: nodes of a CUDA graph that read parts of a pool in turn, the pool at least three times the second-level cache; the median
over replays of the mean over nodes. A peer that cannot be captured is timed by events around plain launches, and the line says so. A peer that
fails is reported in a line of its own; the others go on. `--floors` is gpu_bench's output of the same run, for the ratios.
"""
import argparse
import json
import pathlib
import statistics
import sys
import time

try:
    import torch
except ImportError as missing:
    torch, why_no_torch = None, str(missing)
try:
    import triton
    import triton.language as tl
except ImportError:
    triton = None

BATCHES = (128, 256, 1, 64, 1024, 8)
VOCABS = (128256, 131072, 262144, 151936, 32000)
TOP_K, TOP_P, TEMPERATURE = 50, 0.9, 0.8
MAX_NODES, COLD_TIMES = 2048, 3
FEW_NODES, MANY_NODES, FEW_BYTES = 4, 32, 1 << 30  # of a graph, as in bench.cpp


if triton is not None:
    @triton.jit
    def gumbel_kernel(logits, stride, vocab, seeds, inverse_temperature, best, token, BLOCK: tl.constexpr, FOUR: tl.constexpr):
        """Gumbel-max in one pass: each program chooses among its part of a row, with noise from Philox. FOUR uses all words of a Philox block."""
        row = tl.program_id(0).to(tl.int64)
        part = tl.program_id(1)
        seed = tl.load(seeds + row)
        lane = tl.arange(0, BLOCK)
        if FOUR:
            u0, u1, u2, u3 = tl.rand4x(seed, part * BLOCK + lane)
            first = part * (4 * BLOCK) + lane
            minus_infinity = float("-inf")
            x0 = tl.load(logits + row * stride + first, mask=first < vocab, other=minus_infinity).to(tl.float32)
            x1 = tl.load(logits + row * stride + first + BLOCK, mask=first + BLOCK < vocab, other=minus_infinity).to(tl.float32)
            x2 = tl.load(logits + row * stride + first + 2 * BLOCK, mask=first + 2 * BLOCK < vocab, other=minus_infinity).to(tl.float32)
            x3 = tl.load(logits + row * stride + first + 3 * BLOCK, mask=first + 3 * BLOCK < vocab, other=minus_infinity).to(tl.float32)
            y0 = x0 * inverse_temperature - tl.log(-tl.log(u0))
            y1 = x1 * inverse_temperature - tl.log(-tl.log(u1))
            y2 = x2 * inverse_temperature - tl.log(-tl.log(u2))
            y3 = x3 * inverse_temperature - tl.log(-tl.log(u3))
            low = tl.maximum(y0, y1)
            low_at = tl.where(y1 > y0, first + BLOCK, first)
            high = tl.maximum(y2, y3)
            high_at = tl.where(y3 > y2, first + 3 * BLOCK, first + 2 * BLOCK)
            y = tl.maximum(low, high)
            at = tl.where(high > low, high_at, low_at)
        else:
            at = part * BLOCK + lane
            u = tl.rand(seed, at)
            x = tl.load(logits + row * stride + at, mask=at < vocab, other=float("-inf")).to(tl.float32)
            y = x * inverse_temperature - tl.log(-tl.log(u))
        greatest = tl.max(y, axis=0)
        place = tl.min(tl.where(y == greatest, at, 2147483647), axis=0)
        tl.store(best + row * tl.num_programs(1) + part, greatest)
        tl.store(token + row * tl.num_programs(1) + part, place)


def triton_sample(logits, seeds, four, block):
    """A token for each row."""
    rows, vocab = logits.shape
    parts = triton.cdiv(vocab, block * 4 if four else block)
    best = torch.empty((rows, parts), dtype=torch.float32, device=logits.device)
    token = torch.empty((rows, parts), dtype=torch.int32, device=logits.device)
    gumbel_kernel[(rows, parts)](logits, logits.stride(0), vocab, seeds, 1 / TEMPERATURE, best, token, BLOCK=block, FOUR=four)
    return token.gather(1, best.argmax(dim=1, keepdim=True))

def peers():
    """[(name, scheme, truncation, make)]: make(rows) gives a function of a matrix of logits. Making may fail."""

    def softmax_multinomial(_):
        return lambda x: torch.multinomial(torch.softmax(x, dim=-1, dtype=torch.float32), 1)

    def argmax(_):
        return lambda x: torch.argmax(x, dim=-1)

    def triton_gumbel(four, block):
        def make(rows):
            if triton is None:
                raise RuntimeError("no Triton here")
            seeds = torch.arange(1, rows + 1, dtype=torch.int64, device="cuda")
            return lambda x: triton_sample(x, seeds, four, block)
        return make

    def sort_top_k_top_p(_):
        def run(x):
            values, order = torch.sort(x.to(torch.float32), dim=-1, descending=True)
            values[:, TOP_K:] = float("-inf")
            p = torch.softmax(values, dim=-1)
            p = torch.where(p.cumsum(dim=-1) - p >= TOP_P, 0.0, p)
            return order.gather(1, torch.multinomial(p, 1))
        return run

    def flashinfer_top_k_top_p(_):
        import flashinfer
        return lambda x: flashinfer.sampling.top_k_top_p_sampling_from_logits(x.to(torch.float32), TOP_K, TOP_P, filter_apply_order="joint")

    cut = f"top-k {TOP_K} + top-p {TOP_P}"
    return [
        ("torch argmax", "greedy", "none", argmax),
        ("torch softmax + multinomial", "off", "none", softmax_multinomial),
        ("triton gumbel, tl.rand, 1024", "off", "none", triton_gumbel(False, 1024)),
        ("triton gumbel, tl.rand4x, 4 x 512", "off", "none", triton_gumbel(True, 512)),
        ("torch sort, top-k + top-p", "off", cut, sort_top_k_top_p),
        ("flashinfer top-k + top-p", "off", cut, flashinfer_top_k_top_p),
    ]


class Timer:
    """Times a function of logits over parts of a pool."""

    def __init__(self, cache):
        self.cache, self.pools = cache, {}

    def pool(self, dtype):
        if dtype not in self.pools:
            generator = torch.Generator(device="cuda").manual_seed(20261125)
            values = torch.empty(max(BATCHES) * max(VOCABS), device="cuda", dtype=dtype)
            for part in values.split(1 << 26):  # as gpu_bench: a crowd, and one token in 1,024 far above it
                x = 2 * torch.randn(part.shape, device="cuda", generator=generator)
                head = torch.rand(part.shape, device="cuda", generator=generator)
                part.copy_(torch.where(head < 1 / 1024, x + 12 * 1024 * head, x))
            self.pools[dtype] = values
        return self.pools[dtype]

    def time(self, function, dtype, batch, vocab, milliseconds=20):
        """(microseconds, how)"""
        pool, elements = self.pool(dtype), batch * vocab
        buffers = int(COLD_TIMES * self.cache) // (elements * pool.element_size()) + 2
        buffers = max(1, min(buffers, MAX_NODES, pool.numel() // elements))
        inputs = [pool[i * elements:(i + 1) * elements].view(batch, vocab) for i in range(buffers)]
        least = max(FEW_NODES, min(MANY_NODES, FEW_BYTES // (elements * pool.element_size())))
        nodes = -(-least // buffers) * buffers  # every buffer as often as any other
        for i in range(3):  # compiles, and fills the allocator
            function(inputs[i % buffers])
        torch.cuda.synchronize()

        def launches():
            for i in range(nodes):
                function(inputs[i % buffers])

        how = "graph"
        try:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                launches()
            work = graph.replay
        except Exception as error:  # pylint: disable=broad-except
            how = "events, no graph: " + first_line(error)
            torch.cuda.synchronize()
            work = launches
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)

        def once():
            work()  # not timed: keeps the device busy while the host launches what is
            begin.record()
            work()
            end.record()
            end.synchronize()
            return begin.elapsed_time(end)

        once()
        first = max(once(), 1e-3)
        times = [once() for _ in range(max(5, min(101, int(milliseconds / (2 * first)))))]
        return statistics.median(times) * 1e3 / nodes, how


def empty_cache():
    try:
        torch.cuda.empty_cache()
    except Exception as error:  # pylint: disable=broad-except
        print(f"peers: {first_line(error)}", file=sys.stderr)  # after a capture that failed it may


def first_line(error):
    text = str(error).strip().splitlines()
    return (type(error).__name__ + ": " + (text[0] if text else ""))[:300]


def read_floors(path):
    floors = {}
    try:
        lines = pathlib.Path(path).read_text().splitlines() if path else []
    except OSError:  # nothing was timed before the peers
        lines = []
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:  # cut off
            continue
        if "floor_us" in row:
            floors[row["dtype"], row["batch"], row["vocab"], row["l2"]] = row["floor_us"]
    return floors


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", required=True)
    parser.add_argument("--floors", default="")
    parser.add_argument("--seconds", type=float, default=50)
    arguments = parser.parse_args()
    started = time.monotonic()
    floors = read_floors(arguments.floors)
    with open(arguments.json, "w", encoding="utf-8") as file:
        def write(row):
            file.write(json.dumps(row) + "\n")
            file.flush()
            print(row.get("impl", ""), row.get("dtype", ""), f"B={row.get('batch', '')} V={row.get('vocab', '')}", row.get("error") or f"{row['us']:.2f} us", flush=True)

        try:
            if torch is None:
                raise RuntimeError(why_no_torch)
            if not torch.cuda.is_available():
                raise RuntimeError("torch sees no CUDA device")
            properties = torch.cuda.get_device_properties(0)
            device, timer, known = properties.name, Timer(getattr(properties, "L2_cache_size", 50 << 20)), peers()
        except Exception as error:  # pylint: disable=broad-except
            write({"impl": "torch", "error": first_line(error)})
            return 0
        broken, left = set(), 0
        # FlashInfer last: its first call may compile for longer than there is time.
        plan = [(late, vocab, batch, dtype) for late in (False, True) for vocab in VOCABS for batch in BATCHES for dtype in (torch.bfloat16, torch.float32)]
        for late, vocab, batch, dtype in plan:
            for name, scheme, truncation, make in known:
                if name in broken or late != name.startswith("flashinfer") or (name.startswith("torch sort") and batch > 256):
                    continue
                if time.monotonic() - started > arguments.seconds:
                    left += 1
                    continue
                key = (str(dtype).removeprefix("torch."), batch, vocab, "cold")
                try:
                    us, how = timer.time(make(batch), dtype, batch, vocab)
                except Exception as error:  # pylint: disable=broad-except
                    broken.add(name)
                    write({"impl": name, "dtype": key[0], "batch": batch, "vocab": vocab, "error": first_line(error)})
                    empty_cache()
                    continue
                floor = floors.get(key)
                write({"device": device, "impl": name, "scheme": scheme, "truncation": truncation, "dtype": key[0], "batch": batch, "vocab": vocab, "l2": "cold",
                       "us": round(us, 3), "floor_us": floor, "ratio": round(us / floor, 4) if floor else None, "timing": how})
            empty_cache()
        file.write(json.dumps({"peers_seconds": round(time.monotonic() - started, 1), "left_out": left}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
