// A file is sealed, tampered with and opened, in pieces of any size.
//
// Sealed octets come back the same whatever the pieces; changed ones are refused, and what was
// given out before the error is the beginning of the file.
#include "base/check.h"
#include "e2e/attachment.h"
#include "fuzz.h"

using namespace godwit;

namespace {

std::size_t number(fuzz::Input& input) {
  const std::size_t high = input.octet(), low = input.octet();
  return high << 8 | low;
}

// How much of `left` comes next: all of it when the input says nothing.
std::size_t piece_of(ByteView left, fuzz::Input& input) {
  const std::size_t size = number(input) * 16;
  return size == 0 ? left.size() : std::min(size, left.size());
}

struct Sealed {
  e2e::Attachment attachment;
  Bytes ciphertext;
};

Sealed seal(ByteView file, fuzz::Input& input) {
  SeededEntropy entropy(1);
  e2e::AttachmentEncoder encoder(entropy);
  Bytes out;
  while (!file.empty()) {
    const std::size_t piece = piece_of(file, input);
    CHECK(encoder.add(file.first(piece), out));
    file = file.subspan(piece);
  }
  for (;;) {
    if (auto attachment = encoder.finish(out)) return {std::move(*attachment), std::move(out)};
  }
}

// False: refused. `out` is what was given out.
bool open(const e2e::Attachment& attachment, ByteView ciphertext, fuzz::Input& input, Bytes& out) {
  e2e::AttachmentDecoder decoder(attachment);
  while (!ciphertext.empty()) {
    const std::size_t piece = piece_of(ciphertext, input);
    if (!decoder.add(ciphertext.first(piece), out)) return false;
    ciphertext = ciphertext.subspan(piece);
  }
  return decoder.finish().has_value();
}

void tamper(Sealed& sealed, fuzz::Input& input) {
  Bytes& octets = sealed.ciphertext;
  const std::size_t at = number(input) * 4 % octets.size();
  switch (input.octet() % 6) {
    case 0: octets[at] ^= input.octet(); break;
    case 1: octets.resize(at); break;
    case 2: octets.resize(octets.size() + number(input)); break;
    case 3: sealed.attachment.size = number(input) * 5; break;
    case 4: {  // two chunks change places
      const std::size_t chunk = limits::kAttachmentChunk + 16;
      if (octets.size() < 2 * chunk) break;
      std::swap_ranges(octets.begin(), octets.begin() + static_cast<std::ptrdiff_t>(chunk),
                       octets.begin() + static_cast<std::ptrdiff_t>(chunk));
      break;
    }
    default: sealed.attachment.address[at % 32] ^= input.octet(); break;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  Bytes file(number(input) * 4);  // up to four chunks
  SeededEntropy(2).fill(file);
  Sealed sealed = seal(file, input);
  Bytes out;
  CHECK(open(sealed.attachment, sealed.ciphertext, input, out) && out == file);

  const Bytes before = sealed.ciphertext;
  const auto record = sealed.attachment.serialize();
  tamper(sealed, input);
  const bool changed =
      before != sealed.ciphertext || !same(record.view(), sealed.attachment.serialize().view());
  out.clear();
  CHECK(open(sealed.attachment, sealed.ciphertext, input, out) == !changed);
  CHECK(out.size() <= file.size() && same(out, ByteView(file).first(out.size())));
  return 0;
}
