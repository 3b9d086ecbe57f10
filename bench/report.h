// Medians of several runs, and the lines in which figures are told.
#ifndef WAGGLE_BENCH_REPORT_H_
#define WAGGLE_BENCH_REPORT_H_

#include <functional>
#include <string>
#include <vector>

namespace waggle::bench {

double Median(std::vector<double> values);

// What one run of a server under load gave.
struct Figure {
  // What is counted, per second.
  double rate = 0;
  // Server CPU for each, in microseconds.
  double cpu_us = 0;
  // From request to answer, in microseconds; 0 if that is not measured.
  double p50_us = 0;
  double p99_us = 0;
};

// The ceiling and Waggle, run after run in turns so that what else the machine
// does hits both alike; member by member, the median.
struct Comparison {
  Figure bare;
  Figure waggle;
  // The median of each turn's own ratio of rates.
  double ratio = 0;
};
Comparison Compare(int runs, const std::function<Figure()>& bare,
                   const std::function<Figure()>& waggle);

// One line each, aligned below one another.
void PrintHeading(const std::string& title);
void PrintComparison(const std::string& what, const Comparison& comparison,
                     const std::string& goal);
void PrintValue(const std::string& what, const std::string& value,
                const std::string& goal);

}  // namespace waggle::bench

#endif  // WAGGLE_BENCH_REPORT_H_
