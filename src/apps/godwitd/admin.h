// Admin: the socket in the data directory over which its owner speaks to a running server.
//
// Nobody else can reach it: the directory is closed to others (DataDir). A request is one line, the
// answer is one line of JSON.
#pragma once

#include <functional>
#include <string>
#include <thread>

#include "ports/opened.h"

namespace godwit::godwitd {

class Admin {
 public:
  struct Reply {
    std::string line;
    bool last = false;  // when it is told, this process ends at once
  };
  using Answer = std::function<Reply(const std::string& request)>;
  // Takes the place of the socket of a server that has ended. One request at a time.
  static ports::Opened<std::unique_ptr<Admin>> open(const std::string& data, Answer answer);
  ~Admin();

  // Asks the server of this directory. kNotFound: none runs there.
  static ports::Opened<std::string> ask(const std::string& data, const std::string& request);

 private:
  Admin(int socket, Answer answer);
  void serve(int connection);

  const int socket_;
  const Answer answer_;
  std::thread thread_;
};

}  // namespace godwit::godwitd
