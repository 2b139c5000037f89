// Registration: asking for a code, and becoming a device of an account with it.
//
// The keys of a registration are stored before they are offered, and offered again unchanged when
// the answer was lost: the server takes the same keys from the same connection key twice.
#pragma once

#include "client/connection.h"
#include "client/keyring.h"

namespace godwit::client {

class Registration {
 public:
  Registration(Keyring& keyring, Connection& connection)
      : keyring_(keyring), connection_(connection) {}

  bool registered() const { return !row_.user.is_nil(); }
  const Profile& profile() const { return profile_; }
  std::uint32_t stream() const { return row_.stream; }

  // One command at a time; kUnavailable while one waits for its answer.
  Result<RequestId> request_code(std::string_view phone, Turn& turn);
  Result<RequestId> register_account(std::string_view phone, std::string_view code, Turn& turn);
  // True while a command waits for a connection or an answer.
  bool waiting() const { return command_.has_value(); }

  // Sends the command that waits.
  void on_connected(Turn& turn);
  // Nobody will answer it any more.
  void on_disconnected(Turn& turn);
  void on_code_requested(Turn& turn);
  // False: the answer is unusable.
  bool on_registered(const proto::Registered& answer, Turn& turn);
  void on_refused(Code code, const std::string& text, Duration retry_after, Turn& turn);

  Result<void> load(const ports::Row& row);
  void store_all(ports::Batch& batch) const;

 private:
  struct Command {
    RequestId id = 0;
    proto::Kind kind{};
    Bytes body;
  };
  Result<void> free() const;
  RequestId submit(proto::Kind kind, Bytes body, Turn& turn);
  void adopt(ProfileRow row);

  Keyring& keyring_;
  Connection& connection_;
  ProfileRow row_;
  Profile profile_;
  RequestId next_command_ = 1;
  std::optional<Command> command_;
};

}  // namespace godwit::client
