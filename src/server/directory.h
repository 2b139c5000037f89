// Directory: which user has a phone number, and the code that proves possession of it.
//
// One entry per number, under a keyed hash of it: a stolen store is not a phone book. The number
// itself passes through on its way to the Gateway and is never kept.
//
// Invariants: a code admits one device (its Noise key), and at most limits::kCodeAttempts guesses,
// each counted durably before its answer; every registration has a higher generation than the one
// before, so that a late repetition of an old one cannot undo it.
//
// Rows (partition = the handle): kDirectory 'u' the user, 'c' the code.
#pragma once

#include <optional>

#include "server/effects.h"
#include "server/rate_window.h"

namespace godwit::server {

class Directory final : public Entity {
 public:
  static std::vector<ports::Scan> load_scans(const EntityKey& handle);
  Directory(const EntityKey& handle, const std::vector<std::vector<ports::Row>>& rows);

  void on_message(const Message& message, Env& env, Effects& out) override;
  void on_rows(std::vector<ports::Row>, Env&, Effects&) override {}
  void on_lost(Effects&) override {}
  Loss loss(Instant) const override { return Loss::kNothing; }

 private:
  struct User {
    UserId id;
    std::uint64_t generation = 0;
    static void fields(auto& m, auto& field) {
      field(1, m.id);
      field(2, m.generation);
    }
  };
  struct Pending {
    std::string code;
    Instant expires;
    std::uint32_t wrong_guesses = 0;
    PeerKey used_by{};  // zero until the code was used
    RateWindow sent;
    static void fields(auto& m, auto& field) {
      field(1, m.code, 6);
      field(2, m.expires);
      field(3, m.wrong_guesses);
      field(4, m.used_by);
      field(5, m.sent);
    }
    bool usable(Instant now) const {
      return !code.empty() && wrong_guesses < limits::kCodeAttempts && now < expires;
    }
  };

  void request_code(const Message& message, Env& env, Effects& out);
  void verify(const Message& message, Env& env, Effects& out);
  void resolve(const Message& message, Effects& out) const;
  void refuse_guess(const Message& message, Effects& out);
  void put_pending(ports::Batch& commit) const;

  EntityKey handle_;
  User user_;  // nil id: nobody registered this number
  Pending pending_;
};

}  // namespace godwit::server
