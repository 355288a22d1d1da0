"""Help, man page, completion, wrong usage, terminals and pipes."""
import os
import re
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(__file__))
from support import HEIRMARK, PASSPHRASE, SOURCE, Case, environment, heirmark, json_members, main, on_terminal

LEAVES = ["key new", "key commit", "key sign-ledger", "key list", "key show", "key rotate", "key open", "key export-subkey", "key signer", "mark", "ledger new", "ledger list",
          "ledger verify", "ledger checkpoint", "ledger export", "ledger purge", "doctor", "detect",
          "audit power", "audit suspect", "audit plan", "audit run", "audit verdict", "report", "stamp add", "stamp get", "stamp request", "verify", "bench", "help", "completion"]


class Help(Case):
    def test_every_command_has_help_on_one_screen_with_an_example(self):
        for command in LEAVES:
            with self.subTest(command):
                done = self.run_ok(*command.split(), "--help")
                lines = done.out.splitlines()
                self.assertTrue(lines[0].startswith(f"heirmark {command} - "))
                self.assertLessEqual(len(lines), 24)
                self.assertLessEqual(max(map(len, lines)), 100)
                self.assertIn(f"Example: heirmark {command}", done.out.replace("Example:\n  ", "Example: "))
                self.assertEqual(self.run_ok("help", *command.split()).out, done.out)

    def test_groups_list_their_commands(self):
        for group, names in (("", {leaf.split()[0] for leaf in LEAVES}), ("key", {leaf.split()[1] for leaf in LEAVES if leaf.startswith("key ")}),
                             ("ledger", {leaf.split()[1] for leaf in LEAVES if leaf.startswith("ledger ")}),
                             ("audit", {leaf.split()[1] for leaf in LEAVES if leaf.startswith("audit ")})):
            done = self.run_ok(*group.split(), "--help")
            rows = {line.split()[0] for line in done.out.splitlines() if line.startswith("  ") and not line.startswith("   ") and not line.startswith("  -")}
            self.assertEqual(rows, names)
            self.assertLessEqual(len(done.out.splitlines()), 24)

    def test_exit_codes_are_explained(self):
        told = re.findall(r"^  (\d)  ", self.run_ok("help", "exit-codes").out, re.M)
        page = (SOURCE / "specs/cli.md").read_text()
        self.assertEqual(told, re.findall(r"^\| (\d) \|", page[page.index("## Exit codes"):page.index("## Files")], re.M))
        self.assertEqual(told, [str(code) for code in range(8)])
        self.assertEqual(told, re.findall(r"^\.B (\d)$", self.run_ok("help", "man").out, re.M))

    def test_version(self):
        self.assertRegex(self.run_ok("--version").out, r"^heirmark \d+\.\d+\.\d+\n$")

    def test_man_page_and_completions_in_the_source_are_up_to_date(self):
        for args, name in ((("help", "man"), "heirmark.1"), (("completion", "bash"), "completion/heirmark.bash"),
                           (("completion", "zsh"), "completion/_heirmark"), (("completion", "fish"), "completion/heirmark.fish")):
            with self.subTest(name):
                self.assertEqual((SOURCE / "tools/heirmark" / name).read_text(), self.run_ok(*args).out,
                                 f"make it again: heirmark {' '.join(args)} > tools/heirmark/{name}")

    def test_man_page_has_every_command_and_exit_code(self):
        out = self.run_ok("help", "man").out.replace("\\-", "-")
        for command in LEAVES:
            self.assertIn(f".SS heirmark {command}", out)
        self.assertIn(".SH EXIT STATUS", out)

    def test_bash_completion_offers_commands_options_and_choices(self):
        script = self.run_ok("completion", "bash").out
        def complete(*words):
            program = script + ('\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _heirmark; printf "%s\\n" "${COMPREPLY[@]}"\n')
            done = subprocess.run(["bash", "-c", program, "bash", *words], capture_output=True, text=True, check=True, cwd=self.dir)
            return set(done.stdout.split())
        self.assertLessEqual({"key", "audit", "verify"}, complete("heirmark", ""))
        self.assertLessEqual({"plan", "run", "verdict"}, complete("heirmark", "audit", ""))
        self.assertLessEqual({"--opening", "--json"}, complete("heirmark", "detect", "--"))
        self.assertEqual({"distinct", "sqrt2", "log2"}, complete("heirmark", "detect", "--count-rule", ""))


