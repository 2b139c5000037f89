// Every record of proto/messages.h. The first octet says which.
#include "proto/messages.h"

#include "base/check.h"
#include "fuzz.h"

using namespace godwit;

namespace {

// What decodes also encodes, and the second encoding is the first: decode() lost nothing it knows.
template <typename Record>
void read(ByteView octets) {
  const auto record = decode<Record>(octets);
  if (!record) return;
  const Bytes once = encode(*record);
  const auto again = decode<Record>(once);
  CHECK(again && encode(*again) == once);
}

using Read = void (*)(ByteView);
template <typename... Records>
constexpr std::array<Read, sizeof...(Records)> readers() {
  return {&read<Records>...};
}

// The place in this list is part of the corpus: append only.
constexpr auto kReaders =
    readers<proto::Frame, proto::ErrorBody, proto::RequestCode, proto::Register, proto::Registered,
            proto::Attach, proto::Attached, proto::Lookup, proto::LookedUp, proto::FetchBundles,
            proto::Bundles, proto::UploadPrekeys, proto::Submit, proto::Ping, proto::Ack,
            proto::Deliver, proto::PrekeyStock, proto::Closing, proto::Envelope>();

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const Read reader = kReaders[input.octet() % kReaders.size()];
  reader(input.rest());
  return 0;
}
