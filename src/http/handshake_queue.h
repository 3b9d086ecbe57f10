// Connections that wait for a step of their TLS handshake, which takes a
// millisecond of computing and so is what floods aim at. Addresses take turns:
// one from which thousands come delays itself, not the others.
#ifndef WAGGLE_HTTP_HANDSHAKE_QUEUE_H_
#define WAGGLE_HTTP_HANDSHAKE_QUEUE_H_

#include <deque>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"

namespace waggle {

class Connection;

// For one thread at a time. Bounded by who puts connections in.
class HandshakeQueue {
 public:
  // `address` is the AddressKey() of the connection's peer.
  void Push(std::string address, Connection* connection) {
    std::deque<Connection*>& waiting = waiting_[address];
    waiting.push_back(connection);
    if (waiting.size() == 1) turns_.push_back(std::move(address));
  }

  bool empty() const { return turns_.empty(); }

  // The oldest of the address whose turn it is. Not of an empty queue.
  Connection* Pop() {
    std::string address = std::move(turns_.front());
    turns_.pop_front();
    const auto found = waiting_.find(address);
    Connection* connection = found->second.front();
    found->second.pop_front();
    if (found->second.empty()) {
      waiting_.erase(found);
    } else {
      turns_.push_back(std::move(address));
    }
    return connection;
  }

 private:
  // Never empty ones.
  absl::flat_hash_map<std::string, std::deque<Connection*>> waiting_;
  std::deque<std::string> turns_;
};

}  // namespace waggle

#endif  // WAGGLE_HTTP_HANDSHAKE_QUEUE_H_
