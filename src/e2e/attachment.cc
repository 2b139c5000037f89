#include "e2e/attachment.h"

#include <bit>

#include "base/check.h"
#include "crypto/aead.h"
#include "e2e/record.h"

namespace godwit::e2e {
namespace {

using limits::kAttachmentChunk;

constexpr std::size_t kSealedChunk = kAttachmentChunk + crypto::kGcmTag;

ByteArray<crypto::kGcmNonce> nonce_of(std::uint64_t index) {
  Bytes nonce(4);
  put_be64(nonce, index);
  return *to_array<crypto::kGcmNonce>(nonce);
}

// `size`: of the file, with its last chunk only.
Bytes associated_with(std::uint64_t index, std::optional<std::uint64_t> size) {
  Bytes out = to_bytes("godwit attachment 1");
  put_be64(out, index);
  out.push_back(size ? 1 : 0);
  put_be64(out, size.value_or(0));
  return out;
}

Error not_this() { return {Code::kCorrupt, "the attachment is damaged or not the one it says"}; }

}  // namespace

crypto::SecretBytes Attachment::serialize() const {
  Bytes out;
  out.reserve(96);
  put_bytes_field(out, 1, key.view());
  put_uint_field(out, 2, size);
  put_bytes_field(out, 3, address);
  return crypto::SecretBytes(std::move(out));
}

Result<Attachment> Attachment::parse(ByteView record) {
  Attachment attachment;
  GODWIT_TRY(read_record(record, require(1, 2, 3), [&](const Reader::Field& field) {
    switch (field.number) {
      case 1: return read_octets(field, attachment.key);
      case 2: return read_uint(field, attachment.size);
      case 3: return read_octets(field, attachment.address);
      default: return true;
    }
  }));
  if (attachment.size > limits::kMaxAttachment) {
    return fail(Code::kTooLarge, "the attachment is over the limit");
  }
  return attachment;
}

std::uint64_t padded_attachment(std::uint64_t size) {
  if (size <= limits::kAttachmentFloor) return limits::kAttachmentFloor;
  const auto magnitude = static_cast<unsigned>(std::bit_width(size)) - 1;
  const auto kept = static_cast<unsigned>(std::bit_width(magnitude));
  const std::uint64_t cleared = (std::uint64_t{1} << (magnitude - kept)) - 1;
  return (size + cleared) & ~cleared;
}

std::uint64_t AttachmentLayout::chunks() const {
  return (padded + kAttachmentChunk - 1) / kAttachmentChunk;
}

std::uint64_t AttachmentLayout::chunk_at(std::uint64_t offset) { return offset / kAttachmentChunk; }

std::uint64_t AttachmentLayout::sealed_offset(std::uint64_t index) { return index * kSealedChunk; }

std::size_t AttachmentLayout::sealed_size(std::uint64_t index) const {
  CHECK(index < chunks());
  return static_cast<std::size_t>(
      std::min<std::uint64_t>(kSealedChunk, sealed_total() - sealed_offset(index)));
}

std::uint64_t AttachmentLayout::sealed_total() const { return padded + chunks() * crypto::kGcmTag; }

Result<void> open_attachment_chunk(const Attachment& attachment, std::uint64_t index,
                                   ByteView sealed, Bytes& out) {
  const AttachmentLayout layout(attachment.size);
  if (index >= layout.chunks() || sealed.size() != layout.sealed_size(index)) {
    return fail(not_this());
  }
  std::optional<std::uint64_t> size;
  if (index + 1 == layout.chunks()) size = attachment.size;
  const std::size_t before = out.size();
  if (!crypto::aes_gcm_open(attachment.key.view(), nonce_of(index), associated_with(index, size),
                            sealed, out)) {
    return fail(not_this());
  }
  const std::uint64_t start = index * kAttachmentChunk;
  const std::uint64_t left = attachment.size - std::min(attachment.size, start);
  const auto text = std::min<std::uint64_t>(out.size() - before, left);
  out.resize(before + static_cast<std::size_t>(text));  // padding goes
  return {};
}

// ---- out

Result<void> AttachmentEncoder::add(ByteView text, Bytes& out) {
  if (text.size() > limits::kMaxAttachment - size_) {
    return fail(Code::kTooLarge, "the attachment is over the limit");
  }
  CHECK(!finished_);
  size_ += text.size();
  while (!text.empty()) {
    if (filled_ == kAttachmentChunk) seal(false, out);  // so it is not the last
    const std::size_t size = std::min(text.size(), kAttachmentChunk - filled_);
    std::ranges::copy(text.first(size), chunk_.mutable_view().subspan(filled_).begin());
    filled_ += size;
    text = text.subspan(size);
  }
  return {};
}

std::optional<Attachment> AttachmentEncoder::finish(Bytes& out) {
  CHECK(!finished_);
  const std::uint64_t end = padded_attachment(size_) - next_ * kAttachmentChunk;
  const auto text = chunk_.mutable_view().first(
      static_cast<std::size_t>(std::min<std::uint64_t>(kAttachmentChunk, end)));
  std::ranges::fill(text.subspan(filled_), std::uint8_t{0});
  filled_ = text.size();
  const bool final = filled_ == end;
  seal(final, out);
  if (!final) return std::nullopt;
  finished_ = true;
  return Attachment{std::move(key_), size_, hash_.digest()};
}

void AttachmentEncoder::seal(bool final, Bytes& out) {
  std::optional<std::uint64_t> size;
  if (final) size = size_;
  const std::size_t before = out.size();
  crypto::aes_gcm_seal(key_.view(), nonce_of(next_), associated_with(next_, size),
                       chunk_.view().first(filled_), out);
  hash_.add(ByteView(out).subspan(before));
  ++next_;
  filled_ = 0;
}

// ---- in

AttachmentDecoder::AttachmentDecoder(const Attachment& attachment)
    : attachment_(attachment.clone()), layout_(attachment.size) {}

Result<void> AttachmentDecoder::add(ByteView sealed, Bytes& out) {
  hash_.add(sealed);
  while (!sealed.empty()) {
    if (next_ == layout_.chunks()) return fail(not_this());
    const std::size_t whole = layout_.sealed_size(next_);
    const std::size_t size = std::min(sealed.size(), whole - chunk_.size());
    append(chunk_, sealed.first(size));
    sealed = sealed.subspan(size);
    if (chunk_.size() < whole) break;
    GODWIT_TRY(open_attachment_chunk(attachment_, next_, chunk_, out));
    chunk_.clear();
    ++next_;
  }
  return {};
}

Result<void> AttachmentDecoder::finish() const {
  if (next_ < layout_.chunks()) return fail(Code::kCorrupt, "the attachment ends too early");
  if (hash_.digest() != attachment_.address) return fail(not_this());
  return {};
}

}  // namespace godwit::e2e
