// What TLS cannot do without, whatever library it is: sealing and opening with
// the cipher that OpenSSL's TLS 1.3 picks first, AES-256-GCM, by records of
// 16 KiB in place.
#ifndef WAGGLE_BENCH_CIPHER_COST_H_
#define WAGGLE_BENCH_CIPHER_COST_H_

namespace waggle::bench {

// The processor time to seal a byte and to open it again, in seconds, with all
// cores at it.
double MeasureCipherCost();

}  // namespace waggle::bench

#endif  // WAGGLE_BENCH_CIPHER_COST_H_
