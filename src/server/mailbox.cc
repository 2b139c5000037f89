#include "server/mailbox.h"

#include <algorithm>

namespace godwit::server {
namespace {

// Retries come within one batch of one sender; more is room for many senders.
constexpr std::size_t kRecent = 1024;
constexpr std::size_t kPageRows = 64;
constexpr std::size_t kQueueKey = 1 + 8;

Bytes queue_key(DeviceId device, Sequence sequence) {
  Bytes key = {device.value};
  put_be64(key, sequence.value);
  return key;
}

}  // namespace

bool Mailbox::has_room(std::size_t envelopes, std::size_t bytes, bool courtesy) const {
  using namespace limits;
  const auto most = courtesy ? kMailboxCourtesyEnvelopes : kMailboxEnvelopes;
  return stock_.envelopes + envelopes <= most &&
         stock_.bytes + bytes <= (courtesy ? kMailboxCourtesyBytes : kMailboxBytes);
}

bool Mailbox::is_row_of(ByteView key, DeviceId device, Sequence up_to) {
  return key.size() == kQueueKey && key[0] == device.value &&
         get_be64(key.subspan(1)) <= up_to.value;
}

bool Mailbox::window_open() const {
  return unacked_.size() < limits::kDeliverWindow && unacked_bytes_ < limits::kDeliverWindowBytes;
}

void Mailbox::note_sent(Sequence sequence, std::size_t bytes) {
  unacked_.push_back({sequence, bytes});
  unacked_bytes_ += bytes;
  read_ = sequence;
}

void Mailbox::remember(const EnvelopeId& id) {
  recent_[id] = newest_;
  recent_order_.push_back(id);
  if (recent_order_.size() > kRecent) {
    recent_.erase(recent_order_.front());
    recent_order_.pop_front();
  }
}

bool Mailbox::enqueue(const proto::Envelope& envelope, SequenceSource& sequences,
                      ports::Batch& commit, std::vector<proto::Delivery>& push) {
  if (recent_.contains(envelope.id)) return false;
  newest_ = sequences.next();
  remember(envelope.id);
  Bytes value = encode(envelope);
  stock_.envelopes += 1;
  stock_.bytes += value.size();
  if (attachment_ && caught_up_ && window_open()) {
    note_sent(newest_, value.size());
    push.push_back({newest_, envelope});
  } else {
    caught_up_ = false;
  }
  commit.put(ports::Space::kQueue, queue_key(device_, newest_), std::move(value),
             envelope.accepted + limits::kMailboxRetention);
  return true;
}

std::optional<SessionAddress> Mailbox::attach(SessionAddress session, std::uint64_t attachment,
                                              Sequence after) {
  std::optional<SessionAddress> replaced;
  if (attachment_) replaced = attachment_->session;
  detach();
  attachment_ = Attachment{session, attachment};
  caught_up_ = false;
  acked_ = after;
  read_ = {};
  return replaced;
}

void Mailbox::wake(const Attachment& attachment) {
  attachment_ = attachment;
  caught_up_ = true;
  stock_ = {};
}

void Mailbox::hand_over(AttachmentRecord& out) const {
  out.awake = !asleep();
  if (!out.awake) return;
  out.caught_up = caught_up_;
  out.acked = acked_;
  out.read = read_;
  for (const Sent& sent : unacked_) {
    put_be64(out.unacked, sent.sequence.value);
    put_be64(out.unacked, sent.bytes);
  }
}

void Mailbox::resume(const AttachmentRecord& record) {
  attachment_ = Attachment{record.session, record.id, record.pushes};
  caught_up_ = record.caught_up;
  acked_ = record.acked;
  read_ = record.read;
  for (ByteView rest = record.unacked; rest.size() >= AttachmentRecord::kUnackedSize;
       rest = rest.subspan(AttachmentRecord::kUnackedSize)) {
    const std::size_t bytes = static_cast<std::size_t>(get_be64(rest.subspan(8)));
    unacked_.push_back({{get_be64(rest)}, bytes});
    unacked_bytes_ += bytes;
  }
  if (caught_up_) stock_ = {unacked_.size(), unacked_bytes_};
}

void Mailbox::erase(Sequence sequence, std::size_t bytes, ports::Batch& commit) {
  commit.erase(ports::Space::kQueue, queue_key(device_, sequence));
  uncount(bytes);
}

void Mailbox::uncount(std::size_t bytes) {
  stock_.envelopes -= std::min<std::uint64_t>(stock_.envelopes, 1);
  stock_.bytes -= std::min<std::uint64_t>(stock_.bytes, bytes);
}

std::size_t Mailbox::acknowledge(Sequence up_to, ports::Batch& commit) {
  std::size_t erased = 0;
  while (!unacked_.empty() && unacked_.front().sequence <= up_to) {
    const Sent& sent = unacked_.front();
    const bool held = held_ && sent.sequence >= first_held_;
    if (held) uncount(sent.bytes);
    else erase(sent.sequence, sent.bytes, commit);
    unacked_bytes_ -= sent.bytes;
    unacked_.pop_front();
    ++erased;
  }
  return erased;
}

std::optional<ports::Scan> Mailbox::next_page() {
  if (!attachment_ || caught_up_ || !window_open()) return std::nullopt;
  asked_ = newest_;
  return ports::Scan{{},
                     ports::Space::kQueue,
                     queue_key(device_, {read_.value + 1}),
                     {static_cast<std::uint8_t>(device_.value + 1)},
                     kPageRows};
}

void Mailbox::on_page(const std::vector<ports::Row>& rows, ports::Batch& commit,
                      std::vector<proto::Delivery>& push) {
  for (const ports::Row& row : rows) {
    if (!window_open()) return;
    if (row.key.size() != kQueueKey) continue;  // damaged; not a row that this code wrote
    const Sequence sequence{get_be64(ByteView(row.key).subspan(1))};
    auto envelope = decode<proto::Envelope>(row.value);
    if (sequence <= acked_ || !envelope) {
      erase(sequence, row.value.size(), commit);
      read_ = sequence;
      continue;
    }
    note_sent(sequence, row.value.size());
    push.push_back({sequence, std::move(*envelope)});
  }
  if (rows.size() == kPageRows) return;
  // A short page is the end of what was stored when it was asked for.
  read_ = std::max(read_, asked_);
  caught_up_ = newest_ == asked_;
  if (caught_up_) stock_ = {unacked_.size(), unacked_bytes_};
}

}  // namespace godwit::server
