#include "client/group_log.h"

#include "crypto/hash.h"

namespace godwit::client {
namespace {

using ports::Space;

std::size_t size_of(const GroupSaid& said) { return Item{.repeat = said}.octets(); }

Bytes key_of(const GroupSent& sent, std::uint64_t order) {
  return row_key('R', sent.said.group, order);
}

}  // namespace

EnvelopeId group_envelope_id(GroupId group, MessageId id) {
  const auto digest = crypto::sha256({view_of("godwit group envelope"), group.view(), id.view()});
  return EnvelopeId{*to_array<16>(ByteView(digest).first(16))};
}

void GroupLog::keep(std::uint64_t order, GroupSent sent) {
  octets_ += size_of(sent.said);
  by_envelope_[group_envelope_id(sent.said.group, sent.said.id)] = order;
  entries_[order] = std::move(sent);
}

void GroupLog::add(std::uint64_t order, GroupSaid said, Turn& turn) {
  GroupSent sent{std::move(said), turn.env.now};
  turn.put(Space::kChat, key_of(sent, order), encode(sent));
  keep(order, std::move(sent));
  while (entries_.size() > limits::kGroupSentItems || octets_ > limits::kGroupSentBytes ||
         entries_.begin()->second.accepted + limits::kSentLifetime < turn.env.now) {
    forget(entries_.begin()->first, turn);
    if (entries_.empty()) return;
  }
}

const GroupSaid* GroupLog::find(EnvelopeId envelope) const {
  const auto found = by_envelope_.find(envelope);
  return found == by_envelope_.end() ? nullptr : &entries_.at(found->second).said;
}

void GroupLog::forget(std::uint64_t order, Turn& turn) {
  const auto found = entries_.find(order);
  if (found == entries_.end()) return;
  const GroupSaid& said = found->second.said;
  octets_ -= size_of(said);
  by_envelope_.erase(group_envelope_id(said.group, said.id));
  turn.erase(Space::kChat, key_of(found->second, order));
  entries_.erase(found);
}

void GroupLog::store_all(ports::Batch& batch) const {
  for (const auto& [order, sent] : entries_) {
    batch.put(Space::kChat, key_of(sent, order), encode(sent));
  }
}

}  // namespace godwit::client
