"""Reads the machine code of the sampling kernels: their hot loop, and how many instructions of each class it takes for a logit.

The hot loop is the innermost one that both loads 128 bits and takes exponentials. Through its branches leads the hot path: every logit that is
loaded is exponentiated once (no second load for a row off its 16-byte boundary, no end of the vocabulary), and of those paths the shortest (no
new reference logit). An iteration in the middle of a long row takes exactly this path.
"""
import collections
import re
import subprocess

LOAD = re.compile(r"LDG\.\S*128")
CLASSES = [  # the first that fits
    ("MUFU", r"MUFU"),
    ("LDG", r"LDG|LD\b|LDGSTS"),
    ("local", r"LDL|STL"),
    ("shared", r"LDS|STS|ATOMS|LDSM"),
    ("other memory", r"STG|ST\b|ATOM|RED\b|LDC|MEMBAR|CCTL|FENCE|ERRBAR"),
    ("convert", r"F2F|F2FP|I2F|F2I|HADD2|HMUL2|HFMA2|I2FP|FRND"),
    ("float", r"FFMA|FADD|FMUL|FMNMX|FSEL|FSETP|FSET|FCHK|FSWZADD|DADD|DMUL|DFMA|DSETP|FMNMX3"),
    ("branch", r"BRA|BRX|JMP|BSSY|BSYNC|EXIT|CALL|RET|WARPSYNC|BREAK|YIELD|NOP|BAR|BMOV"),
    ("IMAD", r"IMAD|VIMAD"),
    ("ALU", r""),
]


def class_of(text):
    name = opcode(text)
    for label, pattern in CLASSES:
        if re.match(pattern, name):
            return label
    raise AssertionError


def opcode(text):
    words = text.split()
    return words[1] if words[0].startswith("@") else words[0]


Instruction = collections.namedtuple("Instruction", "address text")


class Function:
    """One kernel on one architecture."""

    def __init__(self, arch, name, instructions):
        self.arch, self.name, self.instructions = arch, name, instructions
        self.at = {instruction.address: i for i, instruction in enumerate(instructions)}

    def template(self):
        """(dtype, truncation) of sample_kernel<dtype, truncation, ...>, or None."""
        found = re.search(r"sample_kernel\w*?DTypeE(\d)ELb([01])E", self.name)
        return found and (("float32", "bfloat16", "float16")[int(found[1])], found[2] == "1")

    def blocks(self):
        """[(first, last + 1, successors)] by index of instruction; successors are indices of first instructions."""
        starts, target_of = {0}, {}
        for i, instruction in enumerate(self.instructions):
            name = opcode(instruction.text)
            if re.match(r"BRA|JMP", name):
                target = int(re.findall(r"0x[0-9a-f]+", instruction.text)[-1], 16)
                target_of[i] = self.at[target]
                starts.add(self.at[target])
            if re.match(r"BRA|JMP|EXIT|RET|BRX", name):
                starts.add(i + 1)
        order = sorted(start for start in starts if start < len(self.instructions))
        result = {}
        for first, end in zip(order, order[1:] + [len(self.instructions)]):
            last = self.instructions[end - 1].text
            name, successors = opcode(last), []
            if end - 1 in target_of:
                successors.append(target_of[end - 1])
            # "@P0 BRA" and "BRA P1, 0x..." go on where they do not jump; "BRA.U UP0" likewise.
            conditional = last.startswith("@") or re.search(r"\bBRA\S*\s+!?U?P[0-9]", last)
            if end < len(self.instructions) and (conditional or not re.match(r"BRA|JMP|EXIT|RET|BRX", name)):
                successors.append(end)
            result[first] = (first, end, successors)
        return result

    def loops(self):
        """Natural loops: (header, set of first instructions of their blocks)."""
        blocks = self.blocks()
        before = collections.defaultdict(list)
        for first, (_, _, successors) in blocks.items():
            for successor in successors:
                before[successor].append(first)
        dominators = dominators_of(blocks, before)
        bodies = collections.defaultdict(set)
        for first, (_, _, successors) in blocks.items():
            for header in successors:
                if first in dominators and header in dominators[first]:
                    body, waiting = {header}, [first]
                    while waiting:
                        block = waiting.pop()
                        if block not in body:
                            body.add(block)
                            waiting += before[block]
                    bodies[header] |= body
        return [(header, body) for header, body in bodies.items()]

    def texts(self, blocks, body):
        return [self.instructions[i].text for block in body for i in range(blocks[block][0], blocks[block][1])]


def dominators_of(blocks, before):
    """Blocks reached from the first one: the set of blocks that every way to them passes."""
    order, seen, stack = [], set(), [(0, iter(blocks[0][2]))]
    seen.add(0)
    while stack:
        block, successors = stack[-1]
        for successor in successors:
            if successor not in seen:
                seen.add(successor)
                stack.append((successor, iter(blocks[successor][2])))
                break
        else:
            order.append(block)
            stack.pop()
    order.reverse()
    dominators = {0: frozenset([0])}
    changed = True
    while changed:
        changed = False
        for block in order[1:]:
            known = [dominators[b] for b in before[block] if b in dominators]
            new = frozenset.intersection(*known) | {block}
            if dominators.get(block) != new:
                dominators[block] = new
                changed = True
    return dominators


