#include "report/svg.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "report/numbers.hpp"

namespace heirmark::report {
namespace {

constexpr double kWidth = 680;

/// A coordinate with one decimal: the same bytes everywhere.
std::string at(double value) {
  std::array<char, 64> buffer{};
  const double rounded = std::round(value * 10) / 10;
  const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), rounded == 0 ? 0.0 : rounded,
                                          std::chars_format::fixed, 1);
  return error == std::errc() ? std::string(buffer.data(), end) : "0";
}

Html line(double x1, double y1, double x2, double y2, std::string css) {
  return el("line", {{"x1", at(x1)}, {"y1", at(y1)}, {"x2", at(x2)}, {"y2", at(y2)}, {"class", std::move(css)}});
}
Html rect(double x, double y, double width, double height, std::string css) {
  return el("rect",
            {{"x", at(x)}, {"y", at(y)}, {"width", at(width)}, {"height", at(height)}, {"class", std::move(css)}});
}
Html label(double x, double y, std::string anchor, std::string css, const Html& text) {
  return el("text", {{"x", at(x)}, {"y", at(y)}, {"text-anchor", std::move(anchor)}, {"class", std::move(css)}}, text);
}
Html polyline(const std::vector<Point>& points, std::string css) {
  std::string text;
  for (const Point& point : points) text += (text.empty() ? "" : " ") + at(point.x) + "," + at(point.y);
  return el("polyline", {{"points", text}, {"class", std::move(css)}});
}

Html frame(const std::string& id, const std::string& title, const std::string& description, double height,
           const Html& content) {
  return el("svg",
            {{"viewBox", "0 0 " + at(kWidth) + " " + at(height)},
             {"role", "img"},
             {"aria-labelledby", id + "-t " + id + "-d"}},
            el("title", {{"id", id + "-t"}}, title), el("desc", {{"id", id + "-d"}}, description), content);
}

/// Round steps: about `count` of them between low and high.
double tick_step(double low, double high, int count) {
  // A step is never lost in the size of the numbers it is added to: a loop over ticks ends.
  const double least = std::max(1e-9, 1e-9 * std::max(std::abs(low), std::abs(high)));
  const double raw = std::max(high - low, least) / count;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  for (const double factor : {1.0, 2.0, 5.0, 10.0})
    if (raw <= factor * power * 1.0000001) return factor * power;
  return 10 * power;
}
std::string tick_text(double value, double step) {
  const int decimals = step >= 1 ? 0 : static_cast<int>(std::ceil(-std::log10(step) - 1e-9));
  return decimals > 0 ? fixed(value, decimals) : whole(value);
}

struct Scale {
  double low, high, from, to;
  [[nodiscard]] double operator()(double value) const { return from + (value - low) / (high - low) * (to - from); }
};

/// Labels beside the ends of lines, moved apart so that none covers another.
void spread(std::vector<double>& wanted, double gap, double top, double bottom) {
  std::vector<std::size_t> order(wanted.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return wanted[a] != wanted[b] ? wanted[a] < wanted[b] : a < b; });
  double last = top - gap;
  for (const std::size_t i : order) last = wanted[i] = std::max(wanted[i], last + gap);
  double next = bottom + gap;
  for (auto i = order.rbegin(); i != order.rend(); ++i) next = wanted[*i] = std::min(wanted[*i], next - gap);
}

}  // namespace

Html growth_svg(const GrowthFigure& figure) {
  constexpr double kHeight = 232, kLeft = 52, kRight = 548, kTop = 14, kBottom = 188;
  double low = 0, high = figure.threshold, last = 1;
  for (const auto* series : {&figure.minus_log10_p, &figure.log10_e})
    for (const Point& point : *series) {
      low = std::min(low, point.y);
      high = std::max(high, point.y);
      last = std::max(last, point.x);
    }
  const double step = tick_step(low, high, 5);
  low = std::floor(low / step) * step;
  high = std::ceil(high * 1.02 / step) * step;
  const Scale x{0, last, kLeft, kRight}, y{low, high, kBottom, kTop};

  Html content;
  for (double tick = low; tick <= high + step / 2; tick += step) {
    content.add(line(kLeft, y(tick), kRight, y(tick), std::abs(tick) < step / 2 ? "axis" : "grid"));
    content.add(label(kLeft - 8, y(tick) + 4, "end", "tick", tick_text(tick, step)));
  }
  const double x_step = std::max(1.0, tick_step(0, last, 5));
  for (double tick = 0; tick <= last; tick += x_step) {
    content.add(line(x(tick), kBottom, x(tick), kBottom + 5, "axis"));
    content.add(label(x(tick), kBottom + 19, "middle", "tick", tick_text(tick, x_step)));
  }
  content.add(line(kLeft, kTop, kLeft, kBottom, "axis"));
  content.add(label((kLeft + kRight) / 2, kHeight - 8, "middle", "axis-name", figure.x_label));
  content.add(line(kLeft, y(figure.threshold), kRight, y(figure.threshold), "threshold"));

  const auto draw = [&](const std::vector<Point>& series, bool round) {
    std::vector<Point> points{{x(0), y(0)}};
    for (const Point& point : series) points.push_back({x(point.x), y(point.y)});
    content.add(polyline(points, round ? "line-p" : "line-e"));
    const std::size_t every = std::max<std::size_t>(1, series.size() / 8);
    for (std::size_t i = points.size(); i-- > 1;) {
      if ((points.size() - 1 - i) % every != 0) continue;
      if (round) {
        content.add(el("circle", {{"cx", at(points[i].x)}, {"cy", at(points[i].y)}, {"r", "3.2"}, {"class", "dot-p"}}));
      } else {
        content.add(rect(points[i].x - 3, points[i].y - 3, 6, 6, "dot-e"));
      }
    }
    return points.back();
  };
  const Point end_e = draw(figure.log10_e, false), end_p = draw(figure.minus_log10_p, true);
  std::vector<double> places{end_p.y, end_e.y, y(figure.threshold)};
  spread(places, 16, kTop, kBottom);
  const auto name = [&](double from, double place, const Html& text) {
    content.add(line(kRight + 4, from, kRight + 14, place, "leader"));
    content.add(label(kRight + 18, place + 4, "start", "series", text));
  };
  name(end_p.y, places[0], join("●  −log₁₀ p"));
  name(end_e.y, places[1], join("□  log₁₀ e"));
  name(y(figure.threshold), places[2], join("threshold ", fixed(figure.threshold, 1)));
  return frame(figure.id, figure.title, figure.description, kHeight, content);
}

