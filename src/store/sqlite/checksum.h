// The checksum that a row of events carries: of its payload and its event, in
// this order.
#ifndef WAGGLE_STORE_SQLITE_CHECKSUM_H_
#define WAGGLE_STORE_SQLITE_CHECKSUM_H_

#include <cstdint>
#include <string_view>

#include "zlib.h"

namespace waggle {

// CRC-32 of what `crc` is of, and `bytes`. Begins with 0.
inline uint32_t Crc(uint32_t crc, std::string_view bytes) {
  return static_cast<uint32_t>(
      crc32_z(crc, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

}  // namespace waggle

#endif  // WAGGLE_STORE_SQLITE_CHECKSUM_H_