class HotPath:
    """What an iteration of the hot loop executes."""

    def __init__(self, texts, logits, whole):
        self.texts, self.logits, self.whole = texts, logits, whole
        self.counts = collections.Counter(class_of(text) for text in texts)

    def per_logit(self, label=None):
        return (len(self.texts) if label is None else self.counts[label]) / self.logits


def hot_path(function, logits_per_load):
    """The hot path of a kernel's pass over the logits. ValueError: the loop or the path is not there."""
    blocks = function.blocks()
    candidates = []
    for header, body in function.loops():
        texts = function.texts(blocks, body)
        if any(LOAD.search(t) for t in texts) and sum("MUFU.EX2" in t for t in texts) >= logits_per_load:
            candidates.append((len(body), header, body))
    if not candidates:
        raise ValueError(f"{function.name}: no loop loads 128 bits and takes exponentials")
    _, header, body = min(candidates)  # a loop around it holds it and more
    # The shortest way from the header back to it, for each number of loads and exponentials on the way. Loops inside have no place on it.
    best = {header: {(0, 0): (0, None)}}
    order = topological(blocks, header, body)
    finished = {}
    for block in order:
        texts = [function.instructions[i].text for i in range(blocks[block][0], blocks[block][1])]
        loads, exponentials = sum(bool(LOAD.search(t)) for t in texts), sum("MUFU.EX2" in t for t in texts)
        for (l, e), (length, _) in list(best.get(block, {}).items()):
            key, cost = (l + loads, e + exponentials), length + len(texts)
            for successor in blocks[block][2]:
                into = finished if successor == header else best.setdefault(successor, {}) if successor in body else None
                if into is not None and (key not in into or cost < into[key][0]):
                    into[key] = (cost, (block, (l, e)))
    full = {key: value for key, value in finished.items() if key[0] > 0 and key[1] == key[0] * logits_per_load}
    if not full:
        raise ValueError(f"{function.name}: no path through the hot loop takes one exponential for each logit that it loads")
    most = max(full, key=lambda key: key[0])
    path, place = [], full[most][1]
    while place is not None:
        path.append(place[0])
        place = best[place[0]][place[1]][1]
    texts = [t for block in reversed(path) for t in function.texts(blocks, [block])]
    return HotPath(texts, most[1], function.texts(blocks, body))


def topological(blocks, header, body):
    """Blocks of a loop, each after those that lead to it; edges back are left out."""
    order, state = [], {}
    stack = [(header, iter(blocks[header][2]))]
    state[header] = 1
    while stack:
        block, successors = stack[-1]
        for successor in successors:
            if successor in body and successor not in state:
                state[successor] = 1
                stack.append((successor, iter(blocks[successor][2])))
                break
        else:
            order.append(block)
            stack.pop()
    return order[::-1]


def chacha_block(function):
    """Instructions of one ChaCha20 block as the pass makes it: the shortest among the code that rotates 320 words (a rotation is one SHF or PRMT),
    be it a loop of double rounds or straight. None if there is none."""
    blocks = function.blocks()
    found = []
    for _, body in function.loops():
        texts = function.texts(blocks, body)
        rotations = sum(bool(re.match(r"(@!?U?P\d+ )?(SHF\.[LR]\.W|PRMT)", t)) for t in texts)
        if 30 <= rotations <= 40:  # one double round: 32 rotations, ten times over
            found.append(10 * len(texts))
        elif 300 <= rotations <= 420:  # the whole block
            found.append(len(texts))
    return min(found) if found else None


def functions_of(disassembly):
    """Kernels in what `cuobjdump --dump-sass` prints."""
    result, arch, name, instructions = [], None, None, []
    for line in disassembly.splitlines():
        if found := re.match(r"\s*code for (sm_\w+)", line) or re.match(r"arch = (sm_\w+)", line):
            arch = found[1]
        elif found := re.match(r"\s*Function : (\S+)", line):
            name, instructions = found[1], []
            result.append(Function(arch, name, instructions))
        elif name and (found := re.match(r"\s+/\*([0-9a-f]{4,6})\*/\s+(\S.*?)\s*;", line)):
            instructions.append(Instruction(int(found[1], 16), found[2]))
    for function in result:
        function.at = {instruction.address: i for i, instruction in enumerate(function.instructions)}
    return result


def resources_of(listing):
    """{(arch, function): {"REG": ..., "STACK": ...}} of what `cuobjdump --dump-resource-usage` prints."""
    result, arch, name = {}, None, None
    for line in listing.splitlines():
        if found := re.match(r"\s*arch = (sm_\w+)", line):
            arch = found[1]
        elif found := re.match(r"\s*Function (\S+?):", line):
            name = found[1]
        elif name and "REG:" in line:
            result[arch, name] = {key: int(value) for key, value in re.findall(r"(\w+):(\d+)", line)}
    return result


def dump(cuobjdump, option, file):
    return subprocess.run([cuobjdump, option, str(file)], capture_output=True, text=True, check=True).stdout
