#!/usr/bin/env python3
"""Makes the report of tests/gpu/run from what its parts left in a folder.   tests/gpu/report.py FOLDER --out tests/bench/results

Reads machine.json, parts.jsonl, check.json, check_scoring.json, sanitizer-TOOL.log, bench.jsonl, peers.jsonl and the parts' logs; what is not there
was not run, and the report says so. Writes DEVICE-DATE.md with all of it for a person and DEVICE-DATE.json, a list of what was timed with an object for
each (device, impl, scheme, truncation, dtype, batch, vocab, l2, us, floor_us, ratio), and prints their common stem.
"""
import argparse
import json
import pathlib
import re
import sys

SANITIZERS = ("memcheck", "racecheck", "synccheck", "initcheck")
LARGE = 128000
# "No slower" leaves room for what two medians of one kernel differ by from run to run.
NOISE = 1.03
SCHEMES = ("gumbel", "off", "greedy", "greenlist", "tournament")
CUTS = ("top-k 50 + top-p 0.9", "min-p 0.05", "top-p 0.95")
DTYPES = ("float32", "bfloat16", "float16")


def read_json(path, otherwise=None):
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return otherwise
    except ValueError as error:
        return {"result": f"{path.name} is damaged: {error}"}


def read_lines(path):
    """Objects of a file with one a line; a last line that was cut off is left out."""
    rows = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:
            pass
    return rows


def sanitizer_results(folder):
    """[(tool, "clean" or what it found or why it did not run)]"""
    results = []
    for tool in SANITIZERS:
        path = folder / f"sanitizer-{tool}.log"
        text = path.read_text(errors="replace") if path.exists() else ""
        errors = re.findall(r"ERROR SUMMARY: (\d+) error", text)
        hazards = re.findall(r"RACECHECK SUMMARY: (\d+) hazards? displayed \((\d+) errors?", text)
        passed = re.search(r"^ok +\d+ rows", text, re.MULTILINE)
        if not text:
            result = "not run"
        elif (errors and int(errors[-1])) or (hazards and int(hazards[-1][0])):
            result = f"{errors[-1] if errors else hazards[-1][0]} errors"
        elif (errors or hazards) and passed:
            result = "clean"
        else:
            lines = [line for line in text.splitlines() if line.strip()]
            result = "did not finish: " + lines[-1].strip()[:160]
        results.append((tool, result))
    return results


class Measurements:
    """What was timed, by shape."""

    def __init__(self, rows):
        self.rows = [row for row in rows if "us" in row]

    def select(self, **wanted):
        return [row for row in self.rows if all(row.get(key) == value for key, value in wanted.items())]

    def ours(self, scheme, truncation="none", l2="cold", impl="heirmark"):
        return self.select(impl=impl, scheme=scheme, truncation=truncation, l2=l2)


def shape_of(row):
    return f"{row['dtype']}, B={row['batch']}, V={row['vocab']:,}"


def worst(rows, value):
    """(value, where, how many) of the worst row, or None."""
    if not rows:
        return None
    row = max(rows, key=value)
    return value(row), shape_of(row), len(rows)


def no_slower(measurements, other):
    """Rows of marked gumbel with their time over that of another scheme in the same shape."""
    times = {(row["dtype"], row["batch"], row["vocab"]): row["us"] for row in measurements.ours(other)}
    pairs = []
    for row in measurements.ours("gumbel"):
        base = times.get((row["dtype"], row["batch"], row["vocab"]))
        if base and row["vocab"] >= LARGE:
            pairs.append({**row, "over": row["us"] / base})
    return worst(pairs, lambda row: row["over"])


def scoring_rates(check):
    """Bulk scoring of texts without weights, in nanoseconds for a (key, pair): (worst, where, how many), or None."""
    rates = [rate for rate in (check or {}).get("rates", []) if not rate["weighted"]]
    worst_rate = max(rates, key=lambda rate: rate["seconds"] / rate["sums"], default=None)
    return worst_rate and (worst_rate["seconds"] / worst_rate["sums"] * 1e9, worst_rate["profile"], len(rates))


