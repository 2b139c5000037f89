// CodeCourier: the thread on which a gateway may block while it sends verification codes.
//
// At most limits::kCodeQueue codes wait; more are refused with kUnavailable.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "ports/gateway.h"

namespace godwit::runtime {

class CodeCourier {
 public:
  using Done = std::function<void(Result<void>)>;  // on the courier's thread, or in send()

  // `gateway` outlives the courier.
  explicit CodeCourier(ports::Gateway& gateway);
  // Drops what waits: nobody is left to be told.
  ~CodeCourier();

  // Any thread.
  void send(std::string phone, std::string code, Done done);

 private:
  struct Letter {
    std::string phone;
    std::string code;
    Done done;
  };
  void run();

  ports::Gateway& gateway_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable wake_;
  std::deque<Letter> letters_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace godwit::runtime
