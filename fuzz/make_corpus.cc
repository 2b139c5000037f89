// Writes the seeds that are easier said in C++ than in hexadecimal: make_corpus fuzz/corpus
//
// Run it after a change of the wire that the seeds should follow, and commit what it wrote.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "client/group_link.h"
#include "client/group_log.h"
#include "client/rows.h"
#include "e2e/attachment.h"
#include "e2e/fingerprint.h"
#include "e2e/resend.h"
#include "e2e/sealed_sender.h"
#include "e2e/sender_key.h"
#include "e2e/session.h"
#include "proto/frame.h"

using namespace godwit;

namespace {

std::filesystem::path corpus;

void write(std::string_view target, std::string_view name, const Bytes& octets) {
  const auto folder = corpus / target;
  std::filesystem::create_directories(folder);
  std::ofstream file(folder / name, std::ios::binary);
  file.write(reinterpret_cast<const char*>(octets.data()),
             static_cast<std::streamsize>(octets.size()));
}

Bytes filled(std::size_t size, std::uint8_t octet) { return Bytes(size, octet); }

void messages() {
  std::uint8_t next = 0;
  const auto add = [&](std::string_view name, const auto& record) {
    Bytes octets = {next++};
    encode_to(octets, record);
    write("messages", name, octets);
  };
  SeededEntropy entropy(1);
  const UserId user = UserId::random(entropy);
  const EnvelopeId envelope = EnvelopeId::random(entropy);
  const proto::SignedPrekey signed_prekey{7, filled(33, 5), filled(64, 6)};
  const proto::OneTimePrekey one_time{9, filled(33, 5)};
  const proto::KemPrekey kem{8, filled(1569, 8), filled(64, 6)};
  const proto::Parcel parcel{envelope, {1}, 77, proto::CiphertextType::kPrekey, filled(40, 1)};
  const proto::Envelope stored{envelope,     user,  {1}, proto::CiphertextType::kWhisper,
                               filled(9, 2), {1000}};
  add("frame", proto::Frame{proto::Kind::kPing, 1, filled(3, 4)});
  add("error", proto::ErrorBody{Code::kConflict, "refresh", {9}, {{{1}, 7}, {{2}, 8}}});
  add("request_code", proto::RequestCode{"+33612345678"});
  add("register", proto::Register{"+33612345678",
                                  "123456",
                                  77,
                                  filled(33, 5),
                                  signed_prekey,
                                  {one_time, one_time},
                                  kem,
                                  {kem}});
  add("registered", proto::Registered{user, {1}});
  add("attach", proto::Attach{user, {1}, {1ULL << 40 | 3}});
  add("attached", proto::Attached{{1000}, {20, 5}});
  add("lookup", proto::Lookup{"+33612345678"});
  add("looked_up", proto::LookedUp{user});
  add("fetch_bundles", proto::FetchBundles{user, {{1}, {2}}});
  add("bundles", proto::Bundles{{{{1}, 77, filled(33, 5), signed_prekey, one_time, kem},
                                 {{2}, 78, filled(33, 5), signed_prekey, {}, kem}}});
  add("upload_prekeys", proto::UploadPrekeys{signed_prekey, {one_time}, kem, {kem}});
  add("submit", proto::Submit{user, {{{parcel, parcel}}, {{parcel}}}});
  add("ping", proto::Ping{{3}});
  add("ack", proto::Ack{{3}});
  add("deliver", proto::Deliver{{{{3}, stored}, {{4}, stored}}});
  add("prekeys_low", proto::PrekeyStock{4, 1});
  add("closing", proto::Closing{Code::kUnavailable, "restarting", {500}});
  add("envelope", stored);
  next = 26;  // after those whose seeds were written by fuzzers
  add("certify", proto::Certify{{1, 2, 3}});
  add("certified", proto::Certified{filled(300, 7), filled(33, 5)});
  add("hint", proto::Hint{user, {{parcel}}, {1, 2, 3}});
}

void frames() {
  Bytes stream = {4};
  proto::put_frame(stream, {proto::Kind::kPing, 1, {}});
  proto::put_frame(stream, {proto::Kind::kSubmit, 2, filled(200, 3)});
  proto::put_frame(stream, proto::ok_frame(2));
  write("frame", "three", stream);
  write("frame", "too_large", {255, 0xff, 0xff, 0xff, 0x7f});
  write("frame", "endless_prefix", {0, 0x80, 0x80, 0x80, 0x80, 0x80});
}

void noise() {
  for (std::uint8_t choice = 0; choice < 8; ++choice) {
    Bytes octets = {choice};
    for (const std::size_t size : {32, 96, 48, 17}) {
      append(octets, Bytes{0, static_cast<std::uint8_t>(size)});
      append(octets, filled(size, 9));
    }
    write("noise", "choice_" + std::to_string(choice), octets);
  }
}

// Programs of fuzz/shard.cc: octets as its step() reads them.
void shards() {
  const auto add = [](std::string_view name, const Bytes& program) {
    write("shard", name, program);
  };
  add("takeover", {9, 0, 10, 0, 11, 0, 0, 9, 2, 10, 2, 11, 2, 2, 12, 2, 0, 0, 0, 10, 0});
  add("send", {12, 0, 1, 12, 1, 0, 13, 1, 0, 13, 0, 0, 5});
  add("restart", {12, 0, 1, 8, 11, 1, 1, 13, 1, 1, 8, 11, 1, 1, 12, 1, 1});
  add("failing", {6, 40, 12, 0, 1, 12, 0, 1, 11, 0, 0, 12, 0, 1, 5, 4, 200, 0, 5, 12, 0, 1});
  add("offline", {2, 1, 12, 0, 3, 12, 0, 3, 12, 0, 3, 0, 1, 11, 1, 1, 13, 1, 2, 4, 255, 255, 5});
  add("spoilt", {8, 7, 0, 2, 0, 9, 11, 0, 0, 7, 0, 3, 1, 2, 3, 11, 1, 1, 12, 0, 1, 10, 0, 9, 0});
  add("bus", {3, 1, 0, 4, 8, 24, 16, 1, 3, 0, 0, 3, 8, 51, 1});
  add("frame", {1, 0, 22, 9, 0, 2, 8, 1, 1, 1, 48, 0, 0, 2, 8, 9});
}

// Programs of fuzz/engine.cc. Each octet is twice the action, plus the person.
void engines() {
  enum : std::uint8_t {
    kConnect = 0,
    kDrop = 2,
    kSay = 4,
    kAnswer = 6,
    kDeliver = 8,
    kRaw = 10,
    kWait = 12,
    kFail = 14,
    kRestart = 16,
    kSpoil = 18,
    kRead = 20,
    kLose = 22,
    kRefuse = 24,
    kNameless = 26
  };
  constexpr std::uint8_t kBob = 1;
  const Bytes online = {kConnect, kAnswer, kConnect + kBob, kAnswer + kBob};
  const Bytes said = {kSay, 3, kAnswer, kAnswer, kAnswer, kDeliver + kBob, 0};
  const auto add = [&](std::string_view name, const Bytes& then) {
    Bytes program = online;
    append(program, said);
    append(program, then);
    write("engine", name, program);
  };
  add("reply", {kAnswer + kBob, kSay + kBob, 9, kAnswer + kBob, kAnswer + kBob, kAnswer + kBob,
                kDeliver, 0, kDeliver, 4, kAnswer, kAnswer, kRead + kBob, kAnswer + kBob});
  // Both have certificates and have said something; then Bob says more, on a line of its own.
  add("sealed", {kAnswer + kBob,
                 kAnswer + kBob,
                 kSay + kBob,
                 9,
                 kAnswer + kBob,
                 kAnswer + kBob,
                 kAnswer + kBob,
                 kDeliver,
                 0,
                 kNameless + kBob,
                 kSay + kBob,
                 2,
                 kAnswer + kBob,
                 kAnswer + kBob,
                 kDeliver,
                 4,
                 kNameless + kBob,
                 kSay + kBob,
                 3,
                 kDeliver,
                 9});
  add("again", {kDeliver + kBob, 0, kDeliver + kBob, 2, kRestart + kBob, kDeliver + kBob, 0});
  add("forged", {kDeliver + kBob, 41, kSay, 1, kAnswer, kDeliver + kBob, 5, kDeliver + kBob, 4});
  add("failing", {kFail, kSay, 1, kConnect, kAnswer, kFail + kBob, kSay + kBob, 2, kRestart});
  add("refused", {kSay, 1, kRefuse, 8, kWait, 255, 255, kSay, 1, kRefuse, 133, kAnswer, kAnswer});
  add("dropped", {kSay, 1, kDrop, kWait, 9, 9, kConnect, kAnswer, kLose, kWait, 255, 255});
  add("raw", {kRaw, 64, 0, 0, 3, 10, 1, 0, kRaw, 66, 0, 0, 0, kRaw, 1, 1, 0, 2, 8, 1});
  add("spoilt", {kSpoil, 0, 4, 1, 8, 8, 8, kSpoil, 0, 5, 0, 1, 2, 3, 4, kSpoil, 0, 2, 0, 9});
}

// First octet: the place in fuzz/e2e_parsers.cc.
void e2e_parsers(std::string_view name, std::uint8_t place, ByteView octets) {
  Bytes seed = {place};
  append(seed, octets);
  write("e2e_parsers", name, seed);
}

// Sessions and what they are made of.
void e2e_records() {
  constexpr auto add = e2e_parsers;
  SeededEntropy entropy(1);
  Env env{Instant{1000}, entropy};
  const auto own = e2e::LocalIdentity::generate(entropy);
  const auto theirs = e2e::LocalIdentity::generate(entropy);
  const auto prekey = e2e::SignedPrekey::make({1}, theirs, entropy);
  const auto one_time = e2e::OneTimePrekey::make({2}, entropy);
  const auto kyber = e2e::KyberPrekey::make({3}, theirs, entropy);
  const e2e::PrekeyBundle bundle{.registration_id = theirs.registration_id,
                                 .device_id = {1},
                                 .identity_key = theirs.public_key(),
                                 .signed_prekey_id = prekey.id,
                                 .signed_prekey = prekey.public_key(),
                                 .signed_prekey_signature = prekey.signature,
                                 .kyber_prekey = {{kyber.id, kyber.public_key(), kyber.signature}}};
  e2e::Session session;
  if (!e2e::start_session(session, own, bundle, nullptr, env)) return;
  const auto sent = e2e::encrypt(session, own, view_of("hello"), env);
  if (!sent) return;
  add("prekey_message", 1, sent->message);
  if (const auto message = e2e::PrekeyMessage::parse(sent->message)) {
    add("whisper_message", 0, message->whisper);
  }
  add("session", 2, session.serialize().view());
  add("identity", 4, own.serialize().view());
  add("signed_prekey", 5, prekey.serialize().view());
  add("one_time_prekey", 6, one_time.serialize().view());
  add("decrypt", 7, sent->message);
  add("spqr", 13, e2e::Spqr::start(crypto::Key(), e2e::Role::kResponder).serialize().view());
  add("kyber_prekey", 14, kyber.serialize().view());

  add("spqr_chain", 16,
      e2e::SpqrChain::start(crypto::Key(), e2e::Role::kInitiator).serialize().view());
  e2e::Incoming chunks(96);
  chunks.add({1, {}});
  add("incoming", 17, chunks.serialize());
  auto ratchet = e2e::Spqr::start(crypto::Key(), e2e::Role::kInitiator);
  const auto first = ratchet.send(entropy).value();
  add("spqr_message", 24, first.message);
  const auto used = [&](std::string_view name, ByteView stored) {
    Bytes seed;
    put_be16(seed, static_cast<std::uint16_t>(stored.size()));
    append(seed, stored);
    append(seed, first.message);
    add(name, 25, seed);
  };
  used("used_session", session.serialize().view());
  used("used_spqr", e2e::Spqr::start(crypto::Key(), e2e::Role::kResponder).serialize().view());
}

// What is made beside sessions and around them.
void e2e_wrappers() {
  constexpr auto add = e2e_parsers;
  SeededEntropy entropy(2);
  const auto own = e2e::LocalIdentity::generate(entropy);
  const auto theirs = e2e::LocalIdentity::generate(entropy);
  e2e::SenderKey group;
  group.create({1}, entropy);
  const Bytes told = group.distribution_message().value();
  const Bytes said = group.encrypt(view_of("hello"), entropy).value();
  add("sender_key", 15, group.serialize().view());
  add("attachment", 18, e2e::Attachment{crypto::Key(), 5, {}}.serialize().view());
  const auto server = e2e::ServerCertificate::issue(7, own.public_key(), theirs.keys, entropy);
  const auto certificate = e2e::SenderCertificate::issue(
      UserId::random(entropy), {1}, own.public_key(), {2000}, server, own.keys, entropy);
  add("server_certificate", 19, server.wire);
  add("sender_certificate", 11, certificate.wire);
  add("resend", 20, e2e::encode_plaintext({own.public_key(), {5}, {1}, {}}));
  add("group_told", 21, told);
  add("group_message", 21, said);
  const e2e::FingerprintParty us{view_of("us"), own.public_key()};
  add("fingerprint", 22, e2e::scannable_fingerprint(e2e::FingerprintVersion::kUserId, us, us));
  const e2e::SealedContent content{e2e::SealedType::kWhisper, certificate, said, {}, {}};
  add("sealed_content", 9, content.encode());
  add("sealed", 23, e2e::seal_for_one(content, own, theirs.public_key(), entropy).value());
  const e2e::SealedRecipient to[] = {{UserId::random(entropy), theirs.public_key(), {{{1}, 9}}}};
  const Bytes for_many = e2e::seal_for_many(content, own, to, entropy).value();
  add("split", 10, for_many);
  add("split_sealed", 23, for_many);
}

// The steps of fuzz/e2e_session.cc: twice the number, plus one for Bob's. The first octet says
// whether a new session must work at the end.
void e2e_sessions() {
  enum : std::uint8_t {
    kSend = 0,
    kTalk = 2,
    kDeliver = 4,
    kDrop = 8,
    kDamage = 10,
    kSplice = 12,
    kReflect = 14,
    kReload = 16,
    kStart = 18,
    kArchive = 20,
    kWait = 22,
    kRaw = 24,
    kRetype = 26,
    kLose = 28,
    kBob = 1
  };
  const auto add = [](std::string_view name, const Bytes& octets) {
    write("e2e_session", name, octets);
  };
  const Bytes meet = {1, kStart, 0, 0, kTalk, kTalk + kBob, kTalk};
  const auto after = [&](const Bytes& steps) {
    Bytes out = meet;
    append(out, steps);
    return out;
  };
  add("meet", meet);
  add("reload", after({kReload, kReload + kBob, kTalk, kTalk + kBob}));
  add("late",
      after({kSend, 1, kSend, 2, kSend, 3, kDeliver, 4, kDeliver, 2, kDeliver, 3, kDeliver, 4}));
  add("forged", after({kSend, 9, kDamage, 2, 1, 0, 40, 3, 0, 60, 4, kDeliver, 2, kReflect, 1}));
  add("spliced",
      after({kSend, 9, kSend, 9, kSplice, 2, 3, 0, 50, kSplice, 0, 2, 0, 9, kDeliver, 3}));
  add("both_start", {1, kStart, 0, 0, kStart + kBob, 0, 0, kSend, 1, kSend + kBob, 1, kDeliver, 0,
                     kDeliver + kBob, 0, kTalk, kTalk + kBob, kTalk});
  add("again", after({kStart, 1, 1, kTalk, kStart, 1, 1, kSend, 0, kDeliver, 4, kArchive, kTalk}));
  add("last_resort", {1, kStart, 4, 3, kTalk, kDeliver, 0, kStart, 4, 3, kTalk, kDeliver, 1});
  add("lost", {1,
               kStart,
               4,
               3,
               kSend,
               1,
               kDeliver,
               0,
               kTalk + kBob,
               kLose + kBob,
               kDeliver,
               0,
               kDeliver,
               0,
               kTalk,
               kStart + kBob,
               0,
               0,
               kTalk + kBob,
               kTalk,
               kLose,
               kDeliver,
               0});
  add("silence", after({kStart, 2, 2, kWait, 255, kWait, 255, kWait, 255, kSend, 1, kRetype, 0}));
  add("raw", {0, kRaw, 0, 0, 3, 0x44, 1, 2, kRaw + kBob, 1, 0, 2, 0x44, 9, kDrop, 0, kTalk});
  Bytes long_talk = meet;
  for (int i = 0; i < 80; ++i) long_talk.push_back(i % 2 ? kTalk : kTalk + kBob);
  add("epochs", long_talk);
}

// The steps of fuzz/e2e_group.cc in the same way.
void e2e_groups() {
  enum : std::uint8_t {
    kRotate = 0,
    kTell = 2,
    kSay = 4,
    kHear = 6,
    kDamage = 8,
    kReload = 10,
    kRaw = 12,
    kNow = 14,
    kSecond = 1
  };
  write("e2e_group", "talk",
        {kRotate, kTell, kNow, kTell + kSecond, kNow, kNow + kSecond, kReload});
  write("e2e_group", "removed",
        {kRotate, kTell, kTell + kSecond, kSay, 1, kRotate, kTell, kNow, kNow + kSecond,
         kHear + kSecond, 0, kHear, 0, kHear, 0});
  write("e2e_group", "forged",
        {kRotate, kTell, kSay, 1, kDamage, 0, 1, 9, 1, 40, 2, kHear, 0, kRaw, 0, 3, 0x33, 8, 1});
}

// The steps of fuzz/group_state.cc: who and what, how many changes, of whom, which.
void group_states() {
  enum : std::uint8_t { kForge = 4, kRaw = 8, kAgain = 12, kBob = 1, kCarol = 2, kDora = 3 };
  enum : std::uint8_t {
    kAdd = 1,
    kRemove,
    kPromote,
    kDemote,
    kLeave,
    kSettings,
    kInfo,
    kLink,
    kJoin
  };
  const Bytes made = {0, 2, 0, kAdd, kBob, kAdd, kCarol, kAdd};
  const auto add = [&](std::string_view name, const Bytes& more) {
    Bytes octets = made;
    append(octets, more);
    write("group_state", name, octets);
  };
  add("admins",
      {0, 0, kBob, kPromote, kBob, 0, 0, kRemove, kCarol, 0, 0, kLeave, kBob, 0, 0, kLeave});
  add("settings", {0, 0, 0, kSettings, 7, kCarol, 0, kDora, kAdd, kCarol, 0, 0, kInfo, 0, 2, 9, 9});
  add("link",
      {0, 0, 0, kLink, 0x13, kDora, 0, kDora, kJoin, 0, 0, kDora, kAdd, kDora, 0, kDora, kJoin});
  add("open_link", {0, 0, 0, kLink, 0x11, kDora, 0, kDora, kJoin, 0, 0, kDora, kRemove, kAgain});
  add("forged", {kForge,   0, kBob, kRemove, 0,      9,    5, kForge, 0, kBob,
                 kPromote, 0, 60,   1,       kAgain, kRaw, 0, 2,      8, 1});
}

// Two octets: a quarter of the size of the file; the sizes of pieces; what is done to it.
void e2e_attachments() {
  const auto add = [](std::string_view name, const Bytes& octets) {
    write("e2e_attachment", name, octets);
  };
  add("empty", {0, 0, 0, 4, 0, 5, 0, 9, 0, 3});
  add("changed", {0x40, 0, 255, 255, 0x20, 1, 0, 0x40, 255, 255, 0x40, 0, 0x10, 0, 0, 1});
  add("cut", {0x40, 1, 255, 255, 0x40, 1, 0x10, 0, 0x10, 0, 0x10, 0, 0x10, 0, 0x40, 4, 1});
  add("moved", {0x90, 1, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 4});
  add("resized", {1, 1, 1, 1, 1, 1, 0, 0, 3, 1, 0});
}

void e2e_sealed() {
  write("e2e_sealed", "for_one", {1 + 2, 0, 5, 'h', 'e', 'l', 'l', 'o', 0, 40, 1});
  write("e2e_sealed", "for_many", {32 + 4, 0, 2, 'h', 'i', 0, 1, 'g', 0, 3, 1, 0, 90, 2});
}

void contents() {
  client::Content content{.sender_phone = "+33612345678", .stream = 5, .number = 1};
  content.text = client::Text{"hello"};
  Bytes text = {0};
  append(text, client::seal_content(content));
  write("content", "text", text);
  content.text.reset();
  content.receipt = client::Receipt{client::Status::kRead, {{}, {}}};
  Bytes receipt = {0};
  append(receipt, client::seal_content(content));
  write("content", "receipt", receipt);
  Bytes link = {16};
  append(link, view_of(client::write_link({.group = {{1}}, .version = 300})));
  write("content", "link", link);
}

// Rows of groups, for their reader in fuzz/content.cc's list.
void group_rows() {
  const auto add = [](std::string_view name, char tag, std::uint8_t end, const auto& row) {
    Bytes octets = {15, static_cast<std::uint8_t>(tag), end};
    encode_to(octets, row);
    write("content", name, octets);
  };
  SeededEntropy entropy(1);
  GroupId group;
  group.octets.fill(7);
  const UserId user = UserId::random(entropy);
  e2e::SenderKey own, chain;
  own.create(group.octets, entropy);
  (void)chain.learn(*own.distribution_message());
  const Bytes late = *own.encrypt(view_of("one"), entropy);
  (void)chain.decrypt(*own.encrypt(view_of("two"), entropy));  // one that is skipped
  const client::GroupSaid said{.group = group,
                               .version = 3,
                               .id = MessageId::random(entropy),
                               .composed = {1000},
                               .text = client::Text{"hello"}};
  const client::Item item{.id = said.id, .composed = {1000}, .text = said.text};
  const proto::Envelope envelope{EnvelopeId::random(entropy),       user, {1},
                                 proto::CiphertextType::kSenderKey, late, {1000}};
  const proto::GroupMember member{user, proto::Role::kAdmin, {5}, 1};
  add("group", 'G', 0,
      client::GroupRow{.info_key = {1},
                       .own_key = std::move(own.serialize()).release(),
                       .accepted = 2,
                       .tried_version = 3,
                       .tried = 1});
  add("group_state", 'S', 0, proto::GroupState{.group = group, .version = 3, .members = {member}});
  add("group_rules", 'P', 0, client::RulesRow{{{1, false, {user}}, {3, true, {}}}});
  add("group_told", 'T', 0, client::ToldRow{{user}});
  add("group_change", 'C', 1,
      client::Intent{{.kind = proto::GroupChange::Kind::kAdd}, "+33612345678"});
  add("group_item", 'Q', 1, item);
  add("group_chain", 'K', 2, client::KeyRow{std::move(chain.serialize()).release()});
  add("group_held", 'H', 1, client::HeldRow{envelope, {}});
  add("group_repeat", 'H', 1, client::HeldRow{envelope, said});
  add("group_sent", 'R', 1, client::GroupSent{said, {2000}});
}

void texts() {
  write("config", "all",
        to_bytes("data = \"/var/lib/godwitd\"\nlisten = \"[::]:7400\"\n"
                 "threads = 2\nlog = \"json\"\nhttp = \"off\"\n"));
  write("config", "wrong", to_bytes("lisen = 3\nlog_level = \"loud\"\n[table]\n"));
  write("phone", "spaces", to_bytes("+33 6 12 34 56 78"));
  write("phone", "brackets", to_bytes("+1 (650) 253-0000"));
  write("phone", "local", to_bytes("0612345678"));
  write("scenario", "offline",
        to_bytes("# A promise.\nuser alice\nuser bob\nbob offline\n"
                 "alice -> bob \"one\"\nserver kill\nbob online\n"
                 "expect bob shows \"one\"\nwait 2 minutes\n"
                 "expect server stores 0 envelopes\n"));
  write("scenario", "large",
        to_bytes("# A promise.\nsim only\nuser a\nuser b\n"
                 "a -> b bytes 65537\nexpect a refused bytes 65537 "
                 "too_large\ndisk full\nb reads\n"));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_corpus fuzz/corpus\n");
    return 2;
  }
  corpus = argv[1];
  messages();
  frames();
  noise();
  shards();
  engines();
  e2e_records();
  e2e_wrappers();
  e2e_sessions();
  e2e_groups();
  group_states();
  e2e_attachments();
  e2e_sealed();
  contents();
  group_rows();
  texts();
}
