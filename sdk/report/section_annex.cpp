// Sections 8 and 9: every number, and how to get them again.
#include <array>

#include "report/numbers.hpp"
#include "report/sections.hpp"
#include "report/words.hpp"

namespace heirmark::report {
namespace {

using Align = Table::Align;

Html digest_or(const std::string& hex, std::string_view otherwise) {
  return hex.empty() ? Html(otherwise) : digest(hex);
}

Html plan_table(const Case& from) {
  const Plan& plan = from.plan;
  Table table("Plan and commitment.", {{"Member", Align::key}, {"Value"}}, "compact");
  table.row({"planId", code(plan.plan_id)})
      .row({"attempt", grouped(plan.attempt)})
      .row({"date", plan.date})
      .row({"path", plan.path})
      .row({"keyId", code(plan.key_id)});
  table.row({"profile", plan.profile})
      .row({"scheme", from.commitment.scheme})
      .row({"prf", from.commitment.prf})
      .row({"familySize", grouped(plan.family_size)});
  table.row({"purpose", from.commitment.purpose})
      .row({"notBefore, notAfter", from.commitment.not_before + ", " + from.commitment.not_after});
  table.row({"alpha", plan.alpha.text})
      .row({"multiplicity", grouped(plan.multiplicity)})
      .row({"ledgerResponses", grouped(plan.ledger_responses)});
  table.row({"fitResponses", grouped(plan.fit_responses)})
      .row({"controls", grouped(plan.controls)})
      .row({"stop", plan.stop});
  table.row({"digest of the opening", digest(plan.opening)})
      .row({"digest of the commitment", digest(plan.commitment)})
      .row({"digest of the plan", digest(from.verdict.plan)});
  table.row({"digest of the ledger", digest_or(plan.ledger, "no ledger")})
      .row({"digest of the prompts", digest_or(plan.prompts, "no prompts")});
  table.row({"digest of the suspect’s file", digest(plan.suspect)})
      .row({"digest of the transcript", digest(from.verdict.transcript)});
  return table.html();
}

Html suspect_table(const Case& from) {
  Table table("Suspect and transcript.", {{"Member", Align::key}, {"Value"}}, "compact");
  std::string command;
  for (const std::string& word : from.suspect.command) command += (command.empty() ? "" : " ") + word;
  table.row({"name, as identified", from.suspect.name})
      .row({"name, by its own answer", from.transcript.hello_name})
      .row({"command", code(command)});
  table.row({"vocabulary", grouped(from.suspect.vocab)}).row({"context (tokens)", grouped(from.transcript.context)});
  table.row({"weights, as identified", digest_or(from.suspect.weights, words::kNotStated)})
      .row({"weights, by its own answer", digest_or(from.transcript.weights_digest, words::kNotStated)});
  table.row({"started, ended", from.transcript.started + ", " + from.transcript.ended})
      .row({"queries", grouped(from.transcript.queries)});
  for (const TranscriptFile& file : from.transcript.files)
    table.row({file.path, join(grouped(file.lines), " lines, ", digest(file.sha256))});
  return table.html();
}

Html channel_integers(const Channel& channel) {
  Table table("Channel " + channel.channel + ": every number of the verdict.", {{"Member"}, {"Value", Align::right}},
              "compact");
  table.row({"weight", grouped(channel.weight)})
      .row({"n", grouped(channel.n)})
      .row({"log10_p", minus_sign(channel.log10_p.text)})
      .row({"log10_e", minus_sign(channel.log10_e.text)});
  table.row({"tainted", grouped(channel.tainted)});
  if (channel.text()) {
    table.row({"scheme", channel.scheme})
        .row({"countRule", channel.count_rule})
        .row({"statistic", grouped(std::string_view(channel.statistic))});
    table.row({"positions", grouped(channel.positions)})
        .row({"repeats", grouped(channel.repeats)})
        .row({"off_coin", grouped(channel.off_coin)});
    table.row({"decoys", grouped(channel.decoys)}).row({"log10_p_prf", minus_sign(channel.log10_p_prf.text)});
    table.row(
        {"log10_p_saddlepoint", channel.log10_p_saddlepoint ? minus_sign(channel.log10_p_saddlepoint->text) : "none"});
    table.row({"log10_p_rank", channel.log10_p_rank ? minus_sign(channel.log10_p_rank->text) : "none"});
  } else {
    table.row({"responses", grouped(channel.responses)})
        .row({"issuance", grouped(channel.issuance)})
        .row({"window", grouped(channel.window)});
    if (!channel.alpha.empty())
      table.row({"alpha (fitted)", minus_sign(channel.alpha)}).row({"beta (fitted)", minus_sign(channel.beta)});
  }
  return table.html();
}

/// Rows of `count` groups side by side, filled column by column.
template <class Cells>
Html packed(const std::string& caption, const std::vector<Table::Column>& columns, std::size_t groups, std::size_t size,
            Cells cells) {
  std::vector<Table::Column> all;
  for (std::size_t g = 0; g < groups; ++g) all.insert(all.end(), columns.begin(), columns.end());
  Table table(caption, all, "compact");
  const std::size_t rows = (size + groups - 1) / groups;
  for (std::size_t r = 0; r < rows; ++r) {
    std::vector<Html> row;
    for (std::size_t i = r; i < size; i += rows)
      for (Html& cell : cells(i)) row.push_back(std::move(cell));
    row.resize(all.size());
    table.row(row);
  }
  return table.html();
}

Html growth_table(const Channel& channel) {
  if (channel.growth.empty()) return {};
  return packed(
      "Channel " + channel.channel + ": growth.",
      {{"n", Align::right}, {"log10 p", Align::right}, {"log10 e", Align::right}}, 3, channel.growth.size(),
      [&](std::size_t i) {
        const Growth& step = channel.growth[i];
        return std::vector<Html>{grouped(step.n), minus_sign(step.log10_p.text), minus_sign(step.log10_e.text)};
      });
}

Html histogram_table(const Channel& channel) {
  const Histogram& histogram = channel.histogram;
  if (histogram.counts.empty()) return {};
  return join(packed("Channel c1: decoys by bin of the histogram.", {{"Bin", Align::right}, {"Decoys", Align::right}},
                     4, histogram.counts.size(),
                     [&](std::size_t i) {
                       return std::vector<Html>{std::to_string(i), grouped(histogram.counts[i])};
                     }),
              el("p", {{"class", "note"}}, "Bin i begins at ", grouped(std::string_view(histogram.low)), " + i × ",
                 grouped(std::string_view(histogram.width)), "; the committed key’s statistic is ",
                 grouped(std::string_view(histogram.live)), "."));
}

Html class_statistics(const Channel& channel) {
  if (channel.classes.empty()) return {};
  return packed("Channel c1: statistic by window class.", {{"Class", Align::right}, {"Statistic", Align::right}}, 2,
                channel.classes.size(), [&](std::size_t i) {
                  return std::vector<Html>{grouped(channel.classes[i].number),
                                           grouped(std::string_view(channel.classes[i].statistic))};
                });
}

std::vector<std::string> signature_commands(const Case& from, std::string_view object, std::string_view role) {
  const std::string name = "statements/" + std::string(object) + ".dsse.json",
                    key = "trust/" + std::string(role) + ".pem";
  std::string algorithm;
  for (const PublicKey& candidate : from.keys)
    if (candidate.role == role) algorithm = candidate.algorithm;
  return {"T=$(mktemp -d)",  // a bag with a file more is no valid bag
          "jq -r .payload " + name + " | base64 -d > $T/S",
          "{ printf 'DSSEv1 28 application/vnd.in-toto+json %d ' $(stat -c %s $T/S); cat $T/S; } > $T/pae",
          "jq -r '.signatures[0].sig' " + name + " | base64 -d > $T/sig",
          algorithm == "ECDSA P-256" ? "openssl dgst -sha256 -verify " + key + " -signature $T/sig $T/pae"
                                     : "openssl pkeyutl -verify -pubin -inkey " + key + " -rawin -in $T/pae -sigfile $T/sig",
          "jq -r '.subject[0].digest.sha256' $T/S"};
}

}  // namespace

Html section_annex(const Case& from) {
  Html channels;
  for (const Channel& channel : from.verdict.channels)
    channels.add(h3(words::channel_title(channel.channel)))
        .add(channel_integers(channel))
        .add(class_statistics(channel))
        .add(histogram_table(channel))
        .add(growth_table(channel));
  return join(el("h2", {{"id", "s8"}, {"class", "break"}}, "8. Technical annex"),
              p("Members are named as in the files. Dates and times are UTC."), plan_table(from), suspect_table(from),
              channels);
}

Html section_reproduction(const Case& from) {
  const Statement* statement = from.statement("verdict");
  Html body =
      join(h2("s9", "9. Reproduction"), p("All commands run without a network. BAG stands for the folder of the bag."),
           h3("Everything at once"),
           p("This recomputes every digest, signature and binding, and the whole statistic from the raw answers. It "
             "ends with status 0 and begins with the word VALID. Give the parties’ public keys, obtained from themselves, by --trust "
             "provider=FILE and --trust auditor=FILE, to have the signers checked against them."),
           commands({"heirmark verify BAG"}), h3("Digests, with common tools"),
           commands({"cd BAG && sha256sum -c manifest-sha256.txt", "sha256sum data/verdict.json",
                     "sha256sum data/opening.json"}));
  if (statement != nullptr)
    body.add(p("The second command must print ", digest(statement->sha256), ", the third ",
               digest(from.commitment.digest), " (the digest to which the provider committed)."));
  else
    body.add(p("The verdict is not signed, so this report knows no digest for it; the third command must print ",
               digest(from.commitment.digest), " (the digest to which the provider committed)."));
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 2> kShown{
      {{"verdict", "auditor"}, {"commitment", "provider"}}};
  Html signatures;
  for (const auto& [object, role] : kShown) {
    const Statement* shown = from.statement(object);
    if (shown == nullptr) continue;
    signatures.add(p("The ", role, "’s signature on the ", object, ", in BAG/data; the last line must print ",
                     digest(shown->sha256), ":"));
    signatures.add(commands(signature_commands(from, object, role)));
    signatures.add(p("The ", role, "’s key; this must print ", digest(shown->key_id), ":"));
    signatures.add(commands({"openssl pkey -pubin -in trust/" + std::string(role) + ".pem -outform DER | sha256sum"}));
  }
  if (!signatures.empty())
    body.add(h3("Signatures, with OpenSSL"))
        .add(signatures)
        .add(p("The other statements are checked in the same way: ledger with the provider’s key, plan and transcript "
               "with the auditor’s."));
  if (!from.stamps.empty())
    body.add(h3("Time stamps, with OpenSSL"))
        .add(p("ROOTS stands for the certificates of the authorities that you trust, in one PEM file. For each file of BAG/data/stamps, in BAG/data; it must end with “Verification: OK”. "
               "Behind the end of an authority’s certificate add -attime with a time in seconds at which it was valid, for an intermediate certificate -partial_chain. heirmark does the same with --trust-authority ROOTS, at the time of each stamp."))
        .add(commands({"openssl ts -verify -data statements/" + from.stamps.front().object + ".dsse.json -in " + from.stamps.front().file + " -CAfile ROOTS -auth_level 2",
                       "openssl ts -reply -in " + from.stamps.front().file + " -text"}));
  body.add(h3("With other software"))
      .add(p("The specification and its test vectors are public. A second program written from them must give the file "
             "verdict.json byte for byte, from plan, transcript, opening, ledger and the verdict’s own date."));
  return body;
}

}  // namespace heirmark::report
