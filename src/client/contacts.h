// Contacts: the people this account has met: their number, identity key, and how far the
// conversation's bookkeeping came in both directions.
//
// A number is bound to a user only as the directory says. An identity key is pinned at first
// contact; a change is always told, and for a verified person it waits for the owner's consent.
#pragma once

#include <map>

#include "client/turn.h"
#include "e2e/identity.h"

namespace godwit::client {

class Contacts {
 public:
  std::vector<Contact> list() const;
  bool knows(UserId user) const { return contacts_.contains(user); }
  ContactRow* find(UserId user);
  const ContactRow* find(std::string_view phone) const;
  ContactRow* find(std::string_view phone);
  // The contact, made if need be; null when limits::kContacts are known.
  ContactRow* add(UserId user, Turn& turn);
  // The directory says that this is the person's number. Another person's claim to it ends.
  void bind(ContactRow& contact, const std::string& phone, Turn& turn);

  // The key to encrypt to and to expect; nullopt before the first session.
  static std::optional<e2e::PublicKey> pinned(const ContactRow& contact);
  // A session with this key came to be. Unverified: it becomes the pinned key. Verified: it waits
  // as new_identity_key, and sending is held. Either change is told once.
  void learn_identity(ContactRow& contact, const e2e::PublicKey& key, Turn& turn);
  // Sending waits for the owner's consent to a new key.
  static bool held(const ContactRow& contact) { return !contact.contact.new_identity_key.empty(); }
  // Accepts a waiting key, and notes whether the owner has compared the safety number.
  void set_verified(ContactRow& contact, bool verified, Turn& turn);

  void load(ContactRow row);
  void store(UserId user, ports::Batch& batch) const;
  void store_all(ports::Batch& batch) const;

 private:
  std::map<UserId, ContactRow> contacts_;
  std::map<std::string, UserId, std::less<>> by_phone_;
};

}  // namespace godwit::client
