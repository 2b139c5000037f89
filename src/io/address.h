// Address: where a TCP socket listens or connects to: an IP address and a port.
#pragma once

#include <netinet/in.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace godwit::io {

class Address {
 public:
  // "127.0.0.1:7400", "[::1]:7400" or "name:7400"; a name may have several addresses, in the
  // resolver's order. Blocks while it resolves a name. kInvalid: not of this form; kNotFound: the
  // name is unknown.
  static Result<std::vector<Address>> resolve(std::string_view host_and_port);
  static Address from(const sockaddr_storage& raw) { return Address(raw); }

  const sockaddr* data() const { return reinterpret_cast<const sockaddr*>(&raw_); }
  socklen_t size() const { return is_v6() ? sizeof(sockaddr_in6) : sizeof(sockaddr_in); }
  int family() const { return raw_.ss_family; }
  bool is_v6() const { return raw_.ss_family == AF_INET6; }
  std::uint16_t port() const;
  Address with_port(std::uint16_t port) const;
  // What one subscriber is usually given: the /24 of an IPv4 address, the /56 of an IPv6 one.
  std::uint64_t network() const;
  // As resolve() reads it.
  std::string text() const;

 private:
  explicit Address(const sockaddr_storage& raw) : raw_(raw) {}
  sockaddr_storage raw_{};
};

}  // namespace godwit::io
