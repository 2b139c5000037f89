#include "e2e/attachment.h"

#include <gtest/gtest.h>

namespace godwit::e2e {
namespace {

constexpr std::size_t kChunk = limits::kAttachmentChunk;
constexpr std::size_t kSealed = kChunk + 16;
// About every boundary: of the floor, of a chunk, of several, of a bucket that adds a chunk.
constexpr std::size_t kSizes[] = {0,
                                  1,
                                  1023,
                                  1024,
                                  1025,
                                  kChunk - 1,
                                  kChunk,
                                  kChunk + 1,
                                  2 * kChunk - 1,
                                  2 * kChunk,
                                  2 * kChunk + 1,
                                  5 * kChunk,
                                  33 * kChunk + 1};

Bytes file_of(std::size_t size) {
  Bytes out(size);
  SeededEntropy(size).fill(out);
  return out;
}

struct Sealed {
  Attachment attachment;
  Bytes ciphertext;
};

Sealed seal(ByteView file, std::size_t piece = 10'000, std::uint64_t seed = 1) {
  SeededEntropy entropy(seed);
  AttachmentEncoder encoder(entropy);
  Sealed out;
  while (!file.empty()) {
    const std::size_t size = std::min(piece, file.size());
    EXPECT_TRUE(encoder.add(file.first(size), out.ciphertext));
    file = file.subspan(size);
  }
  for (;;) {
    const std::size_t before = out.ciphertext.size();
    auto done = encoder.finish(out.ciphertext);
    EXPECT_LE(out.ciphertext.size() - before, kSealed);
    if (!done) continue;
    out.attachment = std::move(*done);
    return out;
  }
}

// The file, or nothing: `given` then holds what was given out before the error.
std::optional<Bytes> open(const Attachment& attachment, ByteView ciphertext,
                          std::size_t piece = 10'000, Bytes* given = nullptr) {
  AttachmentDecoder decoder(attachment);
  Bytes out;
  bool good = true;
  while (good && !ciphertext.empty()) {
    const std::size_t size = std::min(piece, ciphertext.size());
    good = decoder.add(ciphertext.first(size), out).has_value();
    ciphertext = ciphertext.subspan(size);
  }
  if (given != nullptr) *given = out;
  if (!good || !decoder.finish()) return std::nullopt;
  return out;
}

TEST(Attachment, EverySizeComesBack) {
  for (const std::size_t size : kSizes) {
    SCOPED_TRACE(size);
    const Bytes file = file_of(size);
    const Sealed sealed = seal(file);
    EXPECT_EQ(sealed.attachment.size, size);
    EXPECT_EQ(sealed.attachment.address, crypto::sha256(sealed.ciphertext));
    EXPECT_EQ(sealed.ciphertext.size(), AttachmentLayout(size).sealed_total());
    EXPECT_TRUE(open(sealed.attachment, sealed.ciphertext) == file);
  }
}

TEST(Attachment, PiecesMakeNoDifference) {
  const Bytes file = file_of(2 * kChunk + 7);
  const Sealed sealed = seal(file);
  for (const std::size_t piece : {std::size_t{997}, kChunk, kSealed, kSealed + 1, 9 * kChunk}) {
    EXPECT_TRUE(seal(file, piece).ciphertext == sealed.ciphertext) << piece;
    EXPECT_TRUE(open(sealed.attachment, sealed.ciphertext, piece) == file) << piece;
  }
}

TEST(Attachment, EveryChunkOpensByItself) {
  for (const std::size_t size : kSizes) {
    SCOPED_TRACE(size);
    const Bytes file = file_of(size);
    const Sealed sealed = seal(file);
    const AttachmentLayout layout(size);
    Bytes read;
    for (std::uint64_t index = layout.chunks(); index-- > 0;) {
      const auto chunk = ByteView(sealed.ciphertext)
                             .subspan(static_cast<std::size_t>(layout.sealed_offset(index)),
                                      layout.sealed_size(index));
      Bytes text;
      ASSERT_TRUE(open_attachment_chunk(sealed.attachment, index, chunk, text));
      append(text, read);
      read = std::move(text);
    }
    EXPECT_TRUE(read == file);
    Bytes none;
    EXPECT_FALSE(open_attachment_chunk(sealed.attachment, layout.chunks(), {}, none));
  }
  EXPECT_EQ(AttachmentLayout::chunk_at(kChunk - 1), 0u);
  EXPECT_EQ(AttachmentLayout::chunk_at(kChunk), 1u);
}

// Nothing of a chunk that was tampered with is given out, whichever it is.
TEST(Attachment, TamperingIsNoticedInEveryChunk) {
  const Bytes file = file_of(3 * kChunk + 100);
  const Sealed sealed = seal(file);
  const AttachmentLayout layout(file.size());
  for (std::uint64_t index = 0; index < layout.chunks(); ++index) {
    const auto start = static_cast<std::size_t>(layout.sealed_offset(index));
    const std::size_t size = layout.sealed_size(index);
    for (const std::size_t at : {std::size_t{0}, size / 2, size - 17, size - 16, size - 1}) {
      Bytes forged = sealed.ciphertext;
      forged[start + at] ^= 1;
      Bytes given;
      EXPECT_FALSE(open(sealed.attachment, forged, 10'000, &given));
      EXPECT_TRUE(same(given, ByteView(file).first(static_cast<std::size_t>(index) * kChunk)))
          << index;
    }
  }
}

TEST(Attachment, TruncationIsNoticedAtEveryBoundary) {
  const Sealed sealed = seal(file_of(3 * kChunk + 100));
  for (std::size_t chunk = 0; chunk <= 3; ++chunk) {
    for (const int off : {-1, 0, 1, 16, 17}) {
      if (chunk == 0 && off < 0) continue;
      const std::size_t size = chunk * kSealed + static_cast<std::size_t>(off);
      EXPECT_FALSE(open(sealed.attachment, ByteView(sealed.ciphertext).first(size))) << size;
    }
  }
  EXPECT_FALSE(
      open(sealed.attachment, ByteView(sealed.ciphertext).first(sealed.ciphertext.size() - 1)));
}

// Also when the size in the message was made to fit: the last chunk says that it is the last, and
// how long the file is.
TEST(Attachment, AnotherSizeIsNoticed) {
  for (const std::size_t size : {3 * kChunk, 2 * kChunk + 5}) {
    const Sealed sealed = seal(file_of(size));
    for (std::size_t other = 0; other <= 4 * kChunk; other += other % kChunk < 7 ? 1 : kChunk - 7) {
      if (other == size) continue;
      Attachment lying = sealed.attachment.clone();
      lying.size = other;
      const auto total = static_cast<std::size_t>(AttachmentLayout(other).sealed_total());
      Bytes fitting = sealed.ciphertext;
      fitting.resize(total);
      lying.address = crypto::sha256(fitting);
      EXPECT_FALSE(open(lying, fitting)) << other;
    }
  }
}

TEST(Attachment, ReorderingAndExtensionAreNoticed) {
  const Bytes file = file_of(3 * kChunk);
  const Sealed sealed = seal(file);
  ASSERT_EQ(sealed.ciphertext.size() % kSealed, 0u);
  const auto chunk = [&](std::size_t i) {
    return ByteView(sealed.ciphertext).subspan(i * kSealed, kSealed);
  };
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t k = 0; k < 3; ++k) {
      Bytes out;
      EXPECT_EQ(open_attachment_chunk(sealed.attachment, i, chunk(k), out).has_value(), i == k);
      EXPECT_EQ(out.empty(), i != k);
    }
  }
  Bytes longer = sealed.ciphertext;
  longer.push_back(0);
  EXPECT_FALSE(open(sealed.attachment, longer));
  longer.pop_back();
  append(longer, chunk(2));
  EXPECT_FALSE(open(sealed.attachment, longer));
}

TEST(Attachment, OfAnotherKeyOrAddress) {
  const Bytes file = file_of(100);
  const Sealed sealed = seal(file), other = seal(file, 100, 2);
  EXPECT_FALSE(sealed.ciphertext == other.ciphertext) << "equal files look different";
  EXPECT_FALSE(open(other.attachment, sealed.ciphertext));
  Attachment moved = sealed.attachment.clone();
  moved.address[31] ^= 1;
  EXPECT_FALSE(open(moved, sealed.ciphertext));
}

TEST(Attachment, Buckets) {
  EXPECT_EQ(padded_attachment(0), 1024u);
  EXPECT_EQ(padded_attachment(1024), 1024u);
  EXPECT_EQ(padded_attachment(1025), 1088u);
  EXPECT_EQ(padded_attachment(1'000'000), 1'015'808u);
  EXPECT_EQ(padded_attachment(limits::kMaxAttachment), limits::kMaxAttachment);
  SeededEntropy chance(1);
  std::size_t buckets = 1;
  for (std::uint64_t size = 1024, last = 1024; size <= limits::kMaxAttachment;
       size += 1 + chance.below(size / 100)) {
    const std::uint64_t padded = padded_attachment(size);
    EXPECT_GE(padded, size);
    EXPECT_LT(padded - size, size / 16);
    EXPECT_GE(padded, last);
    EXPECT_EQ(padded_attachment(padded), padded);
    buckets += padded != last;
    last = padded;
  }
  EXPECT_LT(buckets, 600u) << "of two thousand million sizes";
}

TEST(Attachment, TooLarge) {
  SeededEntropy entropy(1);
  AttachmentEncoder encoder(entropy);
  const Bytes piece(1);
  Bytes out;
  ASSERT_TRUE(encoder.add(piece, out));
  const ByteView too_much(piece.data(), limits::kMaxAttachment);  // refused before it is looked at
  EXPECT_EQ(encoder.add(too_much, out).error().code, Code::kTooLarge);
  EXPECT_TRUE(out.empty());
  while (!encoder.finish(out)) {
  }
  EXPECT_EQ(out.size(), 1024u + 16u);
}

TEST(Attachment, Record) {
  const Sealed sealed = seal(file_of(5000));
  const auto record = sealed.attachment.serialize();
  const auto parsed = Attachment::parse(record.view());
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(open(*parsed, sealed.ciphertext) == file_of(5000));
  for (std::size_t size = 0; size < record.size(); ++size) {
    EXPECT_FALSE(Attachment::parse(record.view().first(size)));
  }
  Attachment large = sealed.attachment.clone();
  large.size = limits::kMaxAttachment + 1;
  EXPECT_EQ(Attachment::parse(large.serialize().view()).error().code, Code::kTooLarge);
}

// The format does not change unnoticed: the address is what node's crypto module makes of the key
// and the file, by the description in the header.
TEST(Attachment, KnownAnswer) {
  const Sealed sealed = seal(Bytes(kChunk + 1, 'a'));
  EXPECT_EQ(to_hex(sealed.attachment.key.view()),
            "c15c0289ec2d0a9167ec8e65a18debbe5e5532fbeea293f80bc942ee9086c171");
  EXPECT_EQ(to_hex(sealed.attachment.address),
            "fde4e26ec7f485ee8fe9e799d8f1c9898f75fa63bdbed25e7181cedda98903ad");
}

}  // namespace
}  // namespace godwit::e2e
