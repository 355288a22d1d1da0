// Days and times as every object has them (specs/formats.md, "Canonical JSON").
#include <catch2/catch.hpp>

#include "base/text.hpp"

using namespace heirmark;

TEST_CASE("a date is a day that exists, of the years 0001 to 9999", "[text]") {
  for (const char* good : {"0001-01-01", "9999-12-31", "2024-02-29", "2000-02-29", "2026-11-30", "2026-12-31"}) {
    CAPTURE(good);
    CHECK(text::is_date(good));
  }
  for (const char* bad : {"0000-01-01", "0000-02-29", "0000-12-31", "2026-02-29", "1900-02-29", "2026-11-31", "2026-00-01", "2026-13-01", "2026-11-00", "2026-11-32", "2026-1-01", "26-11-01", "10000-01-01",
                          "-001-01-01", "2026/11/01", "2026-11-01 ", "", "2026-11-01T00:00:00Z"}) {
    CAPTURE(bad);
    CHECK_FALSE(text::is_date(bad));
  }
}

TEST_CASE("a time is a second of such a day, and none is a leap second", "[text]") {
  for (const char* good : {"0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2024-02-29T12:00:00Z"}) {
    CAPTURE(good);
    CHECK(text::is_time(good));
  }
  for (const char* bad : {"0000-12-31T23:59:59Z", "0000-01-01T00:00:00Z", "2026-11-31T00:00:00Z", "2026-11-30T24:00:00Z", "2026-11-30T23:60:00Z", "2016-12-31T23:59:60Z", "2026-11-30T23:59:59", "2026-11-30t23:59:59Z",
                          "2026-11-30T23:59:59z", "2026-11-30 23:59:59Z", "2026-11-30T23:59:59+00:00", "2026-11-30T23:59:59.0Z", "2026-11-30", ""}) {
    CAPTURE(bad);
    CHECK_FALSE(text::is_time(bad));
  }
}
