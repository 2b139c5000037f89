// Engine::State: the parts of the engine, and the routes between them. It routes; it decides
// nothing.
#pragma once

#include "client/courier.h"
#include "client/engine.h"
#include "client/groups.h"
#include "client/inbox.h"
#include "client/sealing.h"

namespace godwit::client {

struct Engine::State {
  Ledger ledger;
  Keyring keyring;
  Contacts contacts;
  Sessions sessions;
  Receipts receipts;
  SentLog sent;
  Chats chats;
  Journal journal{chats, receipts, sent};
  SettingsRow settings;
  std::map<std::string, BroadcastList> lists;  // by folded name
  RecentContents recent;
  EngineCounters counters;
  Connection connection;
  Connection nameless{Line::kNameless};
  Lookups lookups{connection};
  Registration registration{keyring, connection};
  Sealing sealing{{registration, keyring, connection}};
  Outbox outbox{contacts, receipts, sent, journal, ledger};
  Healing healing{{registration, contacts, sessions, sent, counters}};
  Courier courier{{registration, keyring, contacts, sessions, outbox, sent, healing, connection,
                   nameless, sealing}};
  Groups groups{{registration, keyring, contacts, outbox, courier, lookups, connection, recent,
                 receipts, journal, sent, ledger}};
  Inbox inbox{{registration, keyring, contacts, sessions, chats, journal, settings, outbox, lookups,
               connection, healing, recent, groups, ledger, counters, sealing}};
  bool uploading = false;  // prekeys are on their way to the server
  Instant latest;          // the time of the latest event

  Result<void> load(const Snapshot& snapshot);
  Result<void> load_chats(const ports::Row& row, std::uint8_t tag, ByteView rest);
  Result<void> load_outbox(const ports::Row& row, std::uint8_t tag, ByteView rest);
  Result<void> complete();  // after the last load()
  ports::Batch dump() const;

  // Starts an event's turn. Nothing waits longer because the clock was set back.
  Turn begin(Env& env);
  // Sends what may be sent, then emits the turn: one Commit, then everything else.
  void finish(Turn& turn, Effects& out);

  std::uint64_t take_order(Turn& turn);
  std::uint64_t take_revision(Turn& turn);
  // Queues a text, or writes it down when it is for this account itself.
  Result<MessageId> send(const Recipient& to, Text text, Turn& turn);
  // Queues what this account did in a chat; `about`: the message, when its writer alone is told.
  Result<void> tell(ChatId chat, const Message* about, const Act& act, Turn& turn);
  // The chat with this number, also one's own; nil: nothing is known about it.
  ChatId chat_with(std::string_view phone) const;
  // What this account may do in a chat.
  Rights rights(ChatId chat) const;
  MessageId note_to_self(Text text, Turn& turn);

  void attach(Turn& turn);
  void route(proto::Frame& frame, Turn& turn);
  void route_nameless(const proto::Frame& frame, Turn& turn);
  void on_answer(const Request& request, ByteView body, Turn& turn);
  void on_error(const Request& request, const proto::ErrorBody& error, Turn& turn);
  void on_attached(const proto::Attached& attached, Turn& turn);
  void on_sealing(Turn& turn);
  void on_lookup(const std::string& phone, UserId user, Turn& turn);
  void on_lookup_error(const std::string& phone, const proto::ErrorBody& error, Turn& turn);
  static const proto::PrekeyStock kFullStock;  // no one-time prekeys are missing
  void upload_prekeys(const proto::PrekeyStock& left, Turn& turn);
  void malformed(Turn& turn) { connection.drop("the server sent a malformed frame", turn); }
};

}  // namespace godwit::client
