#include "sim/group_watch.h"

#include <algorithm>
#include <string>

#include "client/group_log.h"
#include "client/group_rows.h"

namespace godwit::sim {

void GroupWatch::stores(std::uint32_t person, const ports::Batch& batch) {
  for (const ports::Mutation& mutation : batch.mutations) {
    const auto& [key, value] = std::tie(mutation.row.key, mutation.row.value);
    const bool chain = mutation.space == ports::Space::kChat && key.size() == 34 && key[0] == 'K';
    if (!chain || value.empty()) continue;
    const auto row = decode<client::KeyRow>(value);
    auto record = row ? e2e::SenderKey::parse(row->key) : fail(row.error());
    if (!record) continue;
    Hoard& hoard = hoards_[{person, GroupId{*to_array<16>(ByteView(key).subspan(1, 16))}}];
    bool news = false;
    for (const std::uint32_t id : record->chain_ids()) {
      news = hoard.known.insert({key, id}).second || news;
    }
    if (news) hoard.chains.push_back(std::move(*record));
  }
}

void GroupWatch::submitted(const Device& device, const proto::SubmitGroup& batch) {
  for (const proto::GroupMessage& message : batch.messages) {
    said_[batch.group].push_back({batch.version, message.id, message.ciphertext, device});
  }
}

void GroupWatch::check(GroupId group, const States& states, const std::vector<UserId>& users,
                       Verdict& verdict) const {
  const auto said = said_.find(group);
  if (said == said_.end()) return;
  const auto in = [&](std::uint64_t version, std::uint32_t person) {
    const auto state = states.find(version);
    return state != states.end() && state->second.member(users[person]) != nullptr;
  };
  for (std::uint32_t person = 0; person < users.size(); ++person) {
    const std::string who = "device " + std::to_string(person);
    std::set<EnvelopeId> theirs;
    for (const Said& one : said->second) {
      if (in(one.version, person)) theirs.insert(one.id);
    }
    for (const auto& [reader, chat, id] : shown_) {
      if (reader != person || chat != group) continue;
      if (theirs.contains(client::group_envelope_id(group, id))) continue;
      verdict.broken("members_only", who + " is shown what was not said to it");
    }
    const auto hoard = hoards_.find({person, group});
    if (hoard == hoards_.end()) continue;
    for (const Said& one : said->second) {
      if (in(one.version, person) || restored_.contains(one.writer)) continue;
      const bool reads = std::ranges::any_of(hoard->second.chains, [&](const auto& chain) {
        return chain.clone().decrypt(one.ciphertext).has_value();
      });
      if (reads) {
        verdict.broken("members_only", who + " can read what was said at version " +
                                           std::to_string(one.version) + ", without being in");
      }
    }
  }
}

}  // namespace godwit::sim