class Pages(Case):
    """What is written about the command is what the command takes."""

    def test_help_man_page_completion_and_parser_agree(self):
        man = self.run_ok("help", "man").out.replace("\\-", "-")
        script = self.run_ok("completion", "bash").out
        for command in LEAVES:
            with self.subTest(command):
                rows = [line for line in self.run_ok(*command.split(), "--help").out.splitlines() if re.match(r"  -", line)]
                help_options = {name for line in rows for name in re.findall(r"--[a-z][a-z-]*", re.split(r" {2,}", line.strip())[0])}
                section = man[man.index(f".SS heirmark {command} " if f".SS heirmark {command} " in man else f".SS heirmark {command}\n"):]
                section = section[:section.index("\n.S", 1)]
                man_options = {name for line in re.findall(r"^\.B (-.*)$", section, re.M) for name in re.findall(r"--[a-z][a-z-]*", line)}
                offered = set(re.search(rf"^    'heirmark {command}'\) words='([^']*)'", script, re.M).group(1).split()) - {"--help"}
                self.assertEqual(help_options, man_options)
                self.assertEqual(help_options, offered)
                for option in help_options:
                    # Known to the parser: whatever it lacks here, it is not the option.
                    self.assertNotIn("unknown option", heirmark(*command.split(), option).err)

    def test_command_lines_in_the_pages_exist(self):
        """Every line `heirmark ...` in README, specs and the quickstart's scripts names a command, and options that this command has."""
        known = {command: set(re.findall(r"(?<![a-z-])--?[a-z][a-z-]*", self.run_ok(*command.split(), "--help").out.split("Example:")[0])) for command in LEAVES}
        everywhere = {"-v", "-q", "--verbose", "--quiet", "--help"}
        seen = 0
        for page in [SOURCE / "README.md", *sorted((SOURCE / "specs").glob("*.md")), SOURCE / "tools/heirmark/heirmark.1"]:
            text = page.read_text().replace("\\-", "-").replace("\\\n", " ")
            for line in re.findall(r"^(?:    |\|.*`)?(heirmark [a-z][^\n`#]*)", text, re.M) + re.findall(r"`(heirmark [a-z][^`\n]*)`", text):
                words = line.split(" -- ")[0].split()
                command = " ".join(words[1:3]) if words[1] in ("key", "ledger", "audit", "stamp") else words[1]
                if command == "COMMAND" or words[1] in ("COMMAND", "keystore"):
                    continue
                with self.subTest(f"{page.name}: {line}"):
                    self.assertIn(command, known)
                    for word in words:
                        if re.match(r"--?[a-z]", word):
                            self.assertIn(word.split("=")[0], known[command] | everywhere)
                            seen += 1
        self.assertGreater(seen, 40)

    def test_every_option_that_the_page_names_exists(self):
        every = {name for command in LEAVES for name in re.findall(r"--[a-z][a-z-]*", self.run_ok(*command.split(), "--help").out)} | {"--verbose", "--quiet", "--version"}
        for page in ("specs/cli.md", "specs/keys.md", "specs/scoring.md", "README.md"):
            named = set(re.findall(r"`(--[a-z][a-z-]*)", (SOURCE / page).read_text()))
            self.assertLessEqual(named - {"--seed", "--share", "--out"}, every, page)

    def test_json_members_are_those_of_the_page(self):
        members = json_members()
        with_json = {command for command in LEAVES if "--json" in self.run_ok(*command.split(), "--help").out}
        self.assertEqual(set(members), with_json)
        opening = self.opening()
        store = ("--keystore", self.store)
        self.run_ok("mark", "--opening", opening, "--tokens", 40, "-o", self.dir / "t.jsonl")
        for command, args in (("detect", ("detect", self.dir / "t.jsonl", "--opening", opening)), ("audit power", ("audit", "power")), ("bench", ("bench", "--seconds", "0.01", "--vocab", 100)),
                              ("key show", ("key", "show", "acme-70b/2026-11", *store)), ("key list", ("key", "list", *store)), ("key signer", ("key", "signer", "x", *store))):
            with self.subTest(command):
                answer = self.run_ok(*args, "--json", passphrase=PASSPHRASE if store[0] in args else None).json
                self.assertEqual(set(answer), members[command])