Html histogram_svg(const HistogramFigure& figure) {
  constexpr double kHeight = 236, kLeft = 52, kRight = 648, kTop = 40, kBottom = 190;
  std::size_t first = figure.counts.size(), last = 0;
  std::uint64_t most = 1;
  for (std::size_t i = 0; i < figure.counts.size(); ++i) {
    if (figure.counts[i] == 0) continue;
    first = std::min(first, i);
    last = i;
    most = std::max(most, figure.counts[i]);
  }
  if (first > last) first = last = 0;
  const double from = figure.low + static_cast<double>(first) * figure.width;
  const double to = figure.low + static_cast<double>(last + 1) * figure.width;
  const double span = std::max({to - from, figure.width, 1e-9 * std::max(std::abs(from), std::abs(figure.live))});
  // The live key stands far right (or left) of every decoy: cut the axis.
  const bool right = figure.live > to + 0.35 * span, left = figure.live < from - 0.35 * span;
  const double pad = 0.04 * span;
  const double near_left = left ? kLeft + 150 : kLeft, near_right = right ? kRight - 150 : kRight;
  const Scale x{std::min(from, left ? from : figure.live) - pad, std::max(to, right ? to : figure.live) + pad,
                near_left, near_right};
  const double live_x = right ? kRight - 50 : left ? kLeft + 50 : x(figure.live);
  const double step_y = std::max(1.0, tick_step(0, static_cast<double>(most), 3));
  const double top_value = std::ceil(static_cast<double>(most) / step_y) * step_y;
  const Scale y{0, top_value, kBottom, kTop};

  Html content;
  content.add(el("defs", {},
                 el("pattern",
                    {{"id", figure.id + "-hatch"},
                     {"width", "5"},
                     {"height", "5"},
                     {"patternUnits", "userSpaceOnUse"},
                     {"patternTransform", "rotate(45)"}},
                    rect(0, 0, 5, 5, "hatch-ground"), line(0, 0, 0, 5, "hatch"))));
  for (double tick = 0; tick <= top_value + step_y / 2; tick += step_y) {
    content.add(line(kLeft, y(tick), kRight, y(tick), tick == 0 ? "axis" : "grid"));
    content.add(label(kLeft - 8, y(tick) + 4, "end", "tick", tick_text(tick, step_y)));
  }
  for (std::size_t i = first; i <= last && i < figure.counts.size(); ++i) {
    if (figure.counts[i] == 0) continue;
    const double a = x(figure.low + static_cast<double>(i) * figure.width),
                 b = x(figure.low + static_cast<double>(i + 1) * figure.width);
    const double top = std::min(y(static_cast<double>(figure.counts[i])), kBottom - 1.5);
    content.add(el("rect", {{"x", at(a)},
                            {"y", at(top)},
                            {"width", at(std::max(b - a - 0.6, 1.0))},
                            {"height", at(kBottom - top)},
                            {"fill", "url(#" + figure.id + "-hatch)"},
                            {"class", "bar"}}));
  }
  const double x_step = tick_step(x.low, x.high, 4);
  for (double tick = std::ceil(x.low / x_step) * x_step; tick <= x.high; tick += x_step) {
    content.add(line(x(tick), kBottom, x(tick), kBottom + 5, "axis"));
    if (std::abs(x(tick) - live_x) > 48)
      content.add(label(x(tick), kBottom + 19, "middle", "tick", tick_text(tick, x_step)));
  }
  if (right || left) {
    const double gap = right ? near_right + 26 : near_left - 26;
    content.add(rect(gap - 5, kBottom - 8, 10, 16, "paper"));
    content.add(line(gap - 8, kBottom + 8, gap - 2, kBottom - 8, "axis"));
    content.add(line(gap + 2, kBottom + 8, gap + 8, kBottom - 8, "axis"));
    content.add(label(gap, kBottom - 14, "middle", "tick", "axis cut"));
  }
  content.add(line(live_x, kTop - 12, live_x, kBottom, "halo")).add(line(live_x, kTop - 12, live_x, kBottom, "live"));
  content.add(el("path", {{"d", "M" + at(live_x - 6) + " " + at(kBottom - 11) + "L" + at(live_x + 6) + " " +
                                    at(kBottom - 11) + "L" + at(live_x) + " " + at(kBottom) + "Z"},
                          {"class", "live-tip"}}));
  const std::string anchor = live_x > kRight - 60 ? "end" : live_x < kLeft + 60 ? "start" : "middle";
  content.add(label(live_x, kTop - 18, anchor, "series strong", "the committed key"));
  content.add(label(live_x, kBottom + 19, "middle", "tick strong", tick_text(figure.live, 1)));
  content.add(label((x(from) + x(to)) / 2, kTop - 18, "middle", "series",
                    std::abs((x(from) + x(to)) / 2 - live_x) < 130 ? Html() : Html("decoy keys")));
  content.add(label((kLeft + kRight) / 2, kHeight - 8, "middle", "axis-name", figure.x_label));
  return frame(figure.id, figure.title, figure.description, kHeight, content);
}

