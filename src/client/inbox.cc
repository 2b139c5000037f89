#include "client/inbox.h"

#include <algorithm>

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

void Inbox::on_hint(proto::Envelope envelope, Turn& turn) {
  const bool sealed = envelope.type == proto::CiphertextType::kSealed;
  if (sealed && !parts_.sealing.open(envelope)) return;
  const ContactRow* contact = parts_.contacts.find(envelope.from);
  if (!contact || contact->unconfirmed || waiting()) return;
  if (!parts_.sessions.find({envelope.from, envelope.from_device})) return;
  bool readable = true;
  const auto content = open(envelope, readable, turn);
  if (!content || !content->typing) return;
  const GroupId group = content->group;
  if (!group.is_nil() && !parts_.groups.has_member(group, envelope.from)) return;
  turn.notify(TypingChanged{.chat = group.is_nil() ? ChatId(envelope.from) : ChatId(group),
                            .from = envelope.from,
                            .phone = contact->contact.phone,
                            .active = content->typing->active != 0});
}

// Processes what is there, up to the first delivery that has to wait.
void Inbox::work(Turn& turn) {
  Arrived arrived;
  const Sequence before = parts_.ledger.cursor;
  while (!parked_.empty()) {
    parked_octets_ -= parked_.front().envelope.ciphertext.size();
    const Seal seal = unseal(parked_.front().envelope, turn);
    parked_octets_ += parked_.front().envelope.ciphertext.size();
    if (seal == Seal::kLater) break;
    if (seal == Seal::kOpen) process(parked_.front().envelope, arrived, turn);
    if (waiting()) break;
    parts_.ledger.cursor = parked_.front().sequence;
    parked_octets_ -= parked_.front().envelope.ciphertext.size();
    parked_.pop_front();
    question_.reset();
  }
  tell_arrived(arrived, turn);
  if (parts_.ledger.cursor == before) return;
  turn.ledger = true;
  parts_.connection.tell(proto::Kind::kAck, encode(proto::Ack{parts_.ledger.cursor}), turn);
}

void Inbox::on_sealing(Turn& turn) {
  if (!parked_.empty() && !waiting()) work(turn);
}

Inbox::Seal Inbox::unseal(proto::Envelope& envelope, Turn& turn) {
  if (envelope.type != proto::CiphertextType::kSealed) return Seal::kOpen;
  if (parts_.sealing.awaits_root()) return Seal::kLater;
  const auto opened = parts_.sealing.open(envelope);
  if (opened) return Seal::kOpen;
  const Code code = opened.error().code;
  if (code == Code::kDuplicate) return Seal::kRefused;  // an own message came back
  if (code == Code::kCorrupt || code == Code::kUnsupported) {
    // Damaged on its way, or where it lay. There is no telling whom to ask to repeat it.
    if (damaged_.id != envelope.id) damaged_ = {envelope.id};
    if (++damaged_.tries < limits::kUnsealTries) {
      parts_.connection.drop("a message was damaged on its way: it is delivered again", turn);
      return Seal::kLater;
    }
  }
  ++parts_.counters.undecryptable;
  turn.notify(SenderRefused{std::string(opened.error().text)});
  return Seal::kRefused;
}

// Receipts, and what is unread.
void Inbox::tell_arrived(Arrived& arrived, Turn& turn) {
  for (auto& [chat, unread] : arrived.unread) {
    parts_.chats.add_unread(chat, std::move(unread), turn);
  }
  for (auto& [whose, ids] : arrived.ids) {
    const auto& [user, group] = whose;
    parts_.outbox.add_receipt(user, group, parts_.groups.receipts_within(group),
                              {Status::kDelivered, std::move(ids)}, turn);
    answered_.insert(user);
  }
}

void Inbox::on_released(std::vector<HeldRow> messages, Turn& turn) {
  Arrived arrived;
  for (const HeldRow& message : messages) process_group(message, arrived, turn);
  tell_arrived(arrived, turn);
}

