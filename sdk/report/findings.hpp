// What follows from the case by arithmetic or comparison: the headline step by step, the plan against what was done,
// the order of events, the strength in words.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "report/case.hpp"

namespace heirmark::report {

/// The headline p of a verdict, computed again from its channels.
struct Headline {
  struct Step {
    const Channel* channel;
    double log10_share;
    double log10_p_over_share;
  };
  std::vector<Step> steps;
  std::size_t least = 0;  ///< index of the channel with the least p / omega
  double log10_multiplicity = 0, log10_p = 0, log10_e = 0;
};
[[nodiscard]] Headline headline(const Verdict& verdict);

/// -log10 p that a channel needs for the headline to reach alpha by that channel alone.
[[nodiscard]] double channel_threshold(const Verdict& verdict, const Channel& channel);
/// log10 e at which an account is named.
[[nodiscard]] double account_threshold(const Verdict& verdict, const Channel& channel);
/// Number of controls whose headline p reaches alpha.
[[nodiscard]] std::size_t controls_reached(const Verdict& verdict);

/// An error unless the verdict's numbers give its outcome: a report never says more than its numbers.
[[nodiscard]] Result<void> check_consistency(const Case& from);

/// A registered number beside the actual one.
struct Comparison {
  std::string what, registered, actual;
  enum class State : unsigned char { as_registered, differs, not_comparable } state = State::as_registered;
};
[[nodiscard]] std::vector<Comparison> plan_against_done(const Case& from);

/// Two events that must stand in this order.
struct Order {
  std::string earlier, later;
  enum class State : unsigned char { in_order, broken, undated } state = State::in_order;
  std::string why;  ///< what rests on it
  bool stamped = false;  ///< in order, and by a time stamp of the earlier too, not by its signer's word alone
};
[[nodiscard]] std::vector<Order> order_of_events(const Case& from);

/// A study of the whole procedure on audits in which H2 was known to be true (specs/report.md, "Scale").
struct Validation {
  struct Level {
    double log10_alpha;     ///< a level that was counted
    std::uint64_t reached;  ///< in so many of the audits the headline p was at most that
  };
  std::uint64_t null_audits = 0;  ///< how many there were; 0: no study is recorded
  bool simulated = false;         ///< the suspects were programs made for the study, not models that somebody trained and served
  std::string_view record;        ///< where the study's record stands
  std::span<const Level> levels;  ///< from the greatest to the least
};
/// The study that is recorded for the method of a verdict.
[[nodiscard]] Validation validation_of(std::string_view method) noexcept;
/// 95 % upper bound on a rate of which `seen` cases were met in `n` (at least 1) audits: 3/n for none, Clopper and Pearson's for more.
[[nodiscard]] double rate_bound(std::uint64_t n, std::uint64_t seen);
/// The least level of the study that is not below p: what was counted there bears on p. nullptr if there is none.
[[nodiscard]] const Validation::Level* level_for(const Validation& validation, double log10_p);
/// log10 of the error rate that the study supports for a headline p; 0 if it supports none.
[[nodiscard]] double log10_validated_rate(const Validation& validation, double log10_p);

enum class Strength : unsigned char { none, limited, moderate, strong, very_strong };
[[nodiscard]] Strength verbal_strength(const Verdict& verdict, const Validation& validation);

/// Planning figure: least r = inheritance times share that C1 would have shown with 90 % probability; above 1 nothing
/// would.
[[nodiscard]] double detectable_influence(const Verdict& verdict, const Channel& c1);

}  // namespace heirmark::report
