// Times libsignal-protocol-c (X3DH, version 3): the rows of e2e_bench.cc, done in the same way,
// with records in memory and OpenSSL for what the library leaves to its user. GPL: linked for this
// measurement alone.
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <signal/group_cipher.h>
#include <signal/group_session_builder.h>
#include <signal/key_helper.h>
#include <signal/protocol.h>
#include <signal/session_builder.h>
#include <signal/session_cipher.h>
#include <signal/session_pre_key.h>
#include <signal/signal_protocol.h>

#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <tuple>

#include "bench/e2e_rows.h"

namespace godwit::bench {
namespace {

void must(int result) {
  if (result >= 0) return;
  std::fprintf(stderr, "e2e_bench_c: error %d\n", result);
  std::exit(1);
}

using Record = std::basic_string<std::uint8_t>;

int give(signal_buffer** out, const Record& record) {
  *out = signal_buffer_create(record.data(), record.size());
  return 1;
}

// ---- what the library asks of its user: cryptography

const EVP_CIPHER* cipher_of(int cipher) {
  static const EVP_CIPHER* const cbc = EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr);
  static const EVP_CIPHER* const ctr = EVP_CIPHER_fetch(nullptr, "AES-256-CTR", nullptr);
  return cipher == SG_CIPHER_AES_CBC_PKCS5 ? cbc : ctr;
}

template <bool encrypt>
int run_cipher(signal_buffer** out, int cipher, const std::uint8_t* key, std::size_t,
               const std::uint8_t* iv, std::size_t, const std::uint8_t* in, std::size_t size,
               void*) {
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  Record text(size + 16, 0);
  int written = 0, last = 0;
  const bool good =
      EVP_CipherInit_ex2(context, cipher_of(cipher), key, iv, encrypt, nullptr) == 1 &&
      EVP_CipherUpdate(context, text.data(), &written, in, static_cast<int>(size)) == 1 &&
      EVP_CipherFinal_ex(context, text.data() + written, &last) == 1;
  EVP_CIPHER_CTX_free(context);
  *out = signal_buffer_create(text.data(), static_cast<std::size_t>(written + last));
  return good ? 0 : SG_ERR_UNKNOWN;
}

int draw(std::uint8_t* data, std::size_t size, void*) {
  return RAND_bytes(data, static_cast<int>(size)) == 1 ? 0 : SG_ERR_UNKNOWN;
}

// OpenSSL's HMAC object is slow to make: one is made, and copied.
int hmac_init(void** context, const std::uint8_t* key, std::size_t size, void*) {
  static EVP_MAC_CTX* const model = [] {
    char name[] = "SHA256";
    const OSSL_PARAM parameters[] = {OSSL_PARAM{"digest", OSSL_PARAM_UTF8_STRING, name, 6, 0},
                                     OSSL_PARAM{nullptr, 0, nullptr, 0, 0}};
    EVP_MAC_CTX* made = EVP_MAC_CTX_new(EVP_MAC_fetch(nullptr, "HMAC", nullptr));
    EVP_MAC_CTX_set_params(made, parameters);
    return made;
  }();
  EVP_MAC_CTX* mac = EVP_MAC_CTX_dup(model);
  *context = mac;
  return EVP_MAC_init(mac, key, size, nullptr) == 1 ? 0 : SG_ERR_UNKNOWN;
}
int hmac_update(void* context, const std::uint8_t* data, std::size_t size, void*) {
  return EVP_MAC_update(static_cast<EVP_MAC_CTX*>(context), data, size) == 1 ? 0 : SG_ERR_UNKNOWN;
}
int hmac_final(void* context, signal_buffer** out, void*) {
  std::uint8_t mac[32];
  std::size_t size = 0;
  EVP_MAC_final(static_cast<EVP_MAC_CTX*>(context), mac, &size, sizeof mac);
  *out = signal_buffer_create(mac, size);
  return 0;
}
void hmac_cleanup(void* context, void*) { EVP_MAC_CTX_free(static_cast<EVP_MAC_CTX*>(context)); }

int sha512_init(void** context, void*) {
  EVP_MD_CTX* digest = EVP_MD_CTX_new();
  *context = digest;
  return EVP_DigestInit_ex(digest, EVP_sha512(), nullptr) == 1 ? 0 : SG_ERR_UNKNOWN;
}
int sha512_update(void* context, const std::uint8_t* data, std::size_t size, void*) {
  return EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context), data, size) == 1 ? 0 : SG_ERR_UNKNOWN;
}
int sha512_final(void* context, signal_buffer** out, void*) {
  std::uint8_t digest[64];
  EVP_DigestFinal_ex(static_cast<EVP_MD_CTX*>(context), digest, nullptr);
  *out = signal_buffer_create(digest, sizeof digest);
  return 0;
}
void sha512_cleanup(void* context, void*) { EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context)); }