void Inbox::process_group(const HeldRow& message, Arrived& arrived, Turn& turn) {
  const proto::Envelope& envelope = message.envelope;
  Groups::Failure failure = Groups::Failure::kNone;
  auto content = parts_.groups.open(message, failure, turn);
  if (failure != Groups::Failure::kNone) {
    ++parts_.counters.undecryptable;
    parts_.healing.on_unreadable(envelope, failure == Groups::Failure::kReused, turn);
    parts_.groups.doubt(turn);
  }
  ContactRow* contact = parts_.contacts.find(envelope.from);
  if (!content || !contact) return;
  take(*contact, envelope, std::move(*content), message.said.has_value(), arrived, turn);
}

void Inbox::process(const proto::Envelope& envelope, Arrived& arrived, Turn& turn) {
  const UserId from = envelope.from;
  if (envelope.type == proto::CiphertextType::kPlain) {
    const auto other = parts_.healing.on_request(envelope, turn);
    if (!other) return;
    parts_.groups.on_request(from, *other, turn);
    answered_.insert(from);
    return;
  }
  if (envelope.type == proto::CiphertextType::kGroupChange)
    return parts_.groups.on_change(envelope, turn);
  if (envelope.type == proto::CiphertextType::kSenderKey)
    return process_group({envelope, {}}, arrived, turn);
  bool readable = true;
  auto content = open(envelope, readable, turn);
  if (!readable) {
    parts_.healing.on_unreadable(envelope, false, turn);
    parts_.groups.doubt(turn);
  }
  if (!content) return;
  note_read(envelope.id);
  ContactRow* contact = parts_.contacts.find(from);
  CHECK(contact);
  turn.contacts.insert(from);
  if (content->profile_key.size() == 32) contact->profile_key = std::move(content->profile_key);
  // The id tells a repetition, not the number: a sender that was restored from a backup uses
  // numbers again. A receipt may be applied as often as it comes.
  const auto seen = contact->window.accept(content->stream, content->number);
  const bool late = seen != DeliveryWindow::Seen::kNew;
  if (content->receipt) {
    if (seen == DeliveryWindow::Seen::kDuplicate) ++parts_.counters.duplicates;
    if (parts_.settings.hides_reading && content->receipt->status == Status::kRead) {
      content->receipt->status = Status::kDelivered;
    }
    parts_.outbox.apply_receipt(*contact, envelope.from_device, *content->receipt, turn);
  } else if (parts_.recent.contains(from, content->id)) {
    ++parts_.counters.duplicates;
    if (content->text || content->act || content->repeat) {
      arrived.ids[{from, GroupId{}}].push_back(content->id);
    }
  } else {
    parts_.recent.add(from, content->id);
    take(*contact, envelope, std::move(*content), late, arrived, turn);
  }
  parts_.healing.on_alive(from, turn);
}

bool Inbox::was_read(EnvelopeId envelope) const {
  return std::ranges::find(read_, envelope) != read_.end();
}

void Inbox::note_read(EnvelopeId envelope) {
  read_.push_back(envelope);
  if (read_.size() > limits::kDeliverWindow) read_.pop_front();
}

