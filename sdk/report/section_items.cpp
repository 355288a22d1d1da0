// Sections 2 and 4: what was received, and the plan against what was done.
#include <algorithm>
#include <array>

#include <heirmark/evidence.hpp>

#include "report/numbers.hpp"
#include "report/sections.hpp"
#include "report/svg.hpp"
#include "report/words.hpp"

namespace heirmark::report {
namespace {

using Align = Table::Align;

struct Described {
  std::string_view path, what;
};
constexpr std::array<Described, 10> kFiles{
    {{"commitment.json", "public commitment to the key"},
     {"ledger.jsonl", "responses that the provider issued"},
     {"opening.json", "the opened key (secret until then; not shown in this report)"},
     {"plan.json", "registered plan"},
     {"prompts.jsonl", "pool of prompts"},
     {"suspect.json", "identity of the suspect"},
     {"transcript.json", "list of the collected answers"},
     {"transcript/c1.jsonl", "texts that the suspect wrote"},
     {"transcript/issued.jsonl", "the suspect’s answers in contexts of the ledger"},
     {"verdict.json", "verdict"}}};

std::string described(std::string_view path) {
  for (const Described& file : kFiles)
    if (file.path == path) return std::string(file.what);
  if (path.starts_with("statements/")) return "signed statement";
  if (path.starts_with("stamps/")) return "time stamp";
  if (path.starts_with("trust/")) return "public key";
  return "other";
}

/// The digest by which another object binds a file, and that object.
struct Bound {
  std::string sha256, by;
};
Bound bound(const Case& from, std::string_view path) {
  if (path == "commitment.json") return {from.plan.commitment, "plan, verdict"};
  if (path == "opening.json") return {from.plan.opening, "commitment, plan, verdict"};
  if (path == "ledger.jsonl")
    return {from.plan.ledger, from.statement("ledger") != nullptr ? "plan, verdict, statement" : "plan, verdict"};
  if (path == "suspect.json") return {from.plan.suspect, "plan, verdict"};
  if (path == "prompts.jsonl") return {from.plan.prompts, "plan"};
  if (path == "plan.json") return {from.verdict.plan, "transcript, verdict"};
  if (path == "transcript.json") return {from.verdict.transcript, "verdict"};
  if (path == "verdict.json") {
    const Statement* statement = from.statement("verdict");
    return statement != nullptr ? Bound{statement->sha256, "statement"} : Bound{};
  }
  if (const TranscriptFile* file = from.transcript.find(path)) return {file->sha256, "transcript"};
  return {};
}

/// A digest may break between its quarters, other values between words.
Html value(const std::string& text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos ? digest(text)
                                                                                              : Html(text);
}

}  // namespace

Html section_items(const Case& from) {
  Table files(
      "Files of the bag. Each digest is the one by which another object, or a signed statement, binds the file.",
      {{"File", Align::key}, {"What it is"}, {"Bytes", Align::right}, {"SHA-256, and what binds it"}});
  for (const Item& item : from.items) {
    const Bound by = bound(from, item.path);
    files.row({code(item.path), described(item.path), grouped(item.bytes),
               by.sha256.empty() ? Html("listed in manifest-sha256.txt")
                                 : join(digest(by.sha256), el("span", {{"class", "by"}}, " (", by.by, ")"))});
  }
  Table statements("Signed statements, in the order of making.",
                   {{"Object", Align::key},
                    {"Signer", Align::key},
                    {"Date of signing", Align::key},
                    {"Key of the signer (SHA-256 of its public key)"}},
                   "keep");
  for (const Object signed_object : kObjects) {
    const std::string_view object = object_name(signed_object);
    const Statement* statement = from.statement(object);
    if (statement == nullptr && object == "ledger" && from.plan.ledger.empty()) continue;
    if (statement == nullptr) {
      statements.row({object, "—", words::kNotSigned, "—"}, "flag");
      continue;
    }
    statements.row({object, statement->signer, words::day(statement->date), digest(statement->key_id)});
  }
  Table stamps("Time stamps of third parties (RFC 3161): each says that a signed statement existed. They check by the certificates in them; who those authorities are, this report does not check (section 9 says how to).",
               {{"Object", Align::key}, {"Existed not later than", Align::key}, {"State", Align::key}, {"Authority, as its certificate names it"}}, "keep");
  for (const Stamp& stamp : from.stamps) {
    const Statement* statement = from.statement(stamp.object);
    const bool before = statement != nullptr && stamp.time < statement->date;
    stamps.row({stamp.object, words::day(stamp.time), before ? "BEFORE the date of signing" : "unchecked", stamp.authority}, before ? "flag" : "");
  }
  Table order(from.stamps.empty() ? "Order of events. The test is valid only if these hold; dates are the word of those who signed."
                                  : "Order of events. The test is valid only if these hold; dates are the word of those who signed. Stamped: a time stamp of the earlier, whose authority this report does not check, is not after the later either.",
              {{"Earlier", Align::key}, {"Later", Align::key}, {"State", Align::key}, {"Why it matters"}}, "keep");
  for (const Order& row : order_of_events(from)) {
    const bool broken = row.state == Order::State::broken;
    order.row({row.earlier, row.later,
               row.stamped                         ? "in order (stamped)"
               : row.state == Order::State::in_order ? "in order"
               : broken                            ? "NOT in order"
                                                   : "not dated",
               row.why},
              broken ? "flag" : "");
  }
  TimelineFigure line{
      "fig-order", "Order of events", "The events of the case in the order that the test needs, with their dates.", {}};
  const auto short_date = [](const std::string& time) {
    return time.substr(0, std::min<std::size_t>(10, time.size()));
  };
  const auto stated = [&](std::string_view object) {
    const Statement* statement = from.statement(object);
    return statement != nullptr ? short_date(statement->date) : std::string();
  };
  line.events = {{"Key committed", stated("commitment")}, {"Key in force", from.commitment.not_before}};
  if (!from.plan.ledger.empty()) line.events.push_back({"Ledger sealed", stated("ledger")});
  line.events.push_back({"Released", from.suspect.released});
  line.events.push_back({"Plan", short_date(from.plan.date)});
  line.events.push_back({"Collection", short_date(from.transcript.ended)});
  line.events.push_back({"Verdict", short_date(from.verdict.date)});

  return join(h2("s2", "2. Items received, integrity and custody"),
              p("This report was made from the files of one bag and from nothing else. It repeats what they say and "
                "refuses to be made when they contradict each other; it "
                "checks no signature, but that of a time stamp by the certificate in it. Section 9 says how anybody can check every digest and signature, and recompute "
                "the verdict from the raw answers."),
              el("figure", {}, timeline_svg(line),
                 el("figcaption", {}, em("Figure 1. "), "Order of events. An open circle has no date in the bag.")),
              order.html(), files.html(), statements.html(), from.stamps.empty() ? Html() : stamps.html(), p(words::independence(from)));
}

Html section_plan(const Case& from) {
  Table table("Every registered number beside the actual one.",
              {{"What"}, {"Registered"}, {"Actual"}, {"State", Align::key}});
  std::size_t deviations = 0;
  for (const Comparison& row : plan_against_done(from)) {
    const bool differs = row.state == Comparison::State::differs;
    if (differs) ++deviations;
    table.row({row.what, value(row.registered), value(row.actual),
               differs                                         ? "DIFFERS"
               : row.state == Comparison::State::as_registered ? "as registered"
                                                               : "registered only"},
              differs ? "flag" : "");
  }
  const Html verdict =
      deviations == 0
          ? p("No deviation from the plan shows in the numbers that the bag holds.")
          : p(strong(deviations == 1 ? std::string("One number deviates")
                                     : grouped(static_cast<std::uint64_t>(deviations)) + " numbers deviate"),
              " from the plan. Each is marked in the table; the result is to be read with that in mind.");
  return join(
      h2("s4", "4. The plan and what was done"),
      p("The plan was written on ", words::day(from.plan.date),
        ", before the first query. It fixes the prompts (their order follows from its own digest), ",
        "the numbers, the threshold and the stopping rule, so that nothing was left to choose once answers were seen."),
      verdict, table.html());
}

}  // namespace heirmark::report