signal_context* make_context() {
  static const signal_crypto_provider provider = {
      draw,          hmac_init,    hmac_update,    hmac_final,       hmac_cleanup,      sha512_init,
      sha512_update, sha512_final, sha512_cleanup, run_cipher<true>, run_cipher<false>, nullptr};
  signal_context* context = nullptr;
  must(signal_context_create(&context, nullptr));
  must(signal_context_set_crypto_provider(context, &provider));
  return context;
}
signal_context* const context = make_context();

// ---- a device: its stores, and what the rows ask of it

struct Device {
  explicit Device(std::string device_name) : name(std::move(device_name)) {
    must(signal_protocol_key_helper_generate_identity_key_pair(&identity, context));
    must(signal_protocol_store_context_create(&store, context));
    set_stores();
  }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  ~Device() {
    signal_protocol_store_context_destroy(store);
    SIGNAL_UNREF(identity);
  }
  static Device& of(void* self) { return *static_cast<Device*>(self); }
  signal_protocol_address address() const { return {name.data(), name.size(), 1}; }

  void set_stores();
  session_pre_key_bundle* bundle();
  void process(signal_protocol_address at, session_pre_key_bundle* with);
  Record encrypt(signal_protocol_address to, const Record& text);
  template <bool first>
  void decrypt(signal_protocol_address from, const Record& wire);

  std::string name;
  ratchet_identity_key_pair* identity = nullptr;
  signal_protocol_store_context* store = nullptr;
  std::uint32_t next = 1;
  std::map<std::string, Record> sessions, identities, sender_keys;
  std::map<std::uint32_t, Record> prekeys, signed_prekeys;
};

std::string text_of(const signal_protocol_address* address) {
  return {address->name, address->name_len};
}

template <std::map<std::uint32_t, Record> Device::* shelf>
struct Shelf {
  static int load(signal_buffer** out, std::uint32_t id, void* self) {
    const auto found = (Device::of(self).*shelf).find(id);
    if (found == (Device::of(self).*shelf).end()) return SG_ERR_INVALID_KEY_ID;
    give(out, found->second);
    return SG_SUCCESS;
  }
  static int save(std::uint32_t id, std::uint8_t* record, std::size_t size, void* self) {
    (Device::of(self).*shelf)[id] = Record(record, size);
    return 0;
  }
  static int contains(std::uint32_t id, void* self) {
    return (Device::of(self).*shelf).contains(id);
  }
  static int remove(std::uint32_t id, void* self) {
    (Device::of(self).*shelf).erase(id);
    return 0;
  }
};