def targets(measurements, check_scoring=None):
    """[{"target", "limit", "unit", "measured", "where", "shapes", "verdict"}]; the verdict is "met", "missed" or "not measured"."""
    def large(scheme, truncation="none", **conditions):
        rows = measurements.ours(scheme, truncation)
        return [row for row in rows if row["vocab"] >= LARGE and row["dtype"] in ("float32", "bfloat16") and all(test(row[key]) for key, test in conditions.items())]

    def ratio(row):
        return row["ratio"]

    many, cut = (lambda batch: batch >= 128), CUTS[0]
    measured = [
        ("gumbel, float32, B >= 128", 1.15, "of the floor", worst(large("gumbel", batch=many, dtype=lambda d: d == "float32"), ratio)),
        ("gumbel, bfloat16, B >= 128", 1.2, "of the floor", worst(large("gumbel", batch=many, dtype=lambda d: d == "bfloat16"), ratio)),
        ("gumbel, B = 64", 1.35, "of the floor", worst(large("gumbel", batch=lambda b: b == 64), ratio)),
        ("gumbel, B = 1", 8, "us", worst(large("gumbel", batch=lambda b: b == 1), lambda row: row["us"])),
        ("marked no slower than unmarked", NOISE, "of unmarked", no_slower(measurements, "off")),
        ("marked no slower than greedy", NOISE, "of greedy", no_slower(measurements, "greedy")),
        (f"{cut}, B = 128, V = 131,072", 1.6, "of the floor", worst(large("gumbel", cut, batch=lambda b: b == 128, vocab=lambda v: v == 131072), ratio)),
        ("tournament, B >= 128", 1.6, "of the floor", worst(large("tournament", batch=many), ratio)),
        ("greenlist, B >= 128", 1.2, "of the floor", worst(large("greenlist", batch=many), ratio)),
        ("bulk scoring, 5e9 (key, pair) a second", 0.2, "ns each", scoring_rates(check_scoring)),
    ]
    result = []
    for target, limit, unit, found in measured:
        value, where, shapes = found or (None, "", 0)
        verdict = "not measured" if value is None else "met" if value <= limit else "missed"
        result.append({"target": target, "limit": limit, "unit": unit, "measured": value, "where": where, "shapes": shapes, "verdict": verdict})
    return result


def number(value, digits=2):
    return "" if value is None else f"{value:,.{digits}f}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "|".join("---" if i == 0 else "---:" for i in range(len(head))) + "|"]
    return lines + ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows] + [""]


def cell(rows):
    return f"{rows[0]['us']:.1f} ({rows[0]['ratio']:.2f})" if rows else ""


def grid(rows, column_of, columns):
    """A table with a line for each shape and a column for each kind of row: microseconds (times the floor)."""
    shapes = sorted({(row["vocab"], row["batch"]) for row in rows})
    lines = []
    for vocab, batch in shapes:
        here = [row for row in rows if (row["vocab"], row["batch"]) == (vocab, batch)]
        lines.append([f"{vocab:,} x {batch}", number(here[0]["floor_us"], 1)] + [cell([row for row in here if column_of(row) == column]) for column in columns])
    return table(["V x B", "floor us", *columns], lines)


def time_tables(measurements):
    lines = []
    for l2 in ("cold", "hot"):
        for dtype in DTYPES:
            rows = [row for scheme in SCHEMES for row in measurements.ours(scheme, l2=l2) if row["dtype"] == dtype]
            if rows:
                lines += [f"### Without truncation, {dtype}, {l2}", "", *grid(rows, lambda row: row["scheme"], SCHEMES)]
    for l2 in ("cold", "hot"):
        for dtype in DTYPES:
            rows = [row for cut in ("none", *CUTS) for row in measurements.ours("gumbel", cut, l2) if row["dtype"] == dtype]
            if any(row["truncation"] != "none" for row in rows):
                lines += [f"### Truncation, gumbel, {dtype}, {l2}", "", *grid(rows, lambda row: row["truncation"], ("none", *CUTS))]
    marked_cut = [row for scheme in ("greenlist", "tournament") for cut in CUTS for row in measurements.ours(scheme, cut)]
    others = [row for row in measurements.rows if row["impl"].startswith("heirmark ")] + marked_cut
    if others:
        lines += ["### Other cases", "", *table(["case", "floor us", "us (times the floor)"],
                                                [[f"{row['impl']}, {row['scheme']}, {row['truncation']}, {shape_of(row)}, {row['l2']}", number(row["floor_us"], 1), cell([row])] for row in others])]
    return lines


