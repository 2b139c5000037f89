// Request: one line of JSON, and what it may lack. What is missing or malformed ends the request by
// an exception, which the one who answers turns into an error line.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "crypto/xeddsa.h"
#include "e2e/prekey.h"

namespace godwit::e2e_peer {

using Json = nlohmann::json;

struct Refused {
  std::string error;
  std::string name = "Invalid";
  int code = 0;
};

class Request {
 public:
  explicit Request(const Json& fields) : fields_(fields) {}

  const Json& json() const { return fields_; }
  bool has(const char* field) const;
  std::string text(const char* field) const;
  Bytes bytes(const char* field) const;  // hexadecimal
  Bytes bytes_or_none(const char* field) const { return has(field) ? bytes(field) : Bytes(); }
  bool flag(const char* field, bool otherwise) const;
  // An integer of at most `max`.
  std::uint64_t number(const char* field, std::uint64_t max) const;
  std::uint64_t number_or(const char* field, std::uint64_t otherwise, std::uint64_t max) const {
    return has(field) ? number(field, max) : otherwise;
  }
  ByteArray<16> uuid(const char* field) const;
  e2e::PublicKey public_key(const char* field) const;
  crypto::KeyPair key_pair(const char* field) const;  // from the private key
  Request object(const char* field) const;
  std::vector<Request> list(const char* field) const;

 private:
  const Json& at(const char* field) const;
  [[noreturn]] static void refuse(const char* field, const char* why);

  const Json& fields_;
};

[[noreturn]] void refuse(const Error& error);

// The value, or the end of the request.
template <typename T>
T value(Result<T> result) {
  if (!result) refuse(result.error());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

e2e::PrekeyBundle bundle_of(const Request& fields);
Json json_of(const e2e::PrekeyBundle& bundle);

}  // namespace godwit::e2e_peer
