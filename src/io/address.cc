#include "io/address.h"

#include <arpa/inet.h>
#include <netdb.h>

#include <array>
#include <charconv>
#include <cstring>
#include <memory>

namespace godwit::io {

namespace {

constexpr std::string_view kForm = "an address is written HOST:PORT, e.g. 127.0.0.1:7400";

sockaddr_in& v4(sockaddr_storage& raw) { return reinterpret_cast<sockaddr_in&>(raw); }
sockaddr_in6& v6(sockaddr_storage& raw) { return reinterpret_cast<sockaddr_in6&>(raw); }

}  // namespace

Result<std::vector<Address>> Address::resolve(std::string_view host_and_port) {
  const std::size_t colon = host_and_port.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return fail(Code::kInvalid, kForm);
  std::string host(host_and_port.substr(0, colon));
  const std::string_view digits = host_and_port.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc{} || end != digits.data() + digits.size()) {
    return fail(Code::kInvalid, "the port is a number from 0 to 65535, e.g. 127.0.0.1:7400");
  }
  if (host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.contains(':')) {
    return fail(Code::kInvalid, "an IPv6 address is written in brackets, e.g. [::1]:7400");
  }
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) {
    return fail(Code::kNotFound, "no such host: check the name and the network");
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(found, freeaddrinfo);
  std::vector<Address> addresses;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    if (at->ai_family != AF_INET && at->ai_family != AF_INET6) continue;
    sockaddr_storage raw{};
    std::memcpy(&raw, at->ai_addr, std::min<std::size_t>(at->ai_addrlen, sizeof raw));
    addresses.push_back(Address(raw).with_port(port));
  }
  if (addresses.empty()) return fail(Code::kNotFound, "the host has no IPv4 or IPv6 address");
  return addresses;
}

std::uint16_t Address::port() const {
  sockaddr_storage raw = raw_;
  return ntohs(is_v6() ? v6(raw).sin6_port : v4(raw).sin_port);
}

Address Address::with_port(std::uint16_t port) const {
  sockaddr_storage raw = raw_;
  (is_v6() ? v6(raw).sin6_port : v4(raw).sin_port) = htons(port);
  return Address(raw);
}

std::uint64_t Address::network() const {
  constexpr std::uint64_t kV4 = std::uint64_t{1} << 63;  // IPv6 leaves this bit free
  sockaddr_storage raw = raw_;
  if (!is_v6()) return kV4 | ntohl(v4(raw).sin_addr.s_addr) >> 8;
  const std::uint8_t* octets = v6(raw).sin6_addr.s6_addr;
  const bool mapped = IN6_IS_ADDR_V4MAPPED(&v6(raw).sin6_addr);
  std::uint64_t prefix = 0;
  for (int i = 0; i < (mapped ? 3 : 7); ++i) prefix = prefix << 8 | octets[mapped ? 12 + i : i];
  return mapped ? kV4 | prefix : prefix;
}

std::string Address::text() const {
  std::array<char, INET6_ADDRSTRLEN> host{};
  sockaddr_storage raw = raw_;
  const void* ip = is_v6() ? static_cast<const void*>(&v6(raw).sin6_addr)
                           : static_cast<const void*>(&v4(raw).sin_addr);
  inet_ntop(family(), ip, host.data(), host.size());
  const std::string port_text = ":" + std::to_string(port());
  return is_v6() ? "[" + std::string(host.data()) + "]" + port_text : host.data() + port_text;
}

}  // namespace godwit::io