void Device::set_stores() {
  const signal_protocol_session_store session_store = {
      [](signal_buffer** out, signal_buffer**, const signal_protocol_address* at, void* self) {
        const auto found = of(self).sessions.find(text_of(at));
        return found == of(self).sessions.end() ? 0 : give(out, found->second);
      },
      [](signal_int_list**, const char*, std::size_t, void*) { return 0; },
      [](const signal_protocol_address* at, std::uint8_t* record, std::size_t size, std::uint8_t*,
         std::size_t, void* self) {
        of(self).sessions[text_of(at)] = Record(record, size);
        return 0;
      },
      [](const signal_protocol_address* at, void* self) {
        return int{of(self).sessions.contains(text_of(at))};
      },
      [](const signal_protocol_address*, void*) { return 0; },
      [](const char*, std::size_t, void*) { return 0; },
      nullptr,
      this};
  must(signal_protocol_store_context_set_session_store(store, &session_store));

  using OneTime = Shelf<&Device::prekeys>;
  const signal_protocol_pre_key_store prekey_store = {
      OneTime::load, OneTime::save, OneTime::contains, OneTime::remove, nullptr, this};
  must(signal_protocol_store_context_set_pre_key_store(store, &prekey_store));

  using Signed = Shelf<&Device::signed_prekeys>;
  const signal_protocol_signed_pre_key_store signed_prekey_store = {
      Signed::load, Signed::save, Signed::contains, Signed::remove, nullptr, this};
  must(signal_protocol_store_context_set_signed_pre_key_store(store, &signed_prekey_store));

  const signal_protocol_identity_key_store identity_store = {
      [](signal_buffer** public_data, signal_buffer** private_data, void* self) {
        must(ec_public_key_serialize(public_data,
                                     ratchet_identity_key_pair_get_public(of(self).identity)));
        return ec_private_key_serialize(private_data,
                                        ratchet_identity_key_pair_get_private(of(self).identity));
      },
      [](void*, std::uint32_t* id) {
        *id = 5;
        return 0;
      },
      [](const signal_protocol_address* at, std::uint8_t* key, std::size_t size, void* self) {
        of(self).identities[text_of(at)] = Record(key, size);
        return 0;
      },
      [](const signal_protocol_address*, std::uint8_t*, std::size_t, void*) { return 1; },
      nullptr,
      this};
  must(signal_protocol_store_context_set_identity_key_store(store, &identity_store));

  const signal_protocol_sender_key_store sender_key_store = {
      [](const signal_protocol_sender_key_name* key, std::uint8_t* record, std::size_t size,
         std::uint8_t*, std::size_t, void* self) {
        of(self).sender_keys[std::string(key->group_id, key->group_id_len)] = Record(record, size);
        return 0;
      },
      [](signal_buffer** out, signal_buffer**, const signal_protocol_sender_key_name* key,
         void* self) {
        const auto found = of(self).sender_keys.find(std::string(key->group_id, key->group_id_len));
        return found == of(self).sender_keys.end() ? 0 : give(out, found->second);
      },
      nullptr, this};
  must(signal_protocol_store_context_set_sender_key_store(store, &sender_key_store));
}

session_pre_key_bundle* Device::bundle() {
  const std::uint32_t id = next++;
  signal_protocol_key_helper_pre_key_list_node* list = nullptr;
  must(signal_protocol_key_helper_generate_pre_keys(&list, id, 1, context));
  session_pre_key* one_time = signal_protocol_key_helper_key_list_element(list);
  session_signed_pre_key* signed_prekey = nullptr;
  must(
      signal_protocol_key_helper_generate_signed_pre_key(&signed_prekey, identity, id, 0, context));
  must(signal_protocol_pre_key_store_key(store, one_time));
  must(signal_protocol_signed_pre_key_store_key(store, signed_prekey));
  session_pre_key_bundle* made = nullptr;
  must(session_pre_key_bundle_create(
      &made, 5, 1, id, ec_key_pair_get_public(session_pre_key_get_key_pair(one_time)), id,
      ec_key_pair_get_public(session_signed_pre_key_get_key_pair(signed_prekey)),
      session_signed_pre_key_get_signature(signed_prekey),
      session_signed_pre_key_get_signature_len(signed_prekey),
      ratchet_identity_key_pair_get_public(identity)));
  SIGNAL_UNREF(signed_prekey);
  signal_protocol_key_helper_key_list_free(list);
  return made;
}

