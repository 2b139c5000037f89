// Account: one user's devices, with their prekeys and mailboxes. The entity of a user's partition.
//
// It decides who may attach, what a device offers, and in which order envelopes reach a mailbox.
// It knows users by opaque ids only, never by number, and envelopes by their wrapping only.
//
// Rows (partition = the user's id):
//   kAccount  'a'                 generation of the registration
//             'd' device          DeviceRecord
//             'm' device          Mailbox::Stock
//             'k' device          KemPrekeys::Stock
//             'x'                 digest of the access key (proto::Certify)
//   kPrekey   device id(4)        a one-time prekey
//             0xff device position(4)  a KEM prekey; read when it is handed out
//   kQueue    device sequence(8)  an envelope
#pragma once

#include <map>
#include <optional>

#include "server/certifier.h"
#include "server/counters.h"
#include "server/dormant.h"
#include "server/effects.h"
#include "server/fifo.h"
#include "server/held.h"
#include "server/mailbox.h"
#include "server/prekeys.h"
#include "server/rate_window.h"

namespace godwit::server {

struct DeviceRecord {
  std::uint32_t registration_id = 0;
  PeerKey peer{};  // the Noise static key that may attach
  Bytes identity_key;
  proto::SignedPrekey signed_prekey;
  std::uint32_t next_prekey_id = 0;
  static void fields(auto& m, auto& field) {
    field(1, m.registration_id);
    field(2, m.peer);
    field(3, m.identity_key, proto::kMaxPublicKey);
    field(4, m.signed_prekey);
    field(5, m.next_prekey_id);
  }
};

class Account final : public Entity {
 public:
  // The reads that load an account, in order; their rows go to the constructor. `attachments`: who
  // was attached when it was last forgotten. One-time prekeys are loaded when somebody asks.
  static std::vector<ports::Scan> load_scans(const EntityKey& user);
  Account(const EntityKey& user, const std::vector<std::vector<ports::Row>>& rows,
          const Attachments& attachments, SequenceSource& sequences, Counters& counters,
          Duration write_behind, const Certifier* certifier = nullptr);

  void on_message(const Message& message, Env& env, Effects& out) override;
  void on_rows(std::vector<ports::Row> rows, Env& env, Effects& out) override;
  void on_wake(Env& env, Effects& out) override;
  void on_lost(Effects& out) override;
  Loss loss(Instant now) const override;
  bool rests() const override { return held_.empty(); }
  // Of its devices, for Dormant.
  Attachments attachments() const;
  // The same for another process, with how far their mailboxes are; and there.
  std::vector<AttachmentRecord> hand_over() const;
  void resume(const AttachmentRecord& record);

 private:
  using AccessDigest = ByteArray<32>;
  static constexpr std::uint8_t kAccessRow = 'x';
  static constexpr Error kNoDevice{Code::kNotFound,
                                   "this account has no device: it was deleted or moved"};
  static constexpr Error kNotYours{Code::kUnauthenticated,
                                   "this device is not registered any more: register again"};

  struct Device {
    DeviceRecord record;
    Prekeys prekeys;
    KemPrekeys kem_prekeys;
    Mailbox mailbox;
    std::optional<crypto::SenderCertificate> certificate;  // the last one that it was given

    proto::PrekeyStock left() const {
      return {static_cast<std::uint32_t>(prekeys.count()), kem_prekeys.stock().left};
    }
  };
  using Devices = std::map<DeviceId, Device>;

  void handle(const Message& message, Env& env, Effects& out);
  void create(const Message& message, Effects& out);
  void attach(const Message& message, Env& env, Effects& out);
  void detach(const Message& message, Effects& out);
  void acknowledge(const Message& message, Effects& out);
  void lookup(const Message& message, Env& env, Effects& out);
  void fetch_bundles(const Message& message, Env& env, Effects& out);
  void upload_prekeys(const Message& message, Effects& out);
  // account_submit.cc
  void certify(const Message& message, Env& env, Effects& out);
  void submit(const Message& message, Env& env, Effects& out);
  void hint(const Message& message, Env& env, Effects& out);
  void take_group(const Message& message, Effects& out);
  // Holds what was pushed to all devices, or commits it; then answers.
  void hold(const Message& message, ports::Batch rows, Env& env, Effects& out);
  void store_held(Effects& out);

  bool admits(const proto::AccessKey& access, std::span<const proto::Outgoing> messages);
  bool matches_devices(const proto::Outgoing& outgoing, const Message& message) const;
  bool has_room(const proto::Submit& submit) const;
  void refuse_stale(const Message& message, Effects& out) const;
  // May this requester have another one-time prekey?
  bool may_take(const UserId& requester, Instant now);
  void push(Device& device, std::vector<proto::Delivery> deliveries, Effects& out);
  void push_frame(Device& device, const proto::Frame& frame, Effects& out);
  // Reads go one at a time: the prekeys first, when they are missed; then KEM prekeys and mailboxes
  // take turns.
  void read_next(Effects& out);
  bool read_prekeys(Effects& out);
  bool read_kem_prekey(Effects& out);
  bool read_mailbox(Effects& out);
  void on_prekeys(const std::vector<ports::Row>& rows, Env& env, Effects& out);
  void on_kem_prekey(DeviceId id, std::vector<ports::Row> rows);
  void on_page(DeviceId id, std::uint64_t attachment, const std::vector<ports::Row>& rows,
               Effects& out);
  Device* attached(const Message& message);
  Device* owned(const Message& message);
  ports::Batch batch() const;
  static void store_stock(DeviceId id, const Device& device, ports::Batch& commit);

  EntityKey user_;
  std::uint64_t generation_ = 0;
  Devices devices_;
  AccessDigest access_{};  // zero: nobody writes here without a name
  proto::AccessKey admitted_{};  // the last one that has this digest; zero: none yet
  RateWindow lookups_;
  std::map<UserId, RateWindow> bundle_windows_;  // by requester; bounded
  // A request for bundles, while the KEM prekeys for it are read.
  struct Fetch {
    Message message;
    std::vector<DeviceId> devices;  // those asked for
    bool one_time = false;  // may it have one-time prekeys?
    std::map<DeviceId, std::vector<ports::Row>> rows;
  };
  void hand_out(Fetch fetch, Effects& out);
  Fifo<Fetch> fetches_;  // bounded

  struct Reading {
    DeviceId device;
    enum class Of : std::uint8_t { kMailbox, kKemPrekey, kPrekeys } what{};
    std::uint64_t generation = 0;  // of the account
    std::uint64_t attachment = 0;  // of the mailbox
  };
  std::optional<Reading> reading_;  // exactly while a Page is unanswered
  bool kem_prekey_was_last_ = false;
  bool prekeys_loaded_ = false;
  Fifo<Message> waiting_;  // for the prekeys; bounded
  Held held_;
  bool waking_ = false;  // a Wake is under way
  SequenceSource& sequences_;
  Counters& counters_;
  const Certifier* certifier_;
};

}  // namespace godwit::server
