// Engine: everything a client is, without a screen, a socket, a clock or a disk.
//
// It is told what happened (a command of the person, a frame of the server, the time) and appends
// what must happen to `out`. A Commit gates every later effect (commit rule): a ciphertext leaves
// only after the ratchet that made it is stored, a message is shown and acknowledged only after it
// is stored. Every call ends in at most one Commit, and its other effects follow it. If a commit
// fails, the keeper drops the later effects, closes the connection and loads a new Engine.
//
// Invariants, checked by sim/:
//   * a message is shown exactly once, in its sender's order, or marked as late: it could not be
//     read at first, and was asked for again (docs/protocol.md);
//   * a person's message is never lost: it is in the outbox until the server accepted it;
//   * receipts only move forward: sent, delivered, read;
//   * the live engine equals the one that a restart would load.
//
// Not thread-safe, and need not be.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/env.h"
#include "client/content.h"
#include "client/effects.h"
#include "client/rows.h"
#include "client/types.h"
#include "ports/store.h"
#include "proto/messages.h"

namespace godwit::client {

class Engine {
 public:
  // Loads everything but the history from rows; an empty store gives an unregistered engine.
  // The keeper scans the partition kPartition, space by space, for each of kHydrated.
  static Bytes partition();
  static std::span<const ports::Space> hydrated_spaces();
  struct Snapshot {
    ports::Space space;
    std::vector<ports::Row> rows;
  };
  static Result<std::unique_ptr<Engine>> load(std::vector<Snapshot> snapshots);
  ~Engine();

  // ---- commands. Each reports at once what it can refuse at once (kInvalid, kTooLarge, …).

  // Asks for a verification code, on a connection of its own making: Event::CodeRequested, or
  // Event::Failed, kUnavailable when the server cannot be reached. One such command at a time.
  Result<RequestId> request_code(std::string_view phone, Env& env, Effects& out);
  // Creates identity, prekeys and the account. Answer: Event::Registered or Event::Failed.
  Result<RequestId> register_account(std::string_view phone, std::string_view code, Env& env,
                                     Effects& out);
  bool registered() const;
  const Profile& profile() const;

  // Queues a text for the person with this number (E.164); leaves at the next connection.
  // Empty text is kInvalid unless `allow_empty`; not UTF-8 is kInvalid; over 64 KiB is kTooLarge;
  // kFull: the outbox holds limits::kOutboxMessages.
  struct SendOptions {
    bool allow_empty = false;  // a blank line of a file
  };
  Result<MessageId> send_text(std::string_view phone, std::string_view text, SendOptions options,
                              Env& env, Effects& out);
  // The same to a number or a group, with what a message may carry. To the own number: a note,
  // which goes nowhere. Unless it says another lifetime, it gets the chat's. kInvalid: extras that
  // are not whole, or mention somebody who is not in the group. kForbidden: not in this group.
  Result<MessageId> send(const Recipient& to, Text text, SendOptions options, Env& env,
                         Effects& out);
  // Passes a message on, to at most limits::kForwardChats chats, or to one when it went far
  // already. kForbidden: too many; it may be viewed once only; it is gone.
  Result<std::vector<MessageId>> forward(const Message& message,
                                         const std::vector<Recipient>& recipients, Env& env,
                                         Effects& out);
  // Does something to a message of a chat, and tells who is in it: Event::MessageChanged, at once;
  // for what only a group's admins may do, when the server has it and they still are.
  // `revision` is set here. kForbidden, with the reason: an edit or deletion that is not allowed.
  Result<void> act(ChatId chat, Act act, Env& env, Effects& out);
  // Erases a message on this device only.
  void erase(const Message& message, Env& env, Effects& out);
  // What a view-once message says; with the Commit it is gone for good. kNotFound: it was opened.
  // `message` as read_message() read it.
  Result<Text> open_once(const Message& message, Env& env, Effects& out);
  void set_starred(const Message& message, bool on, Env& env, Effects& out);

  // The chat with this number, also one's own; nil: nothing is known about it.
  ChatId chat(std::string_view phone) const;
  const ChatRow& chat(ChatId chat) const;
  std::vector<MessageId> pins(ChatId chat) const;
  std::size_t unread(ChatId chat) const;
  std::size_t mentions(ChatId chat) const;  // unread ones that mention this account
  std::vector<ChatId> unread_chats() const;
  // Own settings of a chat; absent ones stay as they are.
  struct ChatChange {
    std::optional<bool> archived;
    std::optional<Instant> muted_until;
    std::optional<std::string> draft;
  };
  Result<void> change_chat(ChatId chat, ChatChange change, Env& env, Effects& out);