void Device::process(signal_protocol_address at, session_pre_key_bundle* with) {
  session_builder* builder = nullptr;
  must(session_builder_create(&builder, store, &at, context));
  must(session_builder_process_pre_key_bundle(builder, with));
  session_builder_free(builder);
}

Record serialized(ciphertext_message* message) {
  const signal_buffer* wire = ciphertext_message_get_serialized(message);
  Record out(signal_buffer_const_data(wire), signal_buffer_len(wire));
  SIGNAL_UNREF(message);
  return out;
}

Record Device::encrypt(signal_protocol_address to, const Record& text) {
  session_cipher* cipher = nullptr;
  ciphertext_message* message = nullptr;
  must(session_cipher_create(&cipher, store, &to, context));
  must(session_cipher_encrypt(cipher, text.data(), text.size(), &message));
  session_cipher_free(cipher);
  return serialized(message);
}

template <bool first>
void Device::decrypt(signal_protocol_address from, const Record& wire) {
  session_cipher* cipher = nullptr;
  signal_buffer* plaintext = nullptr;
  must(session_cipher_create(&cipher, store, &from, context));
  if constexpr (first) {
    pre_key_signal_message* message = nullptr;
    must(pre_key_signal_message_deserialize(&message, wire.data(), wire.size(), context));
    must(session_cipher_decrypt_pre_key_signal_message(cipher, message, nullptr, &plaintext));
    SIGNAL_UNREF(message);
  } else {
    signal_message* message = nullptr;
    must(signal_message_deserialize(&message, wire.data(), wire.size(), context));
    must(session_cipher_decrypt_signal_message(cipher, message, nullptr, &plaintext));
    SIGNAL_UNREF(message);
  }
  signal_buffer_free(plaintext);
  session_cipher_free(cipher);
}

// ---- the rows

struct Bench {
  void connect() {
    alice = std::make_unique<Device>("alice");
    bob = std::make_unique<Device>("bob");
    session_pre_key_bundle* bundle = bob->bundle();
    alice->process(bob->address(), bundle);
    SIGNAL_UNREF(bundle);
    bob->decrypt<true>(alice->address(), alice->encrypt(bob->address(), text));
    alice->decrypt<false>(bob->address(), bob->encrypt(alice->address(), text));
  }
  static void turn(Device& from, Device& to, const Record& text) {
    to.decrypt<false>(from.address(), from.encrypt(to.address(), text));
  }
  void encrypt_batch() {
    sent.clear();
    for (int i = 0; i < kBatch; ++i) sent.push_back(alice->encrypt(bob->address(), text));
  }
  void decrypt(int i) { bob->decrypt<false>(alice->address(), sent[static_cast<std::size_t>(i)]); }

  void sessions();
  void messages();
  void groups();

  std::unique_ptr<Device> alice, bob;
  Record text = Record(64, 0);
  std::vector<Record> sent;
};

void Bench::sessions() {
  std::vector<session_pre_key_bundle*> bundles;
  std::vector<std::string> names;
  for (int i = 0; i < kBatch; ++i) names.push_back(std::to_string(i));
  const auto numbered = [&](int i) -> signal_protocol_address {
    const std::string& name = names[static_cast<std::size_t>(i)];
    return {name.data(), name.size(), 1};
  };
  const auto make_bundles = [&] {
    for (session_pre_key_bundle* bundle : bundles) SIGNAL_UNREF(bundle);
    bundles.clear();
    alice = std::make_unique<Device>("alice");
    bob = std::make_unique<Device>("bob");
    for (int i = 0; i < kBatch; ++i) bundles.push_back(bob->bundle());
  };
  row("open a session", make_bundles,
      [&](int i) { alice->process(numbered(i), bundles[static_cast<std::size_t>(i)]); });
  row(
      "read a first message",
      [&] {
        make_bundles();
        sent.clear();
        for (int i = 0; i < kBatch; ++i) {
          Device stranger("stranger");
          stranger.process(bob->address(), bundles[static_cast<std::size_t>(i)]);
          sent.push_back(stranger.encrypt(bob->address(), text));
        }
      },
      [&](int i) { bob->decrypt<true>(numbered(i), sent[static_cast<std::size_t>(i)]); });
}

