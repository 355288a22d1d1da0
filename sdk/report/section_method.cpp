// Sections 3, 6 and 7: the method in plain words, other explanations, limitations.
#include <cmath>

#include "report/numbers.hpp"
#include "report/sections.hpp"
#include "report/words.hpp"

namespace heirmark::report {

Html section_method(const Case& from, const Validation& validation) {
  const Verdict& verdict = from.verdict;
  const bool c1 = verdict.find("c1") != nullptr,
             issued = verdict.find("c2") != nullptr || verdict.find("c3") != nullptr;
  Html channels;
  if (c1)
    channels.add(p(strong("C1, the suspect’s own texts. "),
                   "While the provider’s model wrote, a secret key decided at many places which of several equally "
                   "fitting words was taken, by the words just before. A reader sees ordinary text. A model that "
                   "learns from much of it takes over a trace of these preferences. The suspect is asked to write; at "
                   "each place at which it stands before a run of words for the first time, the key’s number "
                   "for the word that it chose is added up. For a model that never met such text the numbers are draws "
                   "of pure chance, because the key was drawn by chance and told to nobody. The sum’s "
                   "distribution is then known exactly, and so is the probability of a sum at least as large (p from "
                   "the generator)."));
  if (c1 && verdict.find("c1")->decoys > 0)
    channels.add(
        p("Beside it stands a second p-value that assumes nothing of the kind. The commitment fixed a family of ",
          grouped(from.plan.family_size),
          " keys of which one, drawn by lot, was used. The same sum is formed for other keys of the family, the "
          "decoys, and the used key’s rank among them is counted. The larger of the two p-values is "
          "taken."));
  if (issued)
    channels.add(
        p(strong("C2 and C3, contexts of the ledger. "),
          "At other places the key merely took the place of a die: it drew one word among those that the provider’s "
          "model held possible, with exactly their probabilities. The text shows nothing of it, "
          "but the provider kept a record, the ledger, from which the draw can be made again. The suspect is shown "
          "such a response and asked at each place, from what stands before it, ",
          verdict.find("c3") != nullptr ? "how probable it holds the next words" : "for the next word",
          ". A model that was trained on the response prefers the word that was drawn over the others that might as "
          "well have been. Each such preference is a bet at fair odds: if the suspect never met the "
          "response, no way of betting gains in the long run. The gain is the e-value, and p is at most 1/e."));
  Html claims =
      list({join(strong("A signal of key K is present"), " in the suspect’s answers: what the p-value speaks of."),
            join(strong("Its training was influenced"),
                 " by text made under K: follows if the order of events holds and the explanations of section 6 are "
                 "set aside."),
            join(strong("The text came from an account"), ": only where the ledger names it (section 5)."),
            join(strong("Intent or breach"), ": never claimed.")},
           true);
  return join(
      h2("s3", "3. Method"), h3("The question put to the numbers"),
      p("The null hypothesis is: ",
        em("the key K has nothing to do with the suspect, nor with any choice that the auditor made."),
        " Whoever trained the suspect without text made under K could not know K; and the auditor "
        "did not know it while asking. If the null hypothesis is true, the test’s numbers behave like draws from a "
        "known lottery, whatever the suspect is like, whatever it was asked, and however its texts look."),
      channels, h3("From the channels to one number"),
      p("Each channel has a weight, registered beforehand; the weights sum to 1. The headline p is the least p of a "
        "channel divided by its weight, times the multiplicity m. The finding “supports H1 over H2” is made if the "
        "headline p is at most "
        "alpha = ",
        verdict.alpha.text, " and no control key reaches alpha."),
      h3("Error rates"),
      p(strong("False support. "),
        "If the null hypothesis is true, the finding “supports” is made in at most 1 audit in ",
        one_in(std::log10(verdict.alpha.value)),
        ". This follows from the mathematics, for every suspect and every choice of prompts. ",
        words::strength_cap(validation)),
      p(strong("Missed influence. "),
        "There is no general bound: it depends on how much of the text was used, and how. ",
        c1 ? words::detectable(from, *verdict.find("c1")) : std::string(),
        " Hence a result without a signal is never read as the absence of influence."),
      h3("What may be claimed, from weakest to strongest"), claims, h3("Where the method is written down"),
      p("The method is ", code(verdict.method), " with the profile ", code(from.plan.profile),
        ". Its specification (keys, mark, scoring, statistics, files) is public and suffices to write the test anew "
        "without this software."));
}

Html section_alternatives(const Case& from) {
  Table table("Other explanations of a result like this one.", {{"Explanation"}, {"State"}, {"By what"}});
  for (const auto& row : words::alternatives(from)) table.row({row.explanation, row.status, row.how});
  Html silent;
  if (from.verdict.outcome != Outcome::supports) {
    std::vector<Html> reasons;
    for (const std::string& reason : words::silent_reasons()) reasons.push_back(reason);
    silent = join(h3("Why a model that was influenced can show nothing"), list(reasons));
  }
  return join(h2("s6", "6. Other explanations"),
              p("“Tested” means that this audit would have shown it; “excluded” means that the way of testing leaves "
                "no room for it; “not tested” means that it must be weighed on other evidence."),
              table.html(), silent);
}

Html section_limitations(const Case& from) {
  std::vector<Html> limits, changes;
  for (const std::string& text : words::limitations(from)) limits.push_back(text);
  for (const std::string& text : words::would_change(from)) changes.push_back(text);
  return join(h2("s7", "7. Limitations, and what would change the opinion"), list(limits),
              h3("What would change the opinion"), list(changes));
}

}  // namespace heirmark::report
