#include "cipher_cost.h"

#include <time.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <thread>
#include <vector>

#include "child_process.h"
#include "openssl/evp.h"

namespace waggle::bench {
namespace {

constexpr int kRecordBytes = 16 * 1024;
constexpr int kRecords = 100'000;
constexpr int kTagBytes = 16;

double ThreadSeconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) +
         static_cast<double>(time.tv_nsec) * 1e-9;
}

double SealAndOpenRecords() {
  const auto make = [] {
    return std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>(
        EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  };
  const auto sealing = make();
  const auto opening = make();
  const std::array<unsigned char, 32> key{};
  std::array<unsigned char, 12> nonce{};
  std::array<unsigned char, kTagBytes> tag{};
  std::vector<unsigned char> record(kRecordBytes, 'x');
  int size = 0;
  bool ok = EVP_EncryptInit_ex(sealing.get(), EVP_aes_256_gcm(), nullptr,
                               key.data(), nonce.data()) == 1 &&
            EVP_DecryptInit_ex(opening.get(), EVP_aes_256_gcm(), nullptr,
                               key.data(), nonce.data()) == 1;
  const double begin = ThreadSeconds();
  for (int i = 0; ok && i < kRecords; ++i) {
    nonce[0] = static_cast<unsigned char>(i);
    ok = EVP_EncryptInit_ex(sealing.get(), nullptr, nullptr, nullptr,
                            nonce.data()) == 1 &&
         EVP_EncryptUpdate(sealing.get(), record.data(), &size, record.data(),
                           kRecordBytes) == 1 &&
         EVP_EncryptFinal_ex(sealing.get(), record.data() + size, &size) == 1 &&
         EVP_CIPHER_CTX_ctrl(sealing.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes,
                             tag.data()) == 1 &&
         EVP_DecryptInit_ex(opening.get(), nullptr, nullptr, nullptr,
                            nonce.data()) == 1 &&
         EVP_CIPHER_CTX_ctrl(opening.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes,
                             tag.data()) == 1 &&
         EVP_DecryptUpdate(opening.get(), record.data(), &size, record.data(),
                           kRecordBytes) == 1 &&
         EVP_DecryptFinal_ex(opening.get(), record.data() + size, &size) == 1;
  }
  if (!ok) Die("AES-256-GCM does not work");
  return (ThreadSeconds() - begin) / kRecords / kRecordBytes;
}

}  // namespace

double MeasureCipherCost() {
  std::vector<double> costs(std::max(1U, std::thread::hardware_concurrency()));
  std::vector<std::thread> threads;
  for (double& cost : costs) {
    threads.emplace_back([&cost] { cost = SealAndOpenRecords(); });
  }
  for (std::thread& thread : threads) thread.join();
  return *std::max_element(costs.begin(), costs.end());
}

}  // namespace waggle::bench
