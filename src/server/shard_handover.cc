// A shard's part in a handover to another process (server/handover.h).
#include <algorithm>

#include "base/check.h"
#include "server/account.h"
#include "server/shard_state.h"

namespace godwit::server {
namespace {

constexpr std::uint32_t kSessionField = 1, kAttachmentField = 2;

}  // namespace

bool Shard::at_rest() const {
  const auto resting = [](const State::Host& host) {
    return host.entity && host.entity->rests() && !host.committing && host.gated.empty() &&
           host.waiting.empty();
  };
  return state_->uses.empty() && state_->inbox.empty() && state_->awake.empty() &&
         state_->hosts.all_of(resting);
}

void Shard::hand_over(Bytes& out) const {
  CHECK(at_rest());
  for (const SessionId id : state_->sessions.keys()) {
    put_bytes_field(out, kSessionField, encode(state_->sessions.find(id)->record()));
  }
  for (const auto& [who, at] : state_->dormant.all()) {
    put_bytes_field(out, kAttachmentField,
                    encode(AttachmentRecord{who.first, who.second, at.session, at.id, at.pushes}));
  }
  for (const State::Address& address : state_->hosts.keys()) {
    if (address.kind != State::Address::Kind::kAccount) continue;
    const Entity& entity = *state_->hosts.find(address)->entity;
    for (const auto& record : static_cast<const Account&>(entity).hand_over()) {
      put_bytes_field(out, kAttachmentField, encode(record));
    }
  }
}

Result<void> Shard::take_over(ByteView octets) {
  CHECK(state_->sessions.empty() && state_->hosts.empty());
  Reader reader(octets);
  while (!reader.at_end()) {
    const auto field = reader.field();
    if (!field) return fail(field.error());
    if (field->number == kSessionField) {
      const auto record = decode<SessionRecord>(field->bytes);
      if (!record) return fail(record.error());
      state_->sessions.try_emplace(record->id, state_->config.id, *record);
    } else if (field->number == kAttachmentField) {
      auto record = decode<AttachmentRecord>(field->bytes);
      if (!record) return fail(record.error());
      auto& awake = state_->awake;
      if (record->awake) awake[record->user].push_back(std::move(*record));
      else state_->dormant.add(*record);
    }
  }
  return {};
}

void Shard::wake(Env& env, Outputs& out) {
  for (const auto& [user, records] : state_->awake)
    state_->load({State::Address::Kind::kAccount, user}, env.now, out);
}

}  // namespace godwit::server
