// What a client reads after decryption, and from its own rows. The first octet says which.
#include "client/content.h"

#include "base/check.h"
#include "client/rows.h"
#include "fuzz.h"

using namespace godwit;

namespace {

void content(ByteView octets) {
  const auto opened = client::open_content(octets);
  if (!opened) return;
  const Bytes sealed = client::seal_content(*opened);
  CHECK(sealed.size() % client::kPadding == 0);
  const auto again = client::open_content(sealed);
  CHECK(again && encode(*again) == encode(*opened));
}

// What was read and written once stays as it is. (A zero on the wire becomes the member's default,
// which is why the first writing may differ.)
template <typename Row>
void row(ByteView octets) {
  const auto read = decode<Row>(octets);
  if (!read) return;
  const auto again = decode<Row>(encode(*read));
  CHECK(again);
  const Bytes written = encode(*again);
  const auto last = decode<Row>(written);
  CHECK(last && encode(*last) == written);
}

// The place in this list is part of the corpus: append only.
constexpr void (*kReaders[])(ByteView) = {&content,
                                          &row<client::ProfileRow>,
                                          &row<client::ContactRow>,
                                          &row<client::UnreadRow>,
                                          &row<client::Item>,
                                          &row<client::Awaited>,
                                          &row<client::Progress>,
                                          &row<client::Message>,
                                          &row<client::ChatRow>,
                                          &row<client::Target>,
                                          &row<client::WaitingAct>,
                                          &row<client::Fading>,
                                          &row<client::BroadcastList>,
                                          &row<client::Audience>};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const auto reader = kReaders[input.octet() % std::size(kReaders)];
  reader(input.rest());
  return 0;
}
