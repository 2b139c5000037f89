// Attachments: a file of any size, sealed chunk by chunk under a key of its own, so that it can be
// made while it is recorded, checked while it arrives, and read from the middle.
//
// The ciphertext lies with a server that learns the padded size and nothing else; the Attachment,
// which holds the key, travels inside an end-to-end encrypted message. The content address, SHA-256
// of the ciphertext, names the ciphertext and can be checked by the server too.
//
// Format (STREAM, eprint 2015/189): chunk i is AES-256-GCM over limits::kAttachmentChunk octets of
// the padded file, the last one over what is left, 1 octet at least; 16 octets of tag follow each.
//   padded     = file || zeros, up to padded_attachment(size)
//   nonce      = 0x00000000 || BE64 i
//   associated = "godwit attachment 1" || BE64 i || final, one octet || BE64 size if final, else 0
//
// Invariants: a key seals one file, for it is drawn with the encoder; no octet is given out before
// its chunk has verified; chunks that were changed, moved, left out or added are noticed. Nothing
// here holds more than a chunk; all are plain values without IO.
#pragma once

#include <optional>

#include "base/entropy.h"
#include "base/limits.h"
#include "base/result.h"
#include "crypto/hash.h"
#include "crypto/secret.h"

namespace godwit::e2e {

// What a message says about a file so that its reader can fetch and decrypt it.
struct Attachment {
  crypto::Key key;
  std::uint64_t size = 0;  // of the file, at most limits::kMaxAttachment
  ByteArray<32> address{};  // SHA-256 of the ciphertext

  Attachment clone() const { return {key.clone(), size, address}; }
  crypto::SecretBytes serialize() const;
  // kCorrupt: malformed. kTooLarge: a file over the limit.
  static Result<Attachment> parse(ByteView record);
};

// The bucket that `size` is padded to: limits::kAttachmentFloor, or less than 1/16 more than
// `size`. Keeps of a size its magnitude and as many bits as the magnitude has (Padme, PoPETs 2019).
std::uint64_t padded_attachment(std::uint64_t size);

// Where the chunks of a file of `size` octets are.
struct AttachmentLayout {
  std::uint64_t padded;

  explicit AttachmentLayout(std::uint64_t size) : padded(padded_attachment(size)) {}
  std::uint64_t chunks() const;
  // The chunk that holds octet `offset` of the file.
  static std::uint64_t chunk_at(std::uint64_t offset);
  // Of chunk `index`, below chunks(): where it starts in the ciphertext, and how long it is there.
  static std::uint64_t sealed_offset(std::uint64_t index);
  std::size_t sealed_size(std::uint64_t index) const;
  std::uint64_t sealed_total() const;
};

// Appends the part of the file that chunk `index` holds to `out`: perhaps none, in the padding.
// kCorrupt: there is no such chunk, or `sealed` is not it; `out` is then unchanged.
Result<void> open_attachment_chunk(const Attachment& attachment, std::uint64_t index,
                                   ByteView sealed, Bytes& out);

// A file on its way out.
class AttachmentEncoder {
 public:
  explicit AttachmentEncoder(Entropy& entropy) { entropy.fill(key_.mutable_view()); }

  // Takes the next octets of the file, appends the ciphertext that is ready to `out`: about as
  // much. kTooLarge: over limits::kMaxAttachment; nothing was taken.
  Result<void> add(ByteView text, Bytes& out);
  // After the last octet: appends the next chunk, the rest of the file and padding. To be called
  // again until it returns the attachment; no call may follow that (CHECKed).
  std::optional<Attachment> finish(Bytes& out);

 private:
  void seal(bool final, Bytes& out);

  crypto::Key key_;
  std::uint64_t size_ = 0;  // of the file so far
  std::uint64_t next_ = 0;  // the index of the chunk that is being filled
  crypto::SecretBytes chunk_{Bytes(limits::kAttachmentChunk)};
  std::size_t filled_ = 0;
  bool finished_ = false;
  crypto::Sha256 hash_;
};

// A whole file on its way in, from its first octet to its last. After an error: start again.
class AttachmentDecoder {
 public:
  explicit AttachmentDecoder(const Attachment& attachment);

  // Takes the next octets of the ciphertext, appends to `out` what chunks they complete.
  // kCorrupt: they are not this attachment's, or too many.
  Result<void> add(ByteView sealed, Bytes& out);
  // After the last octet. kCorrupt: some are missing, or they have another content address.
  Result<void> finish() const;

 private:
  Attachment attachment_;
  AttachmentLayout layout_;
  std::uint64_t next_ = 0;  // the chunk that is awaited
  Bytes chunk_;  // what there is of it
  crypto::Sha256 hash_;
};

}  // namespace godwit::e2e
