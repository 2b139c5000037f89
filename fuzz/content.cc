// What a client reads after decryption, and from its own rows. The first octet says which.
#include "client/content.h"

#include "base/check.h"
#include "client/engine.h"
#include "client/group_link.h"
#include "client/group_log.h"
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

// A row of a group, as a restart finds it: it is refused, or what was understood of it stays as it
// is. First its tag, then how its key ends: after the group's id, or after an order, or after who
// it is about.
void group_row(ByteView octets) {
  fuzz::Input input(octets.data(), octets.size());
  Bytes key{input.octet()};
  append(key, Bytes(16, 7));
  static constexpr std::size_t kEnds[] = {0, 8, 17, 3};
  append(key, Bytes(kEnds[input.octet() % std::size(kEnds)], 1));
  std::vector<ports::Row> rows{{std::move(key), to_bytes(input.rest())}};
  const auto read = client::Engine::load({{ports::Space::kChat, std::move(rows)}});
  if (!read) return;
  rows.clear();
  for (const ports::Mutation& one : (*read)->dump().mutations) rows.push_back(one.row);
  const std::vector<ports::Row> written = rows;
  const auto again = client::Engine::load({{ports::Space::kChat, std::move(rows)}});
  CHECK(again);
  const auto kept = (*again)->dump().mutations;
  CHECK(std::ranges::equal(kept, written, {}, &ports::Mutation::row));
}

// A link that somebody pasted, or scanned.
void link(ByteView octets) {
  const auto read = client::read_link(text_of(octets));
  if (!read) return;
  const std::string written = client::write_link(*read);
  const auto again = client::read_link(written);
  CHECK(again && client::write_link(*again) == written);
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
                                          &row<client::Audience>,
                                          &row<client::GroupInfo>,
                                          &group_row,
                                          &link};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const auto reader = kReaders[input.octet() % std::size(kReaders)];
  reader(input.rest());
  return 0;
}
