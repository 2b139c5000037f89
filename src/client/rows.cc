#include "client/rows.h"

namespace godwit::client {

Bytes row_key(char tag) { return {static_cast<std::uint8_t>(tag)}; }

Bytes row_key(char tag, std::uint32_t id) {
  Bytes key = row_key(tag);
  put_be32(key, id);
  return key;
}

Bytes row_key(char tag, std::uint64_t order) {
  Bytes key = row_key(tag);
  put_be64(key, order);
  return key;
}

Bytes row_key(char tag, UserId user) {
  Bytes key = row_key(tag);
  append(key, user.view());
  return key;
}

Bytes row_key(char tag, UserId user, std::uint64_t order) {
  Bytes key = row_key(tag, user);
  put_be64(key, order);
  return key;
}

Bytes row_key(char tag, GroupId group) {
  Bytes key = row_key(tag);
  append(key, group.view());
  return key;
}

Bytes row_key(char tag, GroupId group, std::uint64_t order) {
  Bytes key = row_key(tag, group);
  put_be64(key, order);
  return key;
}

Bytes row_key(char tag, ChatId chat, std::uint64_t order) {
  Bytes key = row_key(tag);
  append(key, chat_key(chat));
  put_be64(key, order);
  return key;
}

Bytes session_row_key(SessionKey key) {
  Bytes out = to_bytes(key.user.view());
  out.push_back(key.device.value);
  return out;
}

Bytes message_row_key(ChatId chat, std::uint64_t order) {
  Bytes key = chat_key(chat);
  put_be64(key, order);
  return key;
}

Bytes progress_row_key(ChatId chat, std::uint64_t order) {
  Bytes key = message_row_key(chat, order);
  key.push_back('s');
  return key;
}

}  // namespace godwit::client