def peer_tables(measurements, peer_rows):
    lines = []
    peers = Measurements(peer_rows)
    names = list(dict.fromkeys(row["impl"] for row in peers.rows))
    for truncation in ("none", CUTS[0]):
        for dtype in DTYPES:
            others = [row for row in peers.rows if row["truncation"] == truncation and row["dtype"] == dtype]
            if not others:
                continue
            columns = [name for name in names if any(row["impl"] == name for row in others)]
            shapes, body = sorted({(row["vocab"], row["batch"]) for row in others}), []
            for vocab, batch in shapes:
                def here(rows):
                    return [row for row in rows if (row["vocab"], row["batch"], row["dtype"]) == (vocab, batch, dtype)]
                mine = here(measurements.ours("gumbel", truncation))
                line = [f"{vocab:,} x {batch}", number(mine[0]["us"], 1) if mine else ""]
                for name in columns:
                    other = [row for row in here(others) if row["impl"] == name]
                    line.append((number(other[0]["us"], 1) + (f" ({other[0]['us'] / mine[0]['us']:.1f}x)" if mine else "")) if other else "")
                body.append(line)
            title = "Peers, us (times heirmark's marked gumbel)"
            lines += [f"### {title}, {truncation if truncation != 'none' else 'without truncation'}, {dtype}, cold", "", *table(["V x B", "heirmark", *columns], body)]
    events = sorted({row["impl"] + ": " + row["timing"] for row in peers.rows if row.get("timing", "graph") != "graph"})
    failed = [f"{row['impl']}{' (' + shape_of(row) + ')' if 'batch' in row else ''}: {row['error']}" for row in peer_rows if "error" in row]
    if events:
        lines += ["Timed by events around plain launches:", "", *[f"* {text}" for text in events], ""]
    if failed:
        lines += ["Peers that failed, and from where on they were left out:", "", *[f"* {text}" for text in failed], ""]
    return lines


def check_lines(name, check):
    if check is None:
        return [f"* {name}: not run"]
    if "rows" not in check:
        return [f"* {name}: {check['result']}"]
    lines = [f"* {name}: **{check['result']}**; {check['rows']:,} rows, compared {check.get('comparisons', check['rows']):,} times in {check.get('launches', 0):,} launches, "
             f"{check.get('cases', 0):,} cases, {check['seconds']:.0f} s, seed {check['seed']}"]
    if check.get("rows_of"):
        lines.append("    * rows of " + ", ".join(f"{key} {value:,}" for key, value in check["rows_of"].items()))
    if check.get("shards"):
        lines.append(f"    * shards left {check['shards']['left to a whole launch']:,} of {check['shards']['plain']:,} plain rows to a whole launch")
    if check.get("failure"):
        lines += ["", "```", check["failure"].rstrip(), "```", ""]
    return lines


def scoring_lines(check):
    if check is None:
        return ["* bulk scoring: not run"]
    if "sums" not in check:
        return [f"* bulk scoring: {check['result']}"]
    return [f"* bulk scoring: **{check['result']}**; {check['sums']:,.0f} (key, pair) sums compared, {check['seconds']:.0f} s"] + [
        f"    * {rate['profile']}, {'weighted' if rate['weighted'] else 'plain'}: {rate['sums'] / rate['seconds']:.3g} (key, pair) a second" for rate in check["rates"]]