void Bench::messages() {
  for (const auto& [size, encrypting, decrypting] :
       {std::tuple(64, "encrypt 64 B", "decrypt 64 B"),
        std::tuple(1024, "encrypt 1 KiB", "decrypt 1 KiB")}) {
    text = Record(static_cast<std::size_t>(size), 0);
    connect();
    row(encrypting, [] {}, [&](int) { alice->encrypt(bob->address(), text); });
    connect();
    row(decrypting, [&] { encrypt_batch(); }, [&](int i) { decrypt(i); });
  }
  text = Record(64, 0);
  row("decrypt 64 B, backwards", [&] { encrypt_batch(); }, [&](int i) { decrypt(kBatch - 1 - i); });
  row(
      "send and answer, 64 B", [] {},
      [&](int) {
        turn(*alice, *bob, text);
        turn(*bob, *alice, text);
      });
}

void Bench::groups() {
  std::string group = "a";
  const auto key_name = [&]() -> signal_protocol_sender_key_name {
    return {group.data(), group.size(), alice->address()};
  };
  const auto tell = [&] {
    ++group[0];
    const auto key = key_name();
    sender_key_distribution_message* told = nullptr;
    group_session_builder* builder = nullptr;
    must(group_session_builder_create(&builder, alice->store, context));
    must(group_session_builder_create_session(builder, &told, &key));
    group_session_builder_free(builder);
    must(group_session_builder_create(&builder, bob->store, context));
    must(group_session_builder_process_session(builder, &key, told));
    group_session_builder_free(builder);
    SIGNAL_UNREF(told);
  };
  const auto encrypt = [&] {
    const auto key = key_name();
    group_cipher* cipher = nullptr;
    ciphertext_message* message = nullptr;
    must(group_cipher_create(&cipher, alice->store, &key, context));
    must(group_cipher_encrypt(cipher, text.data(), text.size(), &message));
    group_cipher_free(cipher);
    return serialized(message);
  };
  const auto decrypt = [&](const Record& wire) {
    const auto key = key_name();
    group_cipher* cipher = nullptr;
    sender_key_message* message = nullptr;
    signal_buffer* plaintext = nullptr;
    must(group_cipher_create(&cipher, bob->store, &key, context));
    must(sender_key_message_deserialize(&message, wire.data(), wire.size(), context));
    must(group_cipher_decrypt(cipher, message, nullptr, &plaintext));
    signal_buffer_free(plaintext);
    SIGNAL_UNREF(message);
    group_cipher_free(cipher);
  };
  for (const auto& [size, encrypting, decrypting] :
       {std::tuple(64, "group encrypt 64 B", "group decrypt 64 B"),
        std::tuple(1024, "group encrypt 1 KiB", "group decrypt 1 KiB")}) {
    text = Record(static_cast<std::size_t>(size), 0);
    tell();
    row(encrypting, [] {}, [&](int) { encrypt(); });
    tell();
    row(
        decrypting,
        [&] {
          sent.clear();
          for (int i = 0; i < kBatch; ++i) sent.push_back(encrypt());
        },
        [&](int i) { decrypt(sent[static_cast<std::size_t>(i)]); });
  }
}

}  // namespace
}  // namespace godwit::bench

int main() {
  godwit::bench::Bench bench;
  bench.sessions();
  bench.messages();
  bench.groups();
}
