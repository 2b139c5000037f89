#include "apps/loadgen/people.h"

#include <fstream>

namespace godwit::loadgen {

namespace {

constexpr std::string_view kMagic = "godwit loadgen 1\n";

}  // namespace

Result<People> People::load(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(Code::kNotFound, "no people there: register some first");
  std::string magic(kMagic.size(), 0);
  ByteArray<32> key{};
  People people;
  file.read(magic.data(), static_cast<std::streamsize>(magic.size()));
  file.read(reinterpret_cast<char*>(key.data()), 32);
  file.read(reinterpret_cast<char*>(people.server.data()), 32);
  if (!file || magic != kMagic) return fail(Code::kCorrupt, "not a file of people");
  people.key = crypto::KeyPair::from_private(key);
  for (UserId user; file.read(reinterpret_cast<char*>(user.octets.data()), 16);) {
    people.users.push_back(user);
  }
  return people;
}

Result<void> People::save(const std::string& path) const {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  const auto put = [&](ByteView octets) {
    file.write(reinterpret_cast<const char*>(octets.data()),
               static_cast<std::streamsize>(octets.size()));
  };
  put(view_of(kMagic));
  put(key.private_key.view());
  put(server);
  for (const UserId& user : users) put(user.octets);
  file.flush();
  if (!file) return fail(Code::kIo, "the file of people cannot be written");
  return {};
}

std::string phone_of(std::uint32_t user) {
  std::string digits = std::to_string(user);
  return "+49152" + std::string(8 - std::min<std::size_t>(digits.size(), 8), '0') + digits;
}

}  // namespace godwit::loadgen
