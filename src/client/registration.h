// Registration: asking for a code, and becoming a device of an account with it.
//
// The keys of a registration are stored before they are offered, and offered again unchanged when
// the answer was lost: the server takes the same keys from the same connection key twice.
#pragma once

#include <deque>

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

  Result<RequestId> request_code(std::string_view phone, Turn& turn);
  Result<RequestId> register_account(std::string_view phone, std::string_view code, Turn& turn);
  // True while a command waits for a connection or an answer.
  bool waiting() const { return !waiting_.empty() || asked_ != 0; }

  // Sends what waits.
  void on_connected(Turn& turn);
  // Commands have nobody to answer them any more.
  void on_disconnected(const std::vector<Request>& lost, Turn& turn);
  void on_code_requested(const Request& request, Turn& turn);
  // False: the answer is unusable.
  bool on_registered(const Request& request, const proto::Registered& answer, Turn& turn);
  void on_refused(const Request& request, const proto::ErrorBody& error, Turn& turn);

  Result<void> load(const ports::Row& row);
  void store_all(ports::Batch& batch) const;

 private:
  struct Command {
    Request request;
    Bytes body;
  };
  Result<RequestId> submit(proto::Kind kind, Bytes body, Turn& turn);
  void adopt(ProfileRow row);

  Keyring& keyring_;
  Connection& connection_;
  ProfileRow row_;
  Profile profile_;
  RequestId next_command_ = 1;
  std::deque<Command> waiting_;
  std::size_t asked_ = 0;
};

}  // namespace godwit::client
