// The figures: inline SVG that needs no colour. Every figure has a title and a description for readers who do not see
// it.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "report/html.hpp"

namespace heirmark::report {

struct Point {
  double x = 0, y = 0;
};

/// Growth of evidence: two lines over the number of pairs or contexts, and the threshold.
struct GrowthFigure {
  std::string id, title, description, x_label;
  std::vector<Point> minus_log10_p, log10_e;
  double threshold = 0;  ///< of -log10 p
};
[[nodiscard]] Html growth_svg(const GrowthFigure& figure);

/// Histogram of the decoys' statistics with the live key's own marked. Empty bins between them are cut out when they
/// are many.
struct HistogramFigure {
  std::string id, title, description, x_label;
  double low = 0, width = 1, live = 0;
  std::vector<std::uint64_t> counts;
};
[[nodiscard]] Html histogram_svg(const HistogramFigure& figure);

/// Horizontal bars with a threshold.
struct BarsFigure {
  std::string id, title, description, x_label;
  struct Bar {
    std::string label;
    double value = 0;
    bool strong = false;
  };
  std::vector<Bar> bars;
  double threshold = 0;
};
[[nodiscard]] Html bars_svg(const BarsFigure& figure);

/// Events on a line, in the order given, evenly spaced. `open` ones have no date.
struct TimelineFigure {
  std::string id, title, description;
  struct Event {
    std::string label, date;
  };
  std::vector<Event> events;
};
[[nodiscard]] Html timeline_svg(const TimelineFigure& figure);

}  // namespace heirmark::report
