#include "server/directory.h"

#include <array>

#include "crypto/secret.h"

namespace godwit::server {
namespace {

using ports::Space;

constexpr std::uint8_t kUserRow = 'u';
constexpr std::uint8_t kCodeRow = 'c';

constexpr Error kNoCode{Code::kExpired, "no code is pending for this number: request a new one"};

std::string draw_code(Entropy& entropy) {
  std::string code = std::to_string(entropy.below(1'000'000));
  return std::string(6 - code.size(), '0') + code;
}

}  // namespace

std::vector<ports::Scan> Directory::load_scans(const EntityKey& handle) {
  return {{to_bytes(handle), Space::kDirectory, {}, {}}};
}

Directory::Directory(const EntityKey& handle, const std::vector<std::vector<ports::Row>>& rows)
    : handle_(handle) {
  for (const ports::Row& row : rows[0]) {
    if (row.key == Bytes{kUserRow}) user_ = decode<User>(row.value).value_or(User{});
    if (row.key == Bytes{kCodeRow}) pending_ = decode<Pending>(row.value).value_or(Pending{});
  }
}

void Directory::on_message(const Message& message, Env& env, Effects& out) {
  switch (message.verb) {
    case Verb::kRequestCode: return request_code(message, env, out);
    case Verb::kVerify: return verify(message, env, out);
    case Verb::kResolve: return resolve(message, out);
    default: return;
  }
}

void Directory::put_pending(ports::Batch& commit) const {
  commit.put(Space::kDirectory, {kCodeRow}, encode(pending_),
             pending_.expires + limits::kCodeWindow);
}

void Directory::request_code(const Message& message, Env& env, Effects& out) {
  auto request = decode<proto::RequestCode>(message.body);
  if (!request) return;
  if (!pending_.sent.allow(env.now, limits::kCodesPerWindow, limits::kCodeWindow)) {
    return out.push_back(
        refuse(message, {Code::kRateLimited, "too many codes were sent to this number: try later"},
               pending_.sent.wait(env.now, limits::kCodeWindow)));
  }
  // A code that was not used yet is sent again: the first message may still be on its way.
  if (!pending_.usable(env.now) || pending_.used_by != PeerKey{}) {
    pending_.code = draw_code(env.entropy);
    pending_.expires = env.now + limits::kCodeLifetime;
    pending_.wrong_guesses = 0;
    pending_.used_by = {};
  }
  ports::Batch commit{to_bytes(handle_), {}};
  put_pending(commit);
  out.push_back(Commit{std::move(commit)});
  out.push_back(Dial{std::move(request->phone), pending_.code, message.session, message.request});
}

void Directory::refuse_guess(const Message& message, Effects& out) {
  static constexpr std::array<std::string_view, limits::kCodeAttempts> kTexts = {
      "wrong code, and no attempt is left: request a new one",
      "wrong code: 1 attempt is left",
      "wrong code: 2 attempts are left",
      "wrong code: 3 attempts are left",
      "wrong code: 4 attempts are left",
  };
  ++pending_.wrong_guesses;
  const std::uint32_t left = limits::kCodeAttempts - pending_.wrong_guesses;
  if (left == 0) pending_.code.clear();
  ports::Batch commit{to_bytes(handle_), {}};
  put_pending(commit);
  out.push_back(Commit{std::move(commit)});
  out.push_back(refuse(message, {Code::kForbidden, kTexts[left]}));
}

void Directory::verify(const Message& message, Env& env, Effects& out) {
  const auto request = decode<proto::Register>(message.body);
  if (!request) return;
  if (!pending_.usable(env.now)) return out.push_back(refuse(message, kNoCode));
  if (!crypto::equal(view_of(request->code), view_of(pending_.code))) {
    return refuse_guess(message, out);
  }
  if (pending_.used_by == PeerKey{}) {
    if (user_.id.is_nil()) user_.id = UserId::random(env.entropy);
    ++user_.generation;
    pending_.used_by = message.peer;
    ports::Batch commit{to_bytes(handle_), {}};
    commit.put(Space::kDirectory, {kUserRow}, encode(user_));
    put_pending(commit);
    out.push_back(Commit{std::move(commit)});
  } else if (pending_.used_by != message.peer) {
    return out.push_back(refuse(message, kNoCode));
  }
  Message create = message;
  create.verb = Verb::kCreate;
  create.to = user_.id.octets;
  create.number = user_.generation;
  out.push_back(Post{std::move(create)});
}

void Directory::resolve(const Message& message, Effects& out) const {
  if (user_.id.is_nil()) {
    return out.push_back(refuse(message, {Code::kNotFound, "this number has no account here"}));
  }
  out.push_back(answer(message, proto::LookedUp{user_.id}));
}

}  // namespace godwit::server
