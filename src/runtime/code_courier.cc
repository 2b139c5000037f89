#include "runtime/code_courier.h"

#include "base/limits.h"

namespace godwit::runtime {

CodeCourier::CodeCourier(ports::Gateway& gateway) : gateway_(gateway), thread_([this] { run(); }) {}

CodeCourier::~CodeCourier() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void CodeCourier::send(std::string phone, std::string code, Done done) {
  {
    const std::lock_guard lock(mutex_);
    if (letters_.size() < limits::kCodeQueue) {
      letters_.push_back({std::move(phone), std::move(code), std::move(done)});
      wake_.notify_one();
      return;
    }
  }
  done(fail(Code::kUnavailable, "too many codes are on their way: repeat in a minute"));
}

void CodeCourier::run() {
  for (;;) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return !letters_.empty() || ending_; });
    if (ending_) return;
    const Letter letter = std::move(letters_.front());
    letters_.pop_front();
    lock.unlock();
    letter.done(gateway_.send_code(letter.phone, letter.code));
  }
}

}  // namespace godwit::runtime
