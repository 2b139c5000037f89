#include "e2e/prekey.h"

#include "e2e/record.h"

namespace godwit::e2e {

SignedPrekey SignedPrekey::make(SignedPrekeyId id, const LocalIdentity& own, Entropy& entropy) {
  SignedPrekey prekey{id, crypto::KeyPair::generate(entropy)};
  prekey.signature = own.sign(prekey.public_key().wire(), entropy);
  return prekey;
}

crypto::SecretBytes SignedPrekey::serialize() const {
  Bytes out;
  out.reserve(160);
  put_uint_field(out, 1, id.value);
  put_key_pair(out, 2, keys);
  put_bytes_field(out, 4, signature);
  return crypto::SecretBytes(std::move(out));
}

Result<SignedPrekey> SignedPrekey::parse(ByteView record) {
  SignedPrekey prekey;
  GODWIT_TRY(read_record(record, require(1, 2, 3, 4), [&](const Reader::Field& field) {
    switch (field.number) {
      case 1: return read_uint(field, prekey.id.value);
      case 2: return read_octets(field, prekey.keys.private_key);
      case 3: return read_octets(field, prekey.keys.public_key);
      case 4: return read_octets(field, prekey.signature);
      default: return true;
    }
  }));
  return prekey;
}

OneTimePrekey OneTimePrekey::make(OneTimePrekeyId id, Entropy& entropy) {
  return {id, crypto::KeyPair::generate(entropy)};
}

crypto::SecretBytes OneTimePrekey::serialize() const {
  Bytes out;
  out.reserve(80);
  put_uint_field(out, 1, id.value);
  put_key_pair(out, 2, keys);
  return crypto::SecretBytes(std::move(out));
}

Result<OneTimePrekey> OneTimePrekey::parse(ByteView record) {
  OneTimePrekey prekey;
  GODWIT_TRY(read_record(record, require(1, 2, 3), [&](const Reader::Field& field) {
    switch (field.number) {
      case 1: return read_uint(field, prekey.id.value);
      case 2: return read_octets(field, prekey.keys.private_key);
      case 3: return read_octets(field, prekey.keys.public_key);
      default: return true;
    }
  }));
  return prekey;
}

KyberPrekey KyberPrekey::make(KyberPrekeyId id, const LocalIdentity& own, Entropy& entropy) {
  KyberPrekey prekey{id};
  entropy.fill(prekey.seed.mutable_view());
  prekey.signature = own.sign(prekey.public_key().wire(), entropy);
  return prekey;
}

crypto::SecretBytes KyberPrekey::serialize() const {
  Bytes out;
  out.reserve(160);
  put_uint_field(out, 1, id.value);
  put_bytes_field(out, 2, seed.view());
  put_bytes_field(out, 3, signature);
  return crypto::SecretBytes(std::move(out));
}

Result<KyberPrekey> KyberPrekey::parse(ByteView record) {
  KyberPrekey prekey;
  GODWIT_TRY(read_record(record, require(1, 2, 3), [&](const Reader::Field& field) {
    switch (field.number) {
      case 1: return read_uint(field, prekey.id.value);
      case 2: return read_octets(field, prekey.seed);
      case 3: return read_octets(field, prekey.signature);
      default: return true;
    }
  }));
  return prekey;
}

std::vector<OneTimePrekey> make_one_time_prekeys(OneTimePrekeyId first, std::size_t count,
                                                 Entropy& entropy) {
  std::vector<OneTimePrekey> prekeys;
  prekeys.reserve(count);
  for (OneTimePrekeyId id = first; prekeys.size() < count; ++id.value) {
    prekeys.push_back(OneTimePrekey::make(id, entropy));
  }
  return prekeys;
}

Result<void> PrekeyBundle::verify() const {
  if (!crypto::xeddsa_verify(identity_key.u, signed_prekey.wire(), signed_prekey_signature)) {
    return fail(Code::kCorrupt, "the prekey was not signed by the identity key");
  }
  if (kyber_prekey &&
      !crypto::xeddsa_verify(identity_key.u, kyber_prekey->key.wire(), kyber_prekey->signature)) {
    return fail(Code::kCorrupt, "the Kyber prekey was not signed by the identity key");
  }
  return {};
}

}  // namespace godwit::e2e
