#include "client/inbox.h"

#include "base/check.h"

namespace godwit::client {
namespace {

using ports::Space;

std::optional<e2e::MessageType> type_of(proto::CiphertextType type) {
  if (type == proto::CiphertextType::kWhisper) return e2e::MessageType::kWhisper;
  if (type == proto::CiphertextType::kPrekey) return e2e::MessageType::kPrekey;
  return std::nullopt;
}

}  // namespace

void Inbox::on_deliver(proto::Deliver deliver, Turn& turn) {
  Sequence last = parked_.empty() ? parts_.ledger.cursor : parked_.back().sequence;
  bool repeated = deliver.deliveries.empty();
  for (proto::Delivery& delivery : deliver.deliveries) {
    if (delivery.sequence <= last) {
      repeated = true;
      continue;
    }
    last = delivery.sequence;
    parked_octets_ += delivery.envelope.ciphertext.size();
    parked_.push_back(std::move(delivery));
  }
  if (parked_.size() > limits::kDeliverWindow || parked_octets_ > 2 * limits::kDeliverWindowBytes) {
    return parts_.connection.drop("the server sent more than it may", turn);
  }
  if (!parked_.empty() && !waiting()) {
    work(turn);
  } else if (repeated) {
    parts_.connection.tell(proto::Kind::kAck, encode(proto::Ack{parts_.ledger.cursor}), turn);
  }
}

void Inbox::on_hint(const proto::Envelope& envelope, Turn& turn) {
  const ContactRow* contact = parts_.contacts.find(envelope.from);
  if (!contact || contact->unconfirmed || waiting()) return;
  if (!parts_.sessions.find({envelope.from, envelope.from_device})) return;
  const auto content = open(envelope, turn);
  if (!content || !content->typing) return;
  turn.notify(TypingChanged{.chat = envelope.from,
                            .phone = contact->contact.phone,
                            .active = content->typing->active != 0});
}

void Inbox::on_caught_up(Turn& turn) {
  caught_up_ = true;
  if (told_caught_up_ || !parked_.empty()) return;
  told_caught_up_ = true;
  turn.notify(CaughtUp{});
}

// Processes what is there, up to the first delivery that has to wait.
void Inbox::work(Turn& turn) {
  Arrived arrived;
  const Sequence before = parts_.ledger.cursor;
  while (!parked_.empty()) {
    process(parked_.front().envelope, arrived, turn);
    if (waiting()) break;
    parts_.ledger.cursor = parked_.front().sequence;
    parked_octets_ -= parked_.front().envelope.ciphertext.size();
    parked_.pop_front();
    question_.reset();
  }
  for (auto& [user, arrivals] : arrived) {
    parts_.receipts.add_unread(user, arrivals.first_order, arrivals.ids, turn);
    parts_.outbox.add_receipt(user, Status::kDelivered, std::move(arrivals.ids), turn);
    answered_.insert(user);
  }
  if (parts_.ledger.cursor == before) return;
  if (caught_up_ && !told_caught_up_) on_caught_up(turn);
  turn.ledger = true;
  parts_.connection.tell(proto::Kind::kAck, encode(proto::Ack{parts_.ledger.cursor}), turn);
}

void Inbox::process(const proto::Envelope& envelope, Arrived& arrived, Turn& turn) {
  auto content = open(envelope, turn);
  if (!content) return;
  ContactRow* contact = parts_.contacts.find(envelope.from);
  CHECK(contact);
  turn.contacts.insert(envelope.from);
  const auto seen = contact->window.accept(content->stream, content->number);
  if (seen == DeliveryWindow::Seen::kDuplicate) {
    ++counters_.duplicates;
  } else {
    take(*contact, envelope, std::move(*content), arrived, turn);
  }
}

// Decrypts. Nothing: it cannot be read, or (waiting()) its sender has to be looked up first; then
// nothing has changed.
std::optional<Content> Inbox::open(const proto::Envelope& envelope, Turn& turn) {
  const auto type = type_of(envelope.type);
  const UserId from = envelope.from;
  if (!type || from.is_nil() || from == parts_.registration.profile().user ||
      envelope.from_device.value == 0 || envelope.from_device.value > 127) {
    ++counters_.undecryptable;
    return std::nullopt;
  }
  const SessionKey key{from, envelope.from_device};
  ContactRow* contact = parts_.contacts.find(from);
  const auto pinned = contact ? Contacts::pinned(*contact) : std::nullopt;

  // A stranger's session is kept only once it is known who it is.
  e2e::Session* stored = parts_.sessions.find(key);
  const bool tentative = !stored || !contact || contact->unconfirmed;
  const Profile& profile = parts_.registration.profile();
  e2e::Session scratch({profile.user, profile.device}, {key.user, key.device});
  if (tentative && stored) scratch = stored->clone();
  e2e::Session& session = tentative ? scratch : *stored;

  const auto decrypt = [&](const e2e::PublicKey* expected) {
    return e2e::decrypt(session, parts_.keyring.identity(), parts_.keyring, *type,
                        envelope.ciphertext, expected, turn.env);
  };
  auto opened = decrypt(pinned ? &*pinned : nullptr);
  // Receiving goes on with a new key, with a notice; sending does so only as Contacts decides.
  if (!opened && opened.error().code == Code::kForbidden) opened = decrypt(nullptr);
  if (!opened) {
    // A request to the sender to repeat itself on a new session belongs here.
    ++(opened.error().code == Code::kDuplicate ? counters_.duplicates : counters_.undecryptable);
    return std::nullopt;
  }
  auto content = open_content(opened->plaintext);
  if (!contact || contact->unconfirmed) {
    contact = introduce(from, content ? *content : Content{}, turn);
    if (waiting()) return std::nullopt;
  }
  if (!contact) {
    ++counters_.undecryptable;
    return std::nullopt;
  }
  if (tentative) parts_.sessions.keep(key, std::move(scratch), turn);
  turn.sessions.insert(key);
  parts_.keyring.consume(*opened, turn);
  // An old session with an old key may still say what was sent before the key changed.
  if (opened->new_session || contact->contact.identity_key.empty()) {
    parts_.contacts.learn_identity(*contact, opened->sender, turn);
  }
  if (!content) {
    ++counters_.undecryptable;
    return std::nullopt;
  }
  return std::move(*content);
}

// The contact of a sender whose number is not confirmed. Null: no room for another, or waiting().
ContactRow* Inbox::introduce(UserId from, const Content& content, Turn& turn) {
  const std::string& phone = content.sender_phone;
  const bool claims = is_phone(phone);
  if (claims && (!question_ || question_->phone != phone)) {
    question_ = Question{.phone = phone};
    parts_.lookups.want(phone);
  }
  if (waiting()) return nullptr;
  ContactRow* contact = parts_.contacts.add(from, turn);
  if (!contact) return nullptr;
  turn.contacts.insert(from);
  contact->unconfirmed = claims && question_->unanswerable;
  if (claims && question_->user == from) parts_.contacts.bind(*contact, phone, turn);
  return contact;
}

void Inbox::take(ContactRow& contact, const proto::Envelope& envelope, Content content,
                 Arrived& arrived, Turn& turn) {
  const UserId from = envelope.from;
  if (content.receipt) {
    parts_.outbox.apply_receipt(contact, *content.receipt, turn);
    return;
  }
  if (!content.text) {
    ++counters_.unknown;
    return;
  }
  const std::uint64_t order = parts_.ledger.next_order++;
  turn.ledger = true;
  Message message{.id = content.id,
                  .chat = from,
                  .phone = contact.contact.phone,
                  .direction = Direction::kIn,
                  .status = Status::kDelivered,
                  .composed = content.composed,
                  .received = envelope.accepted,
                  .text = std::move(content.text->body)};
  turn.put(Space::kMessage, message_row_key(from, order), encode(message));
  Arrivals& arrivals = arrived[from];
  if (arrivals.ids.empty()) arrivals.first_order = order;
  arrivals.ids.push_back(message.id);
  turn.notify(MessageReceived{std::move(message)});
}

void Inbox::on_lookup(const std::string& phone, UserId user, Turn& turn) {
  if (!waits_for(phone)) return;
  question_->answered = true;
  question_->user = user;
  work(turn);
}

void Inbox::on_lookup_failed(const std::string& phone, Code code, Turn& turn) {
  if (!waits_for(phone)) return;
  if (code != Code::kRateLimited && ++question_->tries < limits::kLookupTries) return;
  // Shown without a number rather than not at all; asked again with the next message.
  question_->answered = true;
  question_->unanswerable = true;
  work(turn);
}

void Inbox::on_disconnected() {
  caught_up_ = false;
  told_caught_up_ = false;
  parked_.clear();
  parked_octets_ = 0;
  question_.reset();
}

}  // namespace godwit::client
