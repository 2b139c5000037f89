// Noise protocol framework, revision 34: Noise_XX and Noise_IK with _25519_AESGCM_SHA256.
//
// NoiseHandshake turns two static keys into a NoiseChannel in three (XX) or two (IK) messages.
// XX: neither side knows the other; both learn and prove their static keys.
// IK: the initiator knows the responder's static key and saves a round trip. Its first message can
//     be replayed by anybody who saw it: put nothing into that payload that changes state.
//
// Invariants:
//   * a message that does not verify leaves the handshake or channel as it was;
//   * a nonce is used once: a channel that has sent 2^32 records refuses to send more.
// Not thread-safe. No IO: messages go in and out as octets, framing is the caller's.
#pragma once

#include <memory>
#include <optional>

#include "base/entropy.h"
#include "base/result.h"
#include "crypto/curve.h"

namespace godwit::proto {

// Transport keys after the handshake. 80 octets, so that a server may hold millions.
class NoiseChannel {
 public:
  static constexpr std::size_t kOverhead = 16;

  // Appends the record, plaintext.size() + kOverhead octets, to `out`.
  // kTooLarge: the record would exceed limits::kMaxNoiseMessage. kExpired: reconnect.
  Result<void> seal(ByteView plaintext, Bytes& out);
  // Records open once and in the order in which they were sealed.
  // kCorrupt: forged, repeated, lost or out of order: close the connection. kExpired: reconnect.
  Result<Bytes> open(ByteView record);

  // For handing a live connection to another process. Exactly one of the copies may go on: two
  // would use the same nonces. kCorrupt: not a channel.
  crypto::SecretBytes serialize() const;
  static Result<NoiseChannel> parse(ByteView record);

 private:
  friend class NoiseHandshake;
  NoiseChannel(crypto::Key send, crypto::Key receive)
      : send_key_(std::move(send)), receive_key_(std::move(receive)) {}

  crypto::Key send_key_;
  crypto::Key receive_key_;
  std::uint64_t sent_ = 0;
  std::uint64_t received_ = 0;
};
static_assert(sizeof(NoiseChannel) <= 96);

class NoiseHandshake {
 public:
  // `own` is this side's static key; both sides must pass the same prologue.
  static NoiseHandshake initiator_xx(const crypto::KeyPair& own, ByteView prologue);
  static NoiseHandshake responder_xx(const crypto::KeyPair& own, ByteView prologue);
  static NoiseHandshake initiator_ik(const crypto::KeyPair& own, const crypto::CurvePoint& remote,
                                     ByteView prologue);
  static NoiseHandshake responder_ik(const crypto::KeyPair& own, ByteView prologue);

  NoiseHandshake(NoiseHandshake&&) noexcept;
  NoiseHandshake& operator=(NoiseHandshake&&) noexcept;
  ~NoiseHandshake();

  // Whose turn it is: CHECKed by write(); read() out of turn is kInvalid, for peers may err.
  bool my_turn() const;
  // The next handshake message. kCorrupt: the peer's key is a point of small order.
  // kTooLarge: over limits::kMaxNoiseMessage.
  Result<Bytes> write(ByteView payload, Entropy& entropy);
  // Checks the peer's next message and returns its payload. kCorrupt: forged or damaged.
  Result<Bytes> read(ByteView message);

  bool finished() const;
  // The peer's static key, once received (or given, IK initiator).
  std::optional<crypto::CurvePoint> remote_static() const;
  // Names this handshake uniquely, once finished (CHECKed): sign it to bind a login to the channel.
  ByteArray<32> hash() const;
  // The channel, once finished and only once (both CHECKed).
  NoiseChannel split();

  // For handing a responder that waits for a message to another process, as a channel is; `own` as
  // at its beginning. kCorrupt: not such a handshake.
  crypto::SecretBytes serialize() const;
  static Result<NoiseHandshake> parse(const crypto::KeyPair& own, ByteView record);

 private:
  struct State;
  explicit NoiseHandshake(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace godwit::proto
