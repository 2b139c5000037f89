#include "server/held.h"

#include <utility>

#include "server/mailbox.h"

namespace godwit::server {

void Held::add(const Message& asked, ports::Batch rows, Instant now) {
  Message waits;
  waits.session = asked.session;
  waits.request = asked.request;
  submits_.push_back({std::move(waits), std::move(rows), now});
}

void Held::acknowledge(DeviceId device, Sequence up_to, Effects& out) {
  std::erase_if(submits_, [&](Submit& submit) {
    std::erase_if(submit.rows.mutations, [&](const ports::Mutation& put) {
      return Mailbox::is_row_of(put.row.key, device, up_to);
    });
    if (!submit.rows.empty()) return false;
    out.push_back(reply_to(submit.asked, proto::ok_frame(submit.asked.request)));
    return true;
  });
}

void Held::take(ports::Batch& commit, Effects& answers) {
  for (Submit& submit : std::exchange(submits_, {})) {
    for (ports::Mutation& put : submit.rows.mutations) commit.mutations.push_back(std::move(put));
    answers.push_back(reply_to(submit.asked, proto::ok_frame(submit.asked.request)));
  }
}

void Held::refuse(Error error, Effects& out) {
  for (const Submit& submit : std::exchange(submits_, {})) {
    out.push_back(server::refuse(submit.asked, error));
  }
}

Duration Held::left(Instant now) const {
  if (submits_.empty()) return {};
  const Duration held = now - submits_.front().since;
  return held < Duration{} || held >= most_ ? Duration{} : submits_.front().since + most_ - now;
}

}  // namespace godwit::server