class WrongUsage(Case):
    def test_each_is_one_line_and_exit_code_2(self):
        for args, word in (
                (["frobnicate"], "frobnicate"), (["detect"], "FILE"), (["detect", "x.jsonl"], "--opening"),
                (["detect", "x.jsonl", "--opening", "o", "--frob"], "--frob"), (["key"], "which command"), (["audit", "frob"], "frob"),
                (["detect", "x", "--opening", "o", "--decoys", "many"], "--decoys"), (["detect", "x", "--opening", "o", "--decoys", "-1"], "--decoys"),
                (["detect", "x", "--opening", "o", "--decoys", "99999999"], "4194304"), (["detect", "x", "--opening", "o", "--count-rule", "cube"], "sqrt2"),
                (["mark"], "KEY"), (["mark", "a/2026-11", "--opening", "o"], "either"), (["mark", "a/2026-11", "--temperature", "nan"], "--temperature"),
                (["mark", "--opening", "o", "--logits", "x"], "--vocab"), (["audit", "power", "--channel", "c9"], "c9"),
                (["audit", "power", "--share", "0"], "--share"), (["audit", "power", "--profile", "nothing"], "standard-2026-11"),
                (["completion", "csh"], "csh"), (["help", "nothing"], "nothing"), (["key", "new", "Acme!"], "Acme!"),
                (["key", "new", "acme/2026-11", "--epoch", "2026-12"], "once"), (["key", "new", "acme", "--epoch", "2026-13"], "2026-13"),
                (["key", "new", "acme", "--profile", "nothing"], "nothing"), (["verify"], "BAG"), (["bench", "--vocab", "0"], "--vocab")):
            with self.subTest(args):
                self.run_fails(2, *args, words=word)

    def test_nothing_at_all_shows_help(self):
        done = heirmark()
        self.assertEqual(done.code, 2)
        self.assertIn("Usage: heirmark COMMAND", done.out)


class Surroundings(Case):
    def test_a_pipe_gets_no_escape_codes_and_a_terminal_does(self):
        opening = self.opening()
        text = self.dir / "text.jsonl"
        command = ("mark", "--opening", opening, "--texts", 64, "--tokens", 100, "--vocab", 256, "-o", text)
        done = self.run_ok(*command)
        self.assertNotIn("\033", done.out + done.err)
        code, shown = on_terminal(*command)
        self.assertEqual(code, 0, shown)
        self.assertIn("\033[K", shown)
        self.assertIn("%", shown)
        code, shown = on_terminal("-q", *command)
        self.assertEqual((code, shown), (0, ""))

    def test_a_full_disk_is_exit_code_5(self):
        with open("/dev/full", "wb") as full:
            done = heirmark("help", "man", stdout=full)
        self.assertEqual(done.code, 5)
        self.assertIn("standard output", done.err)
        opening = self.opening()
        self.run_fails(5, "mark", "--opening", opening, "-o", "/dev/full", words="/dev/full: No space left")

    def test_a_closed_standard_output_is_told(self):
        done = subprocess.run(["sh", "-c", '"$0" help man >&-', HEIRMARK], stderr=subprocess.PIPE, env=environment(), check=False)
        self.assertEqual(done.returncode, 5, done.stderr)

    def test_a_reader_that_goes_away_is_no_error_message(self):
        producer = subprocess.Popen([HEIRMARK, "help", "man"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
        producer.stdout.close()
        self.assertEqual(producer.stderr.read(), b"")
        producer.stderr.close()
        self.assertIn(producer.wait(), (0, -signal.SIGPIPE))

    def test_a_missing_folder_is_told_and_nothing_is_left(self):
        opening = self.opening()
        self.run_fails(5, "mark", "--opening", opening, "-o", self.dir / "no" / "text.jsonl", words="text.jsonl")
        before = sorted(p.name for p in self.dir.iterdir())
        self.run_fails(5, "mark", "--opening", opening, "-o", self.dir / "a.jsonl", "--ledger", "/dev/full", words="/dev/full")
        self.assertEqual(sorted(p.name for p in self.dir.iterdir()), before)

    def test_power_answers_in_words_and_in_json(self):
        self.assertIn("contexts", self.run_ok("audit", "power", "--channel", "c3", "--share", "0.05", "--price", "3").out)
        answer = self.run_ok("audit", "power", "--json").json
        self.assertAlmostEqual(answer["scored"], 22073, delta=300)  # statistics.md, kappa eta^2 = .165 at 10 %
        self.assertEqual(answer["channel"], "c1")
        self.run_fails(2, "audit", "power", "--channel", "c3", "--profile", "greenlist-2026-11", words="gumbel")

    def test_bench_measures(self):
        answer = self.run_ok("bench", "--seconds", "0.02", "--vocab", "1000", "--json").json
        for name in ("words_per_s", "positions_per_s", "rows_per_s", "argmax_rows_per_s"):
            self.assertGreater(answer[name], 0)


if __name__ == "__main__":
    main()
