#include "client/registration.h"

namespace godwit::client {

using ports::Space;

Result<RequestId> Registration::request_code(std::string_view phone, Turn& turn) {
  if (!is_phone(phone)) {
    return fail(Code::kInvalid, "write the number as +, country code and number, digits only");
  }
  return submit(proto::Kind::kRequestCode, encode(proto::RequestCode{std::string(phone)}), turn);
}

Result<RequestId> Registration::register_account(std::string_view phone, std::string_view code,
                                                 Turn& turn) {
  if (registered()) {
    return fail(Code::kConflict, "this device is registered; use a new profile for another number");
  }
  if (!is_phone(phone)) {
    return fail(Code::kInvalid, "write the number as +, country code and number, digits only");
  }
  if (code.size() != 6 || code.find_first_not_of("0123456789") != std::string_view::npos) {
    return fail(Code::kInvalid, "a verification code has six digits");
  }
  if (waiting_.size() >= limits::kWaitingCommands) {
    return fail(Code::kFull, "wait for the answers to earlier requests");
  }
  if (row_.phone != phone || !keyring_.ready()) {
    keyring_.generate(turn);
    ProfileRow row{.phone = std::string(phone)};
    row.stream = static_cast<std::uint32_t>(turn.env.entropy.below(UINT32_MAX)) + 1;
    adopt(std::move(row));
    turn.put(Space::kProfile, row_key('P'), encode(row_));
  }
  Keyring::Offer offer = keyring_.registration();
  const proto::Register body{.phone = row_.phone,
                             .code = std::string(code),
                             .registration_id = keyring_.identity().registration_id,
                             .identity_key = to_bytes(keyring_.identity().public_key().wire()),
                             .signed_prekey = std::move(offer.signed_prekey),
                             .one_time_prekeys = std::move(offer.one_time_prekeys)};
  return submit(proto::Kind::kRegister, encode(body), turn);
}

Result<RequestId> Registration::submit(proto::Kind kind, Bytes body, Turn& turn) {
  if (waiting_.size() >= limits::kWaitingCommands) {
    return fail(Code::kFull, "wait for the answers to earlier requests");
  }
  const RequestId id = next_command_++;
  waiting_.push_back({{.kind = kind, .command = id}, std::move(body)});
  if (connection_.open()) {
    on_connected(turn);
  } else {
    connection_.want(true);
  }
  return id;
}

void Registration::on_connected(Turn& turn) {
  for (Command& command : waiting_) {
    ++asked_;
    connection_.ask(std::move(command.request), std::move(command.body), turn);
  }
  waiting_.clear();
}

void Registration::on_disconnected(const std::vector<Request>& lost, Turn& turn) {
  const auto refuse = [&](RequestId command) {
    if (command == 0) return;
    turn.notify(Failed{command, Code::kUnavailable, "the server could not be reached; try again",
                       Duration{}});
  };
  for (const Request& request : lost) refuse(request.command);
  for (const Command& command : waiting_) refuse(command.request.command);
  waiting_.clear();
  asked_ = 0;
}

void Registration::on_code_requested(const Request& request, Turn& turn) {
  --asked_;
  turn.notify(CodeRequested{request.command});
}

bool Registration::on_registered(const Request& request, const proto::Registered& answer,
                                 Turn& turn) {
  --asked_;
  if (answer.user.is_nil() || answer.device.value == 0) return false;
  ProfileRow row = row_;
  row.user = answer.user;
  row.device = answer.device;
  row.registered = turn.env.now;
  adopt(std::move(row));
  keyring_.on_uploaded(turn);
  turn.put(Space::kProfile, row_key('P'), encode(row_));
  turn.notify(Registered{request.command});
  return true;
}

void Registration::on_refused(const Request& request, const proto::ErrorBody& error, Turn& turn) {
  --asked_;
  turn.notify(Failed{request.command, error.code, error.text, clamped(error.retry_after)});
}

void Registration::adopt(ProfileRow row) {
  row_ = std::move(row);
  profile_ = {row_.phone, row_.user, row_.device, row_.registered};
}

Result<void> Registration::load(const ports::Row& row) {
  auto stored = decode<ProfileRow>(row.value);
  if (!stored) return fail(stored.error());
  adopt(std::move(*stored));
  return {};
}

void Registration::store_all(ports::Batch& batch) const {
  if (keyring_.ready()) batch.put(Space::kProfile, row_key('P'), encode(row_));
}

}  // namespace godwit::client
