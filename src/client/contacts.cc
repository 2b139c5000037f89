#include "client/contacts.h"

namespace godwit::client {

std::vector<Contact> Contacts::list() const {
  std::vector<Contact> out;
  for (const auto& [user, row] : contacts_) out.push_back(row.contact);
  return out;
}

ContactRow* Contacts::find(UserId user) {
  const auto found = contacts_.find(user);
  return found == contacts_.end() ? nullptr : &found->second;
}

const ContactRow* Contacts::find(std::string_view phone) const {
  const auto found = by_phone_.find(phone);
  return found == by_phone_.end() ? nullptr : &contacts_.at(found->second);
}

ContactRow* Contacts::find(std::string_view phone) {
  const auto found = by_phone_.find(phone);
  return found == by_phone_.end() ? nullptr : find(found->second);
}

ContactRow* Contacts::add(UserId user, Turn& turn) {
  if (ContactRow* known = find(user)) return known;
  if (contacts_.size() >= limits::kContacts) return nullptr;
  ContactRow& made = contacts_[user];
  made.contact.user = user;
  turn.contacts.insert(user);
  return &made;
}

void Contacts::bind(ContactRow& contact, const std::string& phone, Turn& turn) {
  const UserId user = contact.contact.user;
  turn.contacts.insert(user);
  contact.unconfirmed = false;
  if (contact.contact.phone == phone) return;
  if (ContactRow* before = find(phone)) {
    before->contact.phone.clear();
    turn.contacts.insert(before->contact.user);
  }
  by_phone_.erase(contact.contact.phone);
  contact.contact.phone = phone;
  by_phone_[phone] = user;
}

std::optional<e2e::PublicKey> Contacts::pinned(const ContactRow& contact) {
  const auto key = e2e::PublicKey::parse(contact.contact.identity_key);
  if (!key) return std::nullopt;
  return *key;
}

void Contacts::learn_identity(ContactRow& contact, const e2e::PublicKey& key, Turn& turn) {
  Contact& who = contact.contact;
  const Bytes wire = to_bytes(key.wire());
  if (who.identity_key == wire || who.new_identity_key == wire) return;
  turn.contacts.insert(who.user);
  if (who.identity_key.empty()) {
    who.identity_key = wire;
    return;
  }
  (who.verified ? who.new_identity_key : who.identity_key) = wire;
  turn.notify(IdentityChanged{who.user, who.phone});
}

void Contacts::set_verified(ContactRow& contact, bool verified, Turn& turn) {
  Contact& who = contact.contact;
  if (held(contact)) who.identity_key = std::move(who.new_identity_key);
  who.new_identity_key.clear();
  who.verified = verified;
  turn.contacts.insert(who.user);
}

void Contacts::load(ContactRow row) {
  const UserId user = row.contact.user;
  if (!row.contact.phone.empty()) by_phone_[row.contact.phone] = user;
  contacts_[user] = std::move(row);
}

void Contacts::store(UserId user, ports::Batch& batch) const {
  batch.put(ports::Space::kContact, row_key('C', user), encode(contacts_.at(user)));
}

void Contacts::store_all(ports::Batch& batch) const {
  for (const auto& [user, contact] : contacts_) store(user, batch);
}

}  // namespace godwit::client
