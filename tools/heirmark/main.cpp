// heirmark: one binary, thin over the SDK. Every command returns an exit code or an Error, whose code is the exit code.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include <exception>
#include <new>

#include "commands.hpp"
#include "shell.hpp"

namespace {
using heirmark::cli::Command;

void add_commands(Command& root) {
  root.flag("-v,--verbose", heirmark::cli::globals().verbose, "say what is being done")
      .flag("-q,--quiet", heirmark::cli::globals().quiet, "no progress bars, no notes on what was written");
  Command& key = root.add("key", "make, commit, rotate and open keys");
  add_key_commands(key);
  heirmark::cli::add_mark(root);
  Command& ledger = root.add("ledger", "keep the record of what a server issued");
  add_ledger_commands(ledger);
  add_detect(root);
  Command& audit = root.add("audit", "plan, run and conclude an audit of a suspect model");
  add_audit_power(audit);
  add_audit_suspect(audit);
  add_audit_plan(audit);
  add_audit_run(audit);
  add_audit_verdict(audit);
  Command& stamp = root.add("stamp", "have what was signed stamped by time-stamping authorities");
  add_stamp_commands(stamp);
  add_doctor(root);
  add_report(root);
  add_verify(root);
  heirmark::cli::add_bench(root);
  heirmark::cli::add_help(root);
}

int run(int argc, char** argv) {
  CLI::App app;
  Command root(app, "heirmark", "keyed sampling for language models, and exact proof of inheritance");
  add_commands(root);
  const auto result = run_command_line(root, argc, argv);
  if (const auto flushed = heirmark::cli::flush_output(); result.ok() && !flushed) {
    heirmark::cli::complain(flushed.error().message);
    return static_cast<int>(flushed.error().code);
  }
  if (result.ok()) return result.value();
  heirmark::cli::complain(result.error().message);
  return static_cast<int>(result.error().code);
}
}  // namespace

int main(int argc, char** argv) {
  // A file that we open must never become standard output. A closed stream stays unusable: writing to it fails.
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(descriptor, F_GETFD) < 0 && ::open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY) != descriptor) return 5;
  }
  heirmark::cli::handle_signals();
  try {
    return run(argc, argv);
  } catch (const std::bad_alloc&) {
    heirmark::cli::complain("out of memory");
  } catch (const std::exception& error) {
    heirmark::cli::complain(error.what());
  }
  return 5;
}
