// HttpServer: answers GET and HEAD for health checks and metrics, on a thread of its own.
//
// For machines that ask a short question: no body is read, a request has 8 KiB and 10 seconds, at
// most 64 connections are served at once. Not for people on the Internet.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "io/address.h"

namespace godwit::io {

struct HttpAnswer {
  unsigned status = 200;
  std::string body;
  std::string_view type = "text/plain; charset=utf-8";  // static
};

class HttpServer {
 public:
  // Answers for a path without its query, on the server's thread; status 404 when it has nothing.
  using Answer = std::function<HttpAnswer(std::string_view path)>;

  // Serves until destroyed. Errors as Tcp::listen.
  static Result<std::unique_ptr<HttpServer>> start(const Address& address, Answer answer);
  // As start(), with a listener of another process. `listener` belongs to this from here on.
  static Result<std::unique_ptr<HttpServer>> take(int listener, Answer answer);
  ~HttpServer();
  int descriptor() const;  // of the listener

  const Address& address() const;

 private:
  struct State;
  explicit HttpServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace godwit::io
