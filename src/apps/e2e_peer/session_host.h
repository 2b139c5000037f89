// Answers requests (README.md) for any number of peers. No input ends it but "quit".
#pragma once

#include <map>
#include <string>

#include "apps/e2e_peer/peer.h"
#include "apps/e2e_peer/request.h"

namespace godwit::e2e_peer {

class SessionHost {
 public:
  SessionHost();

  // One line in, one line out, without line ends.
  std::string answer(std::string_view line, Instant now);
  bool has_quit() const { return has_quit_; }

 private:
  using Operation = Json (SessionHost::*)(const Request&, Env&);

  // Peers themselves.
  Json make(const Request& request, Env& env);
  Json export_state(const Request& request, Env& env);
  Json import_state(const Request& request, Env& env);
  // Pairs.
  Json bundle(const Request& request, Env& env);
  Json process(const Request& request, Env& env);
  Json encrypt(const Request& request, Env& env);
  Json decrypt(const Request& request, Env& env);
  // Groups.
  Json skdm(const Request& request, Env& env);
  Json process_skdm(const Request& request, Env& env);
  Json group_encrypt(const Request& request, Env& env);
  Json group_decrypt(const Request& request, Env& env);
  // Sealed sender.
  Json server_certificate(const Request& request, Env& env);
  Json sender_certificate(const Request& request, Env& env);
  Json sealed_encrypt(const Request& request, Env& env);
  Json sealed_split(const Request& request, Env& env);
  Json sealed_decrypt(const Request& request, Env& env);
  // Without a peer.
  Json version(const Request& request, Env& env);
  Json fingerprint(const Request& request, Env& env);
  Json key_pair(const Request& request, Env& env);
  Json sign(const Request& request, Env& env);
  Json verify(const Request& request, Env& env);
  Json quit(const Request& request, Env& env);

  Peer& peer(const Request& request);
  Json add(std::string handle, Peer peer);

  std::map<std::string, Operation, std::less<>> operations_;
  std::map<std::string, Peer> peers_;
  bool has_quit_ = false;
};

}  // namespace godwit::e2e_peer
