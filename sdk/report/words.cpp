#include "report/words.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "report/html.hpp"
#include "report/numbers.hpp"

namespace heirmark::report::words {
namespace {
std::string quoted(const std::string& name) { return "“" + clipped(name, 60) + "”"; }
bool undated(const Case& from) { return from.suspect.released.empty(); }
std::string count_of(std::size_t n, const std::string& one, const std::string& many) {
  return (n == 1 ? "one " + one : grouped(static_cast<std::uint64_t>(n)) + " " + many);
}
}  // namespace

std::string key_name(const Case& from) { return from.plan.path; }

std::string question(const Case& from) {
  return "Was the language model " + quoted(from.suspect.name) +
         " influenced, in its training, by text that was made under the secret key K = " + key_name(from) +
         " (key id " + from.plan.key_id + ")?";
}

std::string finding(const Case& from) {
  switch (from.verdict.outcome) {
    case Outcome::supports:
      return "The findings support H1 over H2.";
    case Outcome::inconclusive:
      return "The findings are inconclusive.";
    case Outcome::does_not_support:
      return "The findings do not support H1 over H2.";
  }
  return {};
}

std::string answer(const Case& from) {
  switch (from.verdict.outcome) {
    case Outcome::supports: {
      const std::string zeros = zeros_in_words(from.verdict.log10_p.value);
      return "If the model had not been influenced by text carrying key K, a result this extreme would be expected at "
             "most 1 time in " +
             one_in(from.verdict.log10_p.value) + (zeros.empty() ? "" : " (" + zeros + ")") +
             ", however the auditor, not knowing the key, chose prompts or stopped.";
    }
    case Outcome::inconclusive:
      return "There is no reliable signal; this does not show that the model was not distilled.";
    case Outcome::does_not_support:
      return "The result for key K reaches the registered threshold, but so does the result for " +
             count_of(controls_reached(from.verdict), "control key", "control keys") +
             " under which no text was ever made. The signal is therefore not one of key K, and no weight can be put "
             "on it.";
  }
  return {};
}

std::string answer_note(const Case& from) {
  const std::vector<Order> orders = order_of_events(from);
  const auto any = [&](Order::State state) {
    return std::any_of(orders.begin(), orders.end(), [&](const Order& order) { return order.state == state; });
  };
  const std::vector<Comparison> compared = plan_against_done(from);
  const bool deviates = std::any_of(compared.begin(), compared.end(),
                                    [](const Comparison& row) { return row.state == Comparison::State::differs; });
  const std::string plan = deviates ? " What was done differs from the registered plan (section 4)." : "";
  switch (from.verdict.outcome) {
    case Outcome::supports: {
      const std::string dates = any(Order::State::broken) ? " The dates on record are NOT in order (section 2): "
                                                            "unless this is explained, the sentence does not hold."
                                : any(Order::State::undated)
                                    ? " Not every date that this needs is on record (section 2)."
                                    : " The dates on record are in order (section 2), the model’s release standing for the end of "
                                      "its training, of which no date is on record.";
      return "The sentence rests on this: K was committed before the model was trained, " +
             std::string(from.verdict.find("c1") != nullptr ? "prompts were chosen by nobody who knew K, " : "") + "and K was opened to the auditor only after the model’s answers had been sealed." +
             dates + plan;
    }
    case Outcome::inconclusive:
      return (from.verdict.log10_p.value > std::log10(0.5)
                  ? std::string("A result like this one is nothing unusual when there was no influence (p = ") +
                        from_log10(from.verdict.log10_p.value) + ")"
                  : "A result at least this extreme would arise by chance up to 1 time in " +
                        one_in(from.verdict.log10_p.value)) +
             "; the threshold registered beforehand was 1 time in " + one_in(std::log10(from.verdict.alpha.value)) +
             "." + plan;
    case Outcome::does_not_support:
      return "A cause that acts on several keys alike is at work: for example a fault of software, or text that was "
             "chosen with the keys at hand. Section 5 "
             "shows the controls, section 6 what was tested." +
             plan;
  }
  return {};
}

std::vector<std::string> does_not_mean(const Case& from) {
  switch (from.verdict.outcome) {
    case Outcome::supports:
      return {
          "It is not the probability that H2 is true, nor that the model’s maker is innocent or guilty. A p-value is "
          "not a likelihood ratio.",
          "It says nothing about intent, knowledge, authorship, or breach of any contract or law, and nothing about "
          "who collected the text.",
          "It does not show that every output was used, how much was used, or that the model’s abilities come from "
          "it."};
    case Outcome::inconclusive:
      return {"It does not clear the model: the absence of a signal alone is no evidence that H2 is true.",
              "It does not say that an influence would have been seen. A weak one, or one that was rewritten or "
              "filtered, can stay below what this test can see.",
              "It says nothing about other keys, other months, or other models of the same maker."};
    case Outcome::does_not_support:
      return {"It does not show that the model was trained on text made under key K.",
              "It does not show the opposite either: the absence of support alone is no evidence that H2 is true.",
              "It says nothing about intent, or about who caused the signal that several keys share."};
  }
  return {};
}

std::string strength_cap(const Validation& validation) {
  if (validation.null_audits == 0)
    return "No validation study is recorded for this version of the method. N null audits without a false positive "
           "would support only an error rate of 3/N; "
           "with no such audits on record, no degree is put into words.";
  std::string text = "N null audits of which none reaches a level support only an error rate of 3/N there. On record are N = " + grouped(validation.null_audits) +
                     (validation.simulated ? " simulated" : "") + " null audits (" + std::string(validation.record) +
                     "). Their headline p was at most ";
  for (std::size_t i = 0; i < validation.levels.size(); ++i) {
    const Validation::Level& level = validation.levels[i];
    text += std::string(i == 0 ? "" : i + 1 == validation.levels.size() ? " and " : ", ") + "1 in " + one_in(level.log10_alpha) + " in " +
            (level.reached == 0 ? std::string("none") : grouped(level.reached)) + " of them";
  }
  text += "; the words use the 95 % bound on the rate at the least of these levels that p reaches, however small p is.";
  if (!validation.simulated) return text;
  return text +
         " Simulated means: the audits were whole, from plan to verdict, but small, and programs stood in the place of provider "
         "and suspect. They test mathematics and software. They do not test custody, the way to a real model, or people, and no "
         "number of them carries words beyond “strong support”.";
}

std::string strength(const Case& from, const Validation& validation) {
  switch (from.verdict.outcome) {
    case Outcome::inconclusive:
      return "none: inconclusive";
    case Outcome::does_not_support:
      return "none: the controls show the signal as well";
    case Outcome::supports:
      break;
  }
  if (validation.null_audits == 0)
    return "supports H1 over H2; no degree is stated, because no validation study is on record (section 10)";
  const double log10_p = from.verdict.log10_p.value;
  const Strength reached = verbal_strength(from.verdict, validation);
  const std::string audits = grouped(validation.null_audits) + (validation.simulated ? " simulated null audits" : " null audits");
  for (const Rung& rung : scale()) {
    if (rung.strength != reached) continue;
    const std::string words = std::string(rung.words) + " for H1 over H2 (scale in section 10; ";
    if (log10_validated_rate(validation, log10_p) <= log10_p)
      return words + "not capped by validation, which is " + audits + ")";
    const std::uint64_t seen = level_for(validation, log10_p)->reached;
    return words + "capped by validation: " +
           (seen == 0 ? "none of " + audits + " reached 1 in " + one_in(level_for(validation, log10_p)->log10_alpha) + ", which supports only 3/" + grouped(validation.null_audits)
                      : count_of(seen, "false positive", "false positives") + " in " + audits + " supports only a rate of 1 in " +
                            one_in(log10_validated_rate(validation, log10_p))) +
           ")";
  }
  return "supports H1 over H2; the validation on record is too small to state a degree (section 10)";
}

std::string attempts(const Case& from) {
  const std::uint64_t attempt = from.plan.attempt, m = from.plan.multiplicity;
  std::string text = "This is attempt " + grouped(attempt) + " on this suspect, as the auditor states in the plan; there is no register to compare with. ";
  if (attempt > 1)
    text += "The results of " + count_of(attempt - 1, "earlier attempt", "earlier attempts") +
            " are not in this bag and should be asked for. ";
  return text + (m == 1 ? "The multiplicity is m = 1: p is not divided among several tries."
                        : "The multiplicity is m = " + grouped(m) +
                              ": p was multiplied, and e divided, by it, to pay for all attempts and keys.");
}

std::string independence(const Case& from) {
  const std::string provider = from.signer_key("provider"), auditor = from.signer_key("auditor");
  if (!provider.empty() && provider == auditor)
    return "Provider and auditor signed with the same key: the audit was not made by an independent party.";
  return "Keys show who signed, not who is behind a key, nor that the auditor is independent of the provider.";
}

std::string channel_title(std::string_view channel) {
  if (channel == "c1") return "C1, texts that the suspect wrote";
  if (channel == "c2") return "C2, tokens that the suspect drew in contexts of the ledger";
  return "C3, the suspect’s log-probabilities in contexts of the ledger";
}

std::string control_result(const Case& from) {
  const std::size_t reached = controls_reached(from.verdict), all = from.verdict.controls.size();
  if (all == 0)
    return "No control key was registered. Whether the same computation stays silent for a key that was never used was "
           "not tested in this case.";
  if (reached == 0)
    return (all == 1 ? std::string("The control key")
                     : "None of the " + grouped(static_cast<std::uint64_t>(all)) + " control keys") +
           (all == 1 ? " does not reach the threshold." : " reaches the threshold.");
  return grouped(static_cast<std::uint64_t>(reached)) + " of " +
         count_of(all, "control key reaches", "control keys reach") +
         " the threshold. Such a signal is not one of key K.";
}

std::string day(const std::string& time) {
  static constexpr std::array<std::string_view, 12> kMonths{"January",   "February", "March",    "April",
                                                            "May",       "June",     "July",     "August",
                                                            "September", "October",  "November", "December"};
  if (time.size() < 10) return time;
  const int month = (time[5] - '0') * 10 + (time[6] - '0');
  if (month < 1 || month > 12) return time;
  std::string text = time[8] == '0' ? time.substr(9, 1) : time.substr(8, 2);
  text += " " + std::string(kMonths[static_cast<std::size_t>(month - 1)]) + " " + time.substr(0, 4);
  if (time.size() >= 16) text += ", " + time.substr(11, 5) + " UTC";
  return text;
}

std::string detectable(const Case& from, const Channel& c1) {
  const double r = detectable_influence(from.verdict, c1);
  const std::string lead =
      "As a planning figure, for text of middling predictability (a mean entropy of 1.1 nats per token): ";
  if (r > 1)
    return lead + "with " + grouped(c1.n) +
           " pairs even a suspect trained on nothing but marked text could have stayed below the threshold of this "
           "channel.";
  return lead + "with " + grouped(c1.n) +
         " pairs this channel shows, in 9 audits of 10, an influence whose inherited strength times share of the "
         "training text is " +
         fixed(r, r < 0.1 ? 3 : 2) + " or more (1 would be the whole strength of the mark). Less can stay unseen.";
}

std::vector<Alternative> alternatives(const Case& from) {
  const Verdict& verdict = from.verdict;
  const Channel* c1 = verdict.find("c1");
  const bool issued = verdict.find("c2") != nullptr || verdict.find("c3") != nullptr;
  // C2 and C3 leave out the same contexts of the ledger.
  std::uint64_t tainted = 0, tainted_issued = 0;
  for (const Channel& channel : verdict.channels) (&channel == c1 ? tainted : tainted_issued) = channel.tainted;
  tainted += tainted_issued;
  std::vector<Alternative> rows;
  rows.push_back({"Chance", "Tested",
                  verdict.outcome != Outcome::inconclusive
                      ? "Expected at most 1 time in " + one_in(verdict.log10_p.value) +
                            "; the registered threshold was 1 in " + one_in(std::log10(verdict.alpha.value)) + "."
                      : "Not excluded: chance alone gives as much or more with probability p = " +
                            from_log10(verdict.log10_p.value) + " at most."});
  rows.push_back({"Choice of key or stopping by the accuser", "Excluded by the plan",
                  "Key committed, plan registered and seed fixed before the first query; p is multiplied by m = " +
                      grouped(verdict.multiplicity) + "."});
  if (c1 != nullptr)
    rows.push_back({"Choice of prompts by somebody who knew the key", "Not tested",
                    "The order of the prompts follows from the plan’s digest, the prompts themselves do not: whoever knew the key and chose them could make chance look like a signal. Ask where they come from."});
  rows.push_back({"Echo of the prompts", "Excluded by the count",
                  "Places that a prompt had shown to the suspect are never counted (" + grouped(tainted) + " were left out)." +
                      (issued ? " The record’s responses are asked about as a whole, so an answer must not depend on the word that it is about: the program that asks refuses a suspect of which it finds that it does, but the bag holds no record of it." : "")});
  rows.push_back({"A service that hands questions on to the provider’s own model, or looks marked text up when it answers", "Not tested",
                  "Such answers carry the signal though nothing was trained. The test shows a signal in the answers of the suspect as it was asked."});
  rows.push_back({"Public contamination: marked text that reached the training by way of the open web", "Not tested",
                  "The test sees that text of key K had influence, not on which way it came."});
  rows.push_back({"An intermediate model, itself trained on the marked text", "Not tested",
                  issued ? "Would have to carry the choices at single places of the ledger from one model to the next; "
                           "possible in principle."
                         : "Influence may be passed on from model to model; this audit cannot tell the steps apart."});
  rows.push_back({"Spoofing: somebody imitates the mark to incriminate",
                  issued ? "Excluded for C2 and C3, if key and ledger were secret" : "Not tested",
                  issued ? "Choices at places of the ledger cannot be imitated without the ledger and the key. Marked "
                           "windows (C1) could be imitated by whoever studied much marked text."
                         : "Marked windows could be imitated by whoever studied much marked text of the same month."});
  rows.push_back({"Leak of the key, or use of it before the transcript was sealed", "Not tested",
                  "Rests on the provider’s custody and on the signed order of events (section 2). A bag cannot show "
                  "who knew the key."});
  rows.push_back(
      {"Transcript altered or invented", "Not tested",
       from.statement("transcript") != nullptr
           ? "The auditor signed it as complete; asking the suspect again, under the same plan, would test it."
           : "The transcript is not signed. Asking the suspect again, under the same plan, would test it."});
  std::string software = verdict.controls.empty() ? "No control keys were run. " : control_result(from) + " ";
  if (c1 != nullptr && c1->log10_p_rank)
    software += "The decoys’ ranks assume nothing about the generator or the count. ";
  rows.push_back({"Fault of the software",
                  verdict.controls.empty() && (c1 == nullptr || !c1->log10_p_rank) ? "Not tested" : "Tested",
                  software + "Everything can be recomputed (section 9), with other software too."});
  return rows;
}

std::vector<std::string> silent_reasons() {
  return {"the marked text was a small share of the training text, or was seen only once;",
          "it was paraphrased, translated, filtered or mixed with other text before the training;",
          "it was made under another key, in another month, or by requests that were not marked;",
          "the suspect is small, or was trained on much else afterwards;",
          "too few tokens were collected for an influence of that strength."};
}

namespace {
/// What is known of the dates, and from whom.
std::string dates_rest_on(const Case& from) {
  std::string without;
  for (const Statement& statement : from.statements)
    if (statement.object != "verdict" && from.stamped(statement.object).empty()) without += (without.empty() ? "" : ", ") + statement.object;
  if (from.stamps.empty()) return "Dates are the word of those who signed: no time stamp of a third party is in the bag.";
  return (without.empty() ? "Time stamps say when each statement existed at the latest; "
                          : "Time stamps say when a statement existed at the latest, but not for " + without + ", whose dates are the word of those who signed; ") +
         std::string("later events, such as the release, the first query and the verdict, are dated by the parties alone. Who the authorities are, and whether their certificates had been revoked, this report does not check.");
}
}  // namespace

std::vector<std::string> limitations(const Case& from) {
  std::vector<std::string> items;
  items.push_back(dates_rest_on(from));
  if (undated(from))
    items.push_back(
        "No release date of the suspect is stated. That the key was committed before the suspect was trained must be "
        "shown by other means; without it the answer does not hold.");
  if (from.statements.size() < (from.plan.ledger.empty() ? 4u : 5u))
    items.push_back("Not every object is signed (section 2). What is not signed rests on whoever handed over the bag.");
  items.push_back(
      "The generator behind the mark (XChaCha20 under HMAC-SHA-256 keys) is taken to be indistinguishable from chance "
      "to whoever lacks the key.");
  items.push_back(
      "That the key was unknown to the auditor while the suspect was asked rests on the provider’s log of openings, "
      "which is not in the bag.");
  items.push_back(
      "The suspect’s answers are taken as the auditor recorded them. That they came from the model at issue, and not "
      "from another, is a matter of custody.");
  if (from.suspect.weights.empty())
    items.push_back("The suspect is identified by name and interface only; no digest of its weights is on record.");
  if (from.verdict.find("c1") == nullptr) items.push_back("The suspect’s own texts were not tested (no channel C1).");
  if (from.verdict.find("c2") == nullptr && from.verdict.find("c3") == nullptr)
    items.push_back("No ledger was used: nothing can be said about accounts.");
  items.push_back("The rate of missed influences is not known in general: it depends on how the text was used.");
  return items;
}

std::vector<std::string> would_change(const Case& from) {
  std::vector<std::string> items{
      "evidence that the commitment was made after the suspect had been trained, or that the key was known to others "
      "before the transcript was sealed;",
      "a recomputation (section 9) that does not give the same verdict, byte for byte;",
      "attempts on the same suspect that were not registered, or a multiplicity that is too small;"};
  if (from.verdict.outcome == Outcome::supports) {
    items.push_back(
        "a model that is known not to have met the text and yet gives a comparable result under the same plan;");
    items.push_back(
        "proof that marked text of this key was published, for the question by which way the text came (not for H1 "
        "itself).");
  } else {
    items.push_back(
        "a new plan with more tokens, with the ledger’s contexts, or with the suspect’s log-probabilities;");
    items.push_back("a test under the keys of other months in which text may have been collected.");
  }
  return items;
}

const std::vector<Rung>& scale() {
  static const std::vector<Rung> rungs{{Strength::very_strong, "very strong support", "1 in 1,000,000 or less"},
                                       {Strength::strong, "strong support", "1 in 10,000 or less"},
                                       {Strength::moderate, "moderate support", "1 in 1,000 or less"},
                                       {Strength::limited, "limited support", "1 in 100 or less"}};
  return rungs;
}

const std::vector<Term>& glossary() {
  static const std::vector<Term> terms{
      {"account", "A customer’s account in the ledger, by the provider’s name for it."},
      {"alpha", "The threshold registered before the first query: the greatest p-value that counts as support."},
      {"attempt", "An audit of the same suspect. Each has a number, which the auditor states; results of all count."},
      {"bag", "The folder that holds all evidence with a list of digests (BagIt, RFC 8493)."},
      {"commitment", "A public digest that fixes a secret key before it is used, without showing it."},
      {"control key", "A key of the same family under which no text was made, put through the whole computation."},
      {"decoy",
       "Likewise a key that was never used. Thousands of them show what the statistic does without any influence."},
      {"digest",
       "SHA-256 of a file’s bytes, 64 hexadecimal digits. Another file with the same digest is not known to be "
       "findable."},
      {"e-value",
       "The gain of a bet against H2 that is fair if H2 is true. A gain of 1,000,000 from 1 has a chance of at most 1 "
       "in 1,000,000, whenever one stops."},
      {"H1, H2",
       "The propositions compared, as registered in the plan. The null hypothesis belongs to H2: the key had nothing "
       "to do with the suspect."},
      {"issuance mark",
       "The key’s own random choice at a place of a response, of which the text shows no trace; the ledger lets it be "
       "recomputed."},
      {"ledger", "The provider’s record of the responses it issued."},
      {"log10", "The power of ten: log10 of 0.001 is −3. Used because the numbers are very small or very large."},
      {"multiplicity m", "The number of attempts and keys that p must pay for: p is multiplied by it."},
      {"opening", "The secret behind a commitment. With it anyone can recompute the test; the key is retired then."},
      {"p-value",
       "The greatest probability, if the null hypothesis is true, of a result at least this extreme. It is not the "
       "probability of a proposition, and it is not a likelihood ratio."},
      {"pair", "A window together with the group of tokens from which the next token came; each is counted once."},
      {"plan", "The registered rules of the test: key, prompts, numbers, threshold, stopping."},
      {"suspect", "The model that is tested. The word implies nothing."},
      {"taint", "The rule that leaves out every place at which the suspect could have copied what a prompt showed it."},
      {"token", "The unit in which language models write: a word or a part of one."},
      {"transcript", "Every question put to the suspect and every answer, sealed before the key is opened."},
      {"window mark",
       "The key’s random preference after a given run of tokens. A model that learns from such text takes over a trace "
       "of it."}};
  return terms;
}

}  // namespace heirmark::report::words
