#include "base/text.hpp"

#include <algorithm>

namespace heirmark::text {
namespace {
/// `text` has the shape of `pattern`, in which 0 stands for any digit.
bool shaped(std::string_view text, std::string_view pattern) noexcept {
  return text.size() == pattern.size() &&
         std::equal(text.begin(), text.end(), pattern.begin(), [](char c, char p) { return p == '0' ? c >= '0' && c <= '9' : c == p; });
}
int number(std::string_view digits) noexcept {
  int out = 0;
  for (const char c : digits) out = 10 * out + (c - '0');
  return out;
}
}  // namespace

bool is_date(std::string_view text) noexcept {
  if (!shaped(text, "0000-00-00")) return false;
  const int year = number(text.substr(0, 4)), month = number(text.substr(5, 2)), day = number(text.substr(8, 2));
  if (year < 1 || month < 1 || month > 12 || day < 1) return false;
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return day <= kDays[month - 1] + (month == 2 && leap ? 1 : 0);
}

bool is_time(std::string_view text) noexcept {
  return shaped(text, "0000-00-00T00:00:00Z") && is_date(text.substr(0, 10)) && number(text.substr(11, 2)) < 24 && number(text.substr(14, 2)) < 60 &&
         number(text.substr(17, 2)) < 60;
}

}  // namespace heirmark::text