Html bars_svg(const BarsFigure& figure) {
  constexpr double kLeft = 172, kRight = 620, kTop = 26, kRow = 22;
  const double bottom = kTop + kRow * static_cast<double>(figure.bars.size()), height = bottom + 48;
  double low = 0, high = figure.threshold;
  for (const auto& bar : figure.bars) {
    low = std::min(low, bar.value);
    high = std::max(high, bar.value);
  }
  const double step = tick_step(low, high, 5);
  low = std::floor(low / step) * step;
  high = std::ceil(high * 1.02 / step) * step;
  const Scale x{low, high, kLeft, kRight};
  Html content;
  content.add(el("defs", {},
                 el("pattern",
                    {{"id", figure.id + "-hatch"},
                     {"width", "5"},
                     {"height", "5"},
                     {"patternUnits", "userSpaceOnUse"},
                     {"patternTransform", "rotate(45)"}},
                    rect(0, 0, 5, 5, "hatch-ground"), line(0, 0, 0, 5, "hatch"))));
  for (double tick = low; tick <= high + step / 2; tick += step) {
    content.add(line(x(tick), kTop, x(tick), bottom, std::abs(tick) < step / 2 ? "axis" : "grid"));
    content.add(label(x(tick), bottom + 17, "middle", "tick", tick_text(tick, step)));
  }
  double row = kTop;
  for (const auto& bar : figure.bars) {
    const double a = std::min(x(0), x(bar.value)), b = std::max(x(0), x(bar.value));
    content.add(label(kLeft - 8, row + 15, "end", bar.strong ? "series strong" : "series", clipped(bar.label, 22)));
    content.add(el("rect", {{"x", at(a)},
                            {"y", at(row + 4)},
                            {"width", at(std::max(b - a, 0.8))},
                            {"height", at(kRow - 8)},
                            {"class", bar.strong ? "bar solid" : "bar"},
                            {"fill", bar.strong ? std::string("#222") : "url(#" + figure.id + "-hatch)"}}));
    content.add(
        label(b + 6, row + 15, "start", bar.strong ? "tick strong lifted" : "tick lifted", fixed(bar.value, 1)));
    row += kRow;
  }
  content.add(line(x(figure.threshold), kTop - 6, x(figure.threshold), bottom, "threshold"));
  content.add(label(x(figure.threshold), kTop - 11, "middle", "tick", "threshold " + fixed(figure.threshold, 1)));
  content.add(label((kLeft + kRight) / 2, height - 8, "middle", "axis-name", figure.x_label));
  return frame(figure.id, figure.title, figure.description, height, content);
}

Html timeline_svg(const TimelineFigure& figure) {
  constexpr double kHeight = 96, kLeft = 14, kRight = 666, kY = 48;
  Html content = line(kLeft, kY, kRight, kY, "axis");
  const double gap = (kRight - kLeft) / static_cast<double>(std::max<std::size_t>(1, figure.events.size()));
  double x = kLeft + gap / 2;
  for (const auto& event : figure.events) {
    const bool open = event.date.empty();
    content.add(el("circle", {{"cx", at(x)}, {"cy", at(kY)}, {"r", "4.5"}, {"class", open ? "dot-e" : "dot-p"}}));
    content.add(label(x, kY - 16, "middle", "series", event.label));
    content.add(label(x, kY + 24, "middle", open ? "tick faint" : "tick", open ? "not dated" : event.date));
    x += gap;
  }
  return frame(figure.id, figure.title, figure.description, kHeight, content);
}

}  // namespace heirmark::report
