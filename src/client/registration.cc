#include "client/registration.h"

namespace godwit::client {

using ports::Space;

Result<RequestId> Registration::request_code(std::string_view phone, Turn& turn) {
  if (!is_phone(phone)) {
    return fail(Code::kInvalid, "write the number as +, country code and number, digits only");
  }
  GODWIT_TRY(free());
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
  GODWIT_TRY(free());
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
                             .one_time_prekeys = std::move(offer.one_time_prekeys),
                             .last_resort_prekey = std::move(offer.last_resort_prekey),
                             .kem_prekeys = std::move(offer.kem_prekeys)};
  return submit(proto::Kind::kRegister, encode(body), turn);
}

Result<void> Registration::free() const {
  if (!waiting()) return {};
  return fail(Code::kUnavailable, "wait for the answer to the request before this one");
}

RequestId Registration::submit(proto::Kind kind, Bytes body, Turn& turn) {
  command_ = {next_command_++, kind, std::move(body)};
  const RequestId id = command_->id;
  if (connection_.open()) {
    on_connected(turn);
  } else {
    connection_.want(true);
  }
  return id;
}

void Registration::on_connected(Turn& turn) {
  if (command_) connection_.ask({.kind = command_->kind}, std::move(command_->body), turn);
}

void Registration::on_disconnected(Turn& turn) {
  if (!command_) return;
  on_refused(Code::kUnavailable, "the server could not be reached; try again", {}, turn);
}

void Registration::on_code_requested(Turn& turn) {
  turn.notify(CodeRequested{command_->id});
  command_.reset();
}

bool Registration::on_registered(const proto::Registered& answer, Turn& turn) {
  if (answer.user.is_nil() || answer.device.value == 0) return false;
  ProfileRow row = row_;
  row.user = answer.user;
  row.device = answer.device;
  row.registered = turn.env.now;
  adopt(std::move(row));
  keyring_.on_uploaded(turn);
  turn.put(Space::kProfile, row_key('P'), encode(row_));
  turn.notify(Registered{command_->id});
  command_.reset();
  return true;
}

void Registration::on_refused(Code code, const std::string& text, Duration retry_after,
                              Turn& turn) {
  turn.notify(Failed{command_->id, code, text, clamped(retry_after)});
  command_.reset();
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
