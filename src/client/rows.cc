#include "client/rows.h"

namespace godwit::client {

std::size_t Item::octets() const {
  if (receipt) return receipt->ids.size() * (sizeof(MessageId) + 4);
  if (act) return act->text.size() + 64;
  if (group_key) return 2 * kMaxDistribution;
  if (repeat) return Item{.text = repeat->text, .act = repeat->act}.octets() + 96;
  // Nearly all texts carry nothing: then counting costs nothing.
  const Extras& e = text->extras;
  std::size_t more = 128 + 24 * e.mentions.size();
  if (e.quote) more += e.quote->snippet.size() + 32;
  if (const auto& p = e.preview; p) more += p->url.size() + p->title.size() + p->description.size();
  if (e.poll) {
    for (const std::string& option : e.poll->options) more += option.size() + 4;
  }
  if (e.card) more += e.card->name.size() + 24;
  if (e.place) more += e.place->name.size() + 32;
  return text->body.size() + more;
}

Message message_of(const Item& item) {
  Message message{.id = item.id,
                  .direction = Direction::kOut,
                  .status = Status::kQueued,
                  .composed = item.composed,
                  .text = item.text->body,
                  .extras = item.text->extras};
  if (message.extras.view_once) {  // who wrote it cannot look at it again, either
    message.text.clear();
    message.extras = {};
    message.extras.view_once = true;
  }
  return message;
}

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

Bytes list_row_key(std::string_view name) {
  Bytes key = row_key('B');
  append(key, view_of(name));
  return key;
}

Bytes id_row_key(MessageId id, ChatId chat) {
  Bytes key{kIdTag};
  append(key, id.view());
  append(key, chat_key(chat));
  return key;
}

Bytes act_prefix(ChatId chat, MessageId id) {
  Bytes key = chat_key(chat);
  append(key, id.view());
  return key;
}

Bytes act_row_key(ChatId chat, MessageId id, char what) {
  Bytes key = act_prefix(chat, id);
  key.push_back(static_cast<std::uint8_t>(what));
  return key;
}

Bytes act_row_key(ChatId chat, MessageId id, char what, UserId who) {
  Bytes key = act_row_key(chat, id, what);
  append(key, who.view());
  return key;
}

Bytes after_prefix(Bytes prefix) {
  while (!prefix.empty() && prefix.back() == 0xFF) prefix.pop_back();
  if (!prefix.empty()) ++prefix.back();
  return prefix;
}

}  // namespace godwit::client
