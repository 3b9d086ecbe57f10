#include "report.h"

#include <algorithm>
#include <cstddef>
#include <cstdio>

namespace waggle::bench {
namespace {

Figure MedianOf(const std::vector<Figure>& figures) {
  const auto member = [&figures](double Figure::*m) {
    std::vector<double> values;
    for (const Figure& figure : figures) values.push_back(figure.*m);
    return Median(std::move(values));
  };
  return {member(&Figure::rate), member(&Figure::cpu_us),
          member(&Figure::p50_us), member(&Figure::p99_us)};
}

void PrintSide(const char* name, const Figure& figure) {
  std::printf("  %-7s %10.0f /s  %7.2f us CPU", name, figure.rate,
              figure.cpu_us);
  if (figure.p99_us > 0) {
    std::printf("  p50 %.0f us  p99 %.0f us", figure.p50_us, figure.p99_us);
  }
  std::printf("\n");
}

}  // namespace

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle]
                                : (values[middle - 1] + values[middle]) / 2;
}

Comparison Compare(int runs, const std::function<Figure()>& bare,
                   const std::function<Figure()>& waggle) {
  std::vector<Figure> bares;
  std::vector<Figure> waggles;
  std::vector<double> ratios;
  for (int i = 0; i < runs; ++i) {
    bares.push_back(bare());
    waggles.push_back(waggle());
    ratios.push_back(waggles.back().rate / bares.back().rate);
  }
  return {MedianOf(bares), MedianOf(waggles), Median(std::move(ratios))};
}

void PrintHeading(const std::string& title) {
  std::printf("\n%s\n", title.c_str());
  std::fflush(stdout);
}

void PrintComparison(const std::string& what, const Comparison& comparison,
                     const std::string& goal) {
  std::printf("%s: %.0f %% of bare%s%s\n", what.c_str(), comparison.ratio * 100,
              goal.empty() ? "" : "  ", goal.c_str());
  PrintSide("bare", comparison.bare);
  PrintSide("waggle", comparison.waggle);
  std::fflush(stdout);
}

void PrintValue(const std::string& what, const std::string& value,
                const std::string& goal) {
  std::printf("%s: %s%s%s\n", what.c_str(), value.c_str(),
              goal.empty() ? "" : "  ", goal.c_str());
  std::fflush(stdout);
}

}  // namespace waggle::bench
