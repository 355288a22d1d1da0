// The commands, one file each. Every function adds its command to a parent.
#pragma once
#include "command.hpp"

namespace heirmark::cli {
void add_key_commands(Command& key);
void add_key_signing_commands(Command& key);
void add_doctor(Command& root);
void add_ledger_commands(Command& ledger);
void add_mark(Command& root);
void add_detect(Command& root);
void add_audit_power(Command& audit);
void add_audit_suspect(Command& audit);
void add_audit_plan(Command& audit);
void add_audit_run(Command& audit);
void add_audit_verdict(Command& audit);
void add_report(Command& root);
void add_stamp_commands(Command& stamp);
void add_verify(Command& root);
void add_bench(Command& root);
void add_help(Command& root);
}  // namespace heirmark::cli
