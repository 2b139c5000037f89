// Account's write-behind: what was pushed is held, then answered or stored.
#include "server/account.h"

#include <algorithm>

namespace godwit::server {

void Account::hold(const Message& message, ports::Batch rows, Env& env, Effects& out) {
  held_.add(message, std::move(rows), env.now);
  if (!std::exchange(waking_, true)) out.push_back(Wake{held_.left(env.now)});
}

void Account::on_wake(Env& env, Effects& out) {
  waking_ = false;
  if (held_.empty()) return;
  const Duration left = held_.left(env.now);
  if (left <= Duration{}) return store_held(out);
  waking_ = true;
  out.push_back(Wake{left});
}

// Whatever else would be stored, or read, comes after it.
void Account::store_held(Effects& out) {
  if (held_.empty()) {
    for (auto& [id, device] : devices_) device.mailbox.stored();
    return;
  }
  ports::Batch commit = batch();
  Effects answers;
  held_.take(commit, answers);
  for (auto& [id, device] : devices_) {
    device.mailbox.stored();
    store_stock(id, device, commit);
  }
  out.push_back(Commit{std::move(commit)});
  std::ranges::move(answers, std::back_inserter(out));
}

}  // namespace godwit::server
