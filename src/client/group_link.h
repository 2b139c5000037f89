// A link by which people join a group: what it says, and how it is written.
//
// Whoever has it reads the group's name and may join, so it is as secret as its owner wants. It
// names a state of the group: a server that shows the joiner another history is found out.
#pragma once

#include <string>

#include "client/group_rows.h"

namespace godwit::client {

struct GroupLinkText {
  GroupId group;
  ByteArray<32> secret{};  // the private half of GroupLink::key
  ByteArray<32> info_key{};
  std::uint64_t version = 0;  // a state that the group had
  proto::GroupDigest digest{};
};

// godwit:join/ and base32 digits: at most 195 of them in all for the first 16,383 versions, so that
// a QR code of it fits a terminal of 24 lines. Case does not matter.
std::string write_link(const GroupLinkText& link);
// kInvalid: it is no such link. White space around it does not matter.
Result<GroupLinkText> read_link(std::string_view text);

// GroupLink::key of this secret.
proto::IdentityKey link_key(const ByteArray<32>& secret);

}  // namespace godwit::client
