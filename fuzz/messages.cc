// Every record of proto/messages.h and proto/group_state.h. The first octet says which.
#include "proto/messages.h"

#include "fuzz.h"
#include "proto/group_state.h"

using namespace godwit;

namespace {

using Read = void (*)(ByteView);
template <typename... Records>
constexpr std::array<Read, sizeof...(Records)> readers() {
  return {&fuzz::read<Records>...};
}

// The place in this list is part of the corpus: append only.
constexpr auto kReaders =
    readers<proto::Frame, proto::ErrorBody, proto::RequestCode, proto::Register, proto::Registered,
            proto::Attach, proto::Attached, proto::Lookup, proto::LookedUp, proto::FetchBundles,
            proto::Bundles, proto::UploadPrekeys, proto::Submit, proto::Ping, proto::Ack,
            proto::Deliver, proto::PrekeyStock, proto::Closing, proto::Envelope, proto::ChangeGroup,
            proto::FetchGroup, proto::GroupHistory, proto::GroupMessage, proto::SubmitGroup,
            proto::GroupState, proto::Transition, proto::Certify, proto::Certified, proto::Hint>();

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const Read reader = kReaders[input.octet() % kReaders.size()];
  reader(input.rest());
  return 0;
}