  // Whether read receipts are sent and shown: both or neither.
  bool tells_reading() const;
  void set_tells_reading(bool on, Env& env, Effects& out);

  // Broadcast lists, by name; case does not matter. Sending to one is sending to each.
  std::vector<BroadcastList> broadcast_lists() const;
  const BroadcastList* broadcast_list(std::string_view name) const;
  Result<void> put_broadcast_list(BroadcastList list, Env& env, Effects& out);
  Result<void> drop_broadcast_list(std::string_view name, Env& env, Effects& out);

  // ---- groups

  // Makes a group of this account; others are added by change_group(). Its id is known at once.
  Result<GroupId> create_group(std::string_view name, Env& env, Effects& out);
  enum class GroupAct : std::uint8_t { kAdd, kRemove, kPromote, kDemote, kLeave };
  // Asks for a change that concerns the person with this number (kLeave: this account). Answer:
  // Event::GroupChangeDone, once; every change of a group is an Event::GroupChanged.
  Result<void> change_group(GroupId group, GroupAct act, std::string_view phone, Env& env,
                            Effects& out);
  // The following ask likewise. Name, description and picture are sealed for the members.
  Result<void> edit_group(GroupId group, GroupEdit edit, Env& env, Effects& out);
  Result<void> set_group_rules(GroupId group, GroupRules rules, Env& env, Effects& out);
  // Makes a link by which people join, instead of the one that there is; GroupView has its text.
  Result<void> make_group_link(GroupId group, LinkTerms terms, Env& env, Effects& out);
  Result<void> revoke_group_link(GroupId group, Env& env, Effects& out);
  // Lets in somebody of GroupView::pending, or does not.
  Result<void> answer_pending(GroupId group, UserId user, bool let_in, Env& env, Effects& out);
  // Comes into a group by a link. Once GroupChangeDone is told, this account is in it, or waits
  // for an admin (GroupView::waits). kInvalid: no such link. kConflict: in it already.
  Result<GroupId> join_group(std::string_view link, Env& env, Effects& out);
  std::vector<GroupView> groups() const;

  // ---- reading, and who is known

  // Marks all received messages of a chat as read and tells their senders.
  Result<void> mark_read(ChatId chat, Env& env, Effects& out);
  // Tells a person, or a group's members, who are connected that this one is composing, or no
  // longer is. Silently nothing without a connection or a session, and in groups of more than
  // limits::kTypingMembers. Repeat every limits::kTypingRepeats while it goes on.
  void set_typing(ChatId chat, bool active, Env& env, Effects& out);
  // Contact by number, if one is known: identity, verification state.
  const Contact* contact(std::string_view phone) const;
  const Contact* contact(UserId user) const;
  // Everybody known, also those whose number is not.
  std::vector<Contact> contacts() const;
  // Safety number with that contact (60 digits) and QR payload; kNotFound before first contact.
  Result<SafetyNumber> safety_number(std::string_view phone) const;
  // Notes that the owner has compared `digits`, as safety_number() told them. Accepts a key that
  // waits as Contact::new_identity_key, and lets the messages go that it held up. kConflict: the
  // safety number is another one by now, and is to be compared anew.
  Result<void> set_verified(std::string_view phone, std::string_view digits, Env& env,
                            Effects& out);
  // Takes it back. A key that waits is accepted, unverified.
  Result<void> set_unverified(std::string_view phone, Env& env, Effects& out);

  // ---- the connections. The engine asks for them with Connect and is told how they go.

  void on_connected(Env& env, Effects& out, Line line = Line::kOwn);
  void on_disconnected(Env& env, Effects& out, Line line = Line::kOwn);
  void on_frame(proto::Frame frame, Env& env, Effects& out, Line line = Line::kOwn);

  // Call when deadline() is reached: reconnects, time-outs, pings, retries.
  void on_tick(Env& env, Effects& out);
  Instant deadline() const;
  // When the next message disappears, connected or not; and what to call then. on_tick() does it,
  // too.
  Instant expiry() const;
  void expire(Env& env, Effects& out);
  // True while anything waits for the server: outbox, receipts, acknowledgements.
  bool busy() const;
  // Messages composed and not yet accepted.
  std::size_t outbox_size() const;
  // When the own connection is tried again; kNever: there is one, or none is wanted.
  Instant next_try() const;
  EngineCounters counters() const;
  // Every row of the hydrated spaces as a restart would have to find it: for tests, checkers.
  ports::Batch dump() const;

 private:
  Engine();
  void mark(std::string_view phone, bool verified, Env& env, Effects& out);
  Result<void> check(const Text& text, SendOptions options) const;
  Result<void> do_act(ChatId chat, const Message* about, Act act, Env& env, Effects& out);
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace godwit::client
