// Finding this home's host, or becoming it: the first front-end forks one, the later ones connect.
#pragma once

#include "apps/godwit/home.h"

namespace godwit::cli {

// A connection to the home's host. kIo: no host could be reached or started.
class Attachment {
 public:
  Attachment(const Home& home, const crypto::Key& key) : home_(home), key_(key) {}
  ~Attachment();
  Attachment(const Attachment&) = delete;
  Attachment& operator=(const Attachment&) = delete;
  // Connects to the host that runs, or forks one that serves until its last front-end is gone.
  Result<int> connect();
  // Call after the front-end has let go: a host of ours that ends at once is seen off. One that
  // others use, or that still owes the server something, goes on alone.
  void see_off();

 private:
  int connect_socket() const;
  Result<int> fork_host();

  const Home& home_;
  const crypto::Key& key_;
  int host_ = -1;  // process descriptor of the host that was forked here
};

// The body of a host process: serves the front-end at `fd` and those that follow. Returns at once
// when another process holds the home's lock.
void serve(const Home& home, const crypto::Key& key, int fd);

}  // namespace godwit::cli
