// Handover: what two processes of a server say to each other when one takes over from the other.
// docs/adr/0012 tells the whole course; this is its vocabulary.
//
//   control channel:    Word, one message each, both ways
//   a loop's channel:   kListener, kDescriptors, kSnapshot from the old one; each is
//                       answered with kTaken
//   a snapshot:         fields of one loop: 1 = SnapshotHead, 2 = ConnectionRecord, 3 = octets of
//                       server::Shard::hand_over()
//
// Ownership decides who of the two may seal and open records: one, at any time. Nonces of the
// connections' ciphers are counted in both; to use one twice would give away their keys.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "base/codec.h"
#include "base/limits.h"
#include "base/result.h"

namespace godwit::runtime {

// Of the records here and in server/handover.h. An unknown one is refused, and the old process
// goes on. Raise it when an older reader would misunderstand, not for a field that it may skip.
inline constexpr std::uint32_t kHandoverLayout = 1;

struct Word {
  enum class Kind : std::uint8_t {
    kHello = 1,    // new: layout, text = version
    kOffer = 2,    // old: everything of "offer"
    kReady = 3,    // new: its loops wait for descriptors
    kYours = 4,    // old: the store is closed; number = when the pause began, monotonic us
    kServing = 5,  // new: it took ownership; number = the pause in us
    kRefused = 6,  // new: text says why
  };
  Kind kind{};
  std::uint32_t layout = 0;
  std::string text;
  std::uint64_t number = 0;
  // offer
  ByteArray<32> private_key{};
  ByteArray<32> pepper{};
  ByteArray<32> certificate_seed{};  // zero: an older version knows none
  std::uint32_t incarnation = 0;  // reserved for the new process
  std::uint16_t loops = 0;
  bool own_tables = false;
  std::uint32_t per_loop = 0;
  std::uint32_t in_all = 0;
  std::string listen;  // as configured: what changes there takes a restart
  std::string http;
  std::string clients;  // the address that is listened on
  static void fields(auto& m, auto& field) {
    field(1, m.kind);
    field(2, m.layout);
    field(3, m.text, 1024);
    field(4, m.number);
    field(5, m.private_key);
    field(6, m.pepper);
    field(7, m.incarnation);
    field(8, m.loops);
    field(9, m.own_tables);
    field(10, m.per_loop);
    field(11, m.in_all);
    field(12, m.listen, 1024);
    field(13, m.http, 1024);
    field(14, m.clients, 1024);
    field(15, m.certificate_seed);
  }
};

// Descriptors that come with an offer, in this order; the last only when HTTP is on.
enum OfferedDescriptor : std::uint8_t { kOwnershipFd, kDataLockFd, kExecutableFd, kHttpFd };

enum class LoopWord : std::uint8_t {
  kListener = 1,     // with one descriptor
  kDescriptors = 2,  // with some; for each: index, generation (be32)
  kSnapshot = 4,  // with a file of memory
  kTaken = 5,
};

inline constexpr std::size_t kChannelRecord = 80;  // proto::NoiseChannel::serialize()

struct ConnectionRecord {
  std::uint32_t index = 0;
  std::uint32_t generation = 0;
  std::uint32_t heard = 0;  // CLOCK_MONOTONIC, which all processes share, in seconds
  bool open = false;        // its handshake is done
  ByteArray<kChannelRecord> channel{};
  Bytes handshake;  // between two of its messages
  Bytes frame;      // opened octets of an incomplete frame
  Bytes unread;     // received octets of an incomplete record
  Bytes unsent;     // sealed, and not taken by the kernel yet
  static void fields(auto& m, auto& field) {
    field(1, m.index);
    field(2, m.generation);
    field(3, m.heard);
    field(4, m.open);
    field(5, m.channel);
    field(6, m.handshake, limits::kMaxHandshake);
    field(7, m.frame, limits::kMaxFrame + limits::kMaxNoiseMessage);
    field(8, m.unread, limits::kMaxFrame);
    field(9, m.unsent, limits::kSendQueueBytes);
  }
};

struct SnapshotHead {
  std::uint32_t layout = 0;
  std::uint16_t shard = 0;
  std::uint64_t connections = 0;
  Bytes generations;  // be32 for each place, of connections past and present
  static void fields(auto& m, auto& field) {
    field(1, m.layout);
    field(2, m.shard);
    field(3, m.connections);
    field(4, m.generations, std::size_t{4} << 24);
  }
};

inline constexpr std::uint32_t kHeadField = 1, kConnectionField = 2, kShardField = 3;

// A word in memory that both processes have mapped. It is nobody's until one takes it, for good.
class Ownership {
 public:
  static Result<Ownership> create();
  static Result<Ownership> adopt(int fd);
  Ownership(Ownership&& other) noexcept;
  Ownership& operator=(Ownership&&) = delete;
  ~Ownership();

  enum class Side : std::uint32_t { kOld = 1, kNew = 2 };
  // True when `side` owns the connections now, and the other never will.
  bool take(Side side);
  int descriptor() const { return fd_; }

 private:
  Ownership(int fd, std::atomic<std::uint32_t>* word) : fd_(fd), word_(word) {}
  int fd_;
  std::atomic<std::uint32_t>* word_;
};

}  // namespace godwit::runtime