def markdown(report, folder):
    machine, parts = report["machine"], report["parts"]
    bad = [part["name"] for part in parts if part["exit"] != 0]
    lines = [f"# {machine.get('device', 'unknown device')}, {machine.get('date', '')}", "",
             f"Commit {machine.get('commit', 'unknown')}{' with changes' if machine.get('changed') else ''}. Driver {machine.get('driver', '?')}, CUDA {machine.get('cuda', '?')}, "
             f"compute capability {machine.get('compute_capability', '?')}, {machine.get('cores', '?')} CPU cores. Whole run {machine.get('seconds', 0)} s.", "",
             "**Parts that failed: " + ", ".join(bad) + ".**" if bad else "Every part that ran succeeded.", "",
             "## Same tokens", "", *check_lines("sampler", report["check"])]
    lines += scoring_lines(report["check_scoring"])
    lines += [f"* compute-sanitizer {tool}: {result}" for tool, result in report["sanitizers"]] + [""]
    lines += ["## Targets", "", "For an H100; V >= 128,000, logits not in the cache, the worst shape counts. The floor is the fastest of several kernels that only read the same bytes, in the "
              f"same run. \"No slower\" allows {NOISE - 1:.0%} for noise.", ""]
    lines += table(["target", "limit", "measured", "worst at", "shapes", "verdict"],
                   [[t["target"], f"{t['limit']:g} {t['unit']}", number(t["measured"], 3), t["where"], t["shapes"], f"**{t['verdict']}**" if t["verdict"] != "met" else "met"] for t in report["targets"]])
    measurements = Measurements(report["measurements"])
    if measurements.rows:
        lines += ["## Times", "", "Microseconds of a launch, and in brackets that over the floor.", "", *time_tables(measurements)]
    lines += peer_tables(measurements, report["peers"])
    left = [f"bench: {row['left_out']} cases, from {row['first_left_out']} on" for row in report["notes"] if row.get("left_out") and "first_left_out" in row]
    left += [f"peers: {row['left_out']} measurements" for row in report["notes"] if row.get("left_out") and "first_left_out" not in row]
    left += [f"{part['name']}: {part['note']}" for part in parts if part.get("note")]
    if left:
        lines += ["## Left out or cut short", "", *[f"* {text}" for text in left], ""]
    lines += ["## Parts", "", *table(["part", "s", "limit s", "exit"], [[p["name"], p["seconds"], p["limit"], p["exit"]] for p in parts])]
    for name in bad:
        path = folder / f"{name}.log"
        if path.exists():
            lines += [f"### Last lines of {name}", "", "```", *path.read_text(errors="replace").splitlines()[-40:], "```", ""]
    return "\n".join(lines).rstrip() + "\n"


def slug(text):
    return re.sub(r"[^a-z0-9]+", "-", text.lower().replace("nvidia", "")).strip("-") or "unknown"


def build(folder):
    bench, peers = read_lines(folder / "bench.jsonl"), read_lines(folder / "peers.jsonl")
    report = {"machine": read_json(folder / "machine.json", {}), "parts": read_lines(folder / "parts.jsonl"), "check": read_json(folder / "check.json"),
              "check_scoring": read_json(folder / "check_scoring.json"), "sanitizers": sanitizer_results(folder), "measurements": [row for row in bench if "us" in row],
              "peers": [row for row in peers if "impl" in row], "notes": [row for row in bench + peers if "left_out" in row]}
    report["targets"] = targets(Measurements(report["measurements"]), report["check_scoring"])
    return report


def listing(report):
    """What was timed, ours and the peers', a line for each."""
    return "[\n" + ",\n".join(json.dumps(row) for row in report["measurements"] + report["peers"] if "us" in row) + "\n]\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    if not arguments.folder.is_dir():
        sys.exit(f"report: {arguments.folder} is no folder")
    report = build(arguments.folder)
    arguments.out.mkdir(parents=True, exist_ok=True)
    stem = arguments.out / f"{slug(report['machine'].get('device', ''))}-{report['machine'].get('date', 'undated')}"
    for suffix, text in ((".md", markdown(report, arguments.folder)), (".json", listing(report))):
        part = stem.with_name(stem.name + suffix + ".part")
        part.write_text(text)
        part.replace(stem.with_name(stem.name + suffix))
    print(stem)


if __name__ == "__main__":
    main()