// Decrypts. Nothing: it cannot be read, or (waiting()) its sender has to be looked up first; then
// nothing has changed. Not `readable`: it does not decrypt, and may if it is sent again.
std::optional<Content> Inbox::open(const proto::Envelope& envelope, bool& readable, Turn& turn) {
  const auto type = type_of(envelope.type);
  const UserId from = envelope.from;
  if (!type || from.is_nil() || from == parts_.registration.profile().user ||
      envelope.from_device.value == 0 || envelope.from_device.value > 127) {
    ++parts_.counters.undecryptable;
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
    // A server may store an envelope twice. But a key that was used for another one was used again
    // by a sender that was restored from a backup.
    if (opened.error().code == Code::kDuplicate && was_read(envelope.id)) {
      ++parts_.counters.duplicates;
      return std::nullopt;
    }
    ++parts_.counters.undecryptable;
    readable = false;
    const bool starts = *type == e2e::MessageType::kPrekey;
    const Code code = opened.error().code;
    if (code == Code::kNotFound) parts_.keyring.doubt(turn.env.now, limits::kPrekeyRenewals);
    if (starts && code == Code::kCorrupt) parts_.keyring.doubt(turn.env.now, 1);
    return std::nullopt;
  }
  auto content = open_content(opened->plaintext);
  if (!contact || contact->unconfirmed) {
    contact = introduce(from, content ? *content : Content{}, turn);
    if (waiting()) return std::nullopt;
  }
  if (!contact) {
    ++parts_.counters.undecryptable;
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
    ++parts_.counters.undecryptable;
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

void Inbox::take(ContactRow& contact, const proto::Envelope& envelope, Content content, bool late,
                 Arrived& arrived, Turn& turn) {
  const UserId from = envelope.from;
  if (content.group_key) {
    return parts_.groups.on_key(from, envelope.from_device, *content.group_key, turn);
  }
  if (content.repeat) {
    arrived.ids[{from, GroupId{}}].push_back(content.id);
    const proto::Envelope said{.id = envelope.id,
                               .from = from,
                               .from_device = envelope.from_device,
                               .type = proto::CiphertextType::kSenderKey,
                               .accepted = envelope.accepted};
    return process_group({said, std::move(*content.repeat)}, arrived, turn);
  }
  // About a group only this is said to one member alone, and to no stranger.
  const bool aside = content.act && content.act->kind == Act::Kind::kOpened &&
                     parts_.groups.has_member(content.group, from);
  const bool in_group = envelope.type == proto::CiphertextType::kSenderKey;
  const bool placed = content.group.is_nil() != in_group || aside;
  if (!placed || (!content.text && !content.act)) {
    ++parts_.counters.unknown;
    return;
  }
  const ChatId chat = content.group.is_nil() ? ChatId(from) : ChatId(content.group);
  // What was said to one alone is confirmed at once: it is repeated if it is not.
  arrived.ids[{from, in_group ? content.group : GroupId{}}].push_back(content.id);
  if (content.text) return take_text(chat, contact, envelope, content, late, arrived, turn);
  // What is done here after this has a higher revision, unless their clock is quite wrong.
  const auto latest = static_cast<std::uint64_t>((turn.env.now + days(1)).ms);
  parts_.ledger.revision =
      std::max(parts_.ledger.revision, std::min(content.act->revision, latest));
  turn.ledger = true;
  const Rights rights =
      chat.is_group() ? parts_.groups.rights(chat.group(), from, content.group_version) : Rights{};
  if (!parts_.journal.apply(chat, from, rights, content.composed, *content.act, turn)) return;
  if (content.act->kind == Act::Kind::kDeletion) {
    std::erase_if(arrived.unread[chat],
                  [&](const Unread& m) { return m.id == content.act->target; });
  }
  turn.notify(MessageChanged{chat, from, contact.contact.phone, std::move(*content.act)});
}

void Inbox::take_text(ChatId chat, const ContactRow& contact, const proto::Envelope& envelope,
                      Content& content, bool late, Arrived& arrived, Turn& turn) {
  const UserId from = envelope.from;
  const std::uint64_t order = parts_.ledger.next_order++;
  turn.ledger = true;
  Message message{.id = content.id,
                  .chat = chat,
                  .phone = contact.contact.phone,
                  .direction = Direction::kIn,
                  .status = Status::kDelivered,
                  .composed = content.composed,
                  .received = envelope.accepted,
                  .text = std::move(content.text->body),
                  .extras = std::move(content.text->extras),
                  .late = late,
                  .from = from};
  parts_.journal.add(message, order, turn);
  message.order = order;
  if (message.extras.view_once) message.text.clear();  // seen by opening it, once
  const Extras& extras = message.extras;
  if (extras.sets_lifetime &&
      (!chat.is_group() || parts_.groups.rights(chat.group(), from, content.group_version).edits)) {
    parts_.chats.set_lifetime(chat, extras.lifetime, message.composed, turn);
  }
  if (!message.deleted) {
    const std::string& own = parts_.registration.profile().phone;
    arrived.unread[chat].push_back(
        {.order = order,
         .id = message.id,
         .lifetime = extras.sets_lifetime ? Duration{} : extras.lifetime,
         .from = from,
         .mentions = std::ranges::find(extras.mentions, own) != extras.mentions.end()});
  }
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
  parked_.clear();
  parked_octets_ = 0;
  question_.reset();
}

}  // namespace godwit::client
