#include "io/http.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <cstring>
#include <optional>
#include <thread>

namespace godwit::io {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::uint32_t kHeaderBytes = 8 * 1024;
constexpr auto kRequestTime = std::chrono::seconds(10);
constexpr int kConnections = 64;
constexpr int kBacklog = 16;

// What the connections share; all on the server's thread.
struct Service {
  HttpServer::Answer answer;
  int connections = 0;
};

// One connection: requests one after another until the client, an error or the time ends it.
class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  Exchange(tcp::socket socket, Service& service) : stream_(std::move(socket)), service_(service) {
    ++service_.connections;
  }
  ~Exchange() { --service_.connections; }

  void read() {
    parser_.emplace();
    parser_->header_limit(kHeaderBytes);
    parser_->body_limit(0);
    stream_.expires_after(kRequestTime);
    http::async_read(
        stream_, buffer_, *parser_,
        [self = shared_from_this()](error_code error, std::size_t) { self->on_read(error); });
  }

 private:
  void on_read(error_code error) {
    if (error == http::error::end_of_stream) return end();
    if (error == http::error::header_limit) {
      return write({431, "the request is over 8 KiB\n"}, false);
    }
    if (error == http::error::body_limit) return write({413, "no body is read here\n"}, false);
    if (error.category() == http::make_error_code(http::error::bad_method).category()) {
      return write({400, "not an HTTP request\n"}, false);
    }
    if (error) return;
    const auto& request = parser_->get();
    if (request.method() != http::verb::get && request.method() != http::verb::head) {
      return write({405, "only GET and HEAD are answered\n"}, request.keep_alive());
    }
    const std::string_view target(request.target().data(), request.target().size());
    write(service_.answer(target.substr(0, target.find('?'))), request.keep_alive());
  }

  void write(HttpAnswer answer, bool keep_alive) {
    response_ = {};
    response_.result(answer.status);
    response_.set(http::field::content_type,
                  beast::string_view(answer.type.data(), answer.type.size()));
    response_.set(http::field::cache_control, "no-store");
    response_.set("X-Content-Type-Options", "nosniff");
    if (answer.status == 405) response_.set(http::field::allow, "GET, HEAD");
    response_.keep_alive(keep_alive);
    response_.content_length(answer.body.size());
    if (parser_->get().method() != http::verb::head) response_.body() = std::move(answer.body);
    http::async_write(stream_, response_,
                      [self = shared_from_this(), keep_alive](error_code error, std::size_t) {
                        if (error || !keep_alive) return self->end();
                        self->read();
                      });
  }

  void end() {
    error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
  }

  beast::tcp_stream stream_;
  Service& service_;
  beast::flat_buffer buffer_{kHeaderBytes + 1024};
  std::optional<http::request_parser<http::empty_body>> parser_;
  http::response<http::string_body> response_;
};

}  // namespace

struct HttpServer::State {
  State(const Address& at, Answer answer)
      : address(at), service{std::move(answer)}, acceptor(context) {}

  error_code listen() {
    tcp::endpoint endpoint;
    std::memcpy(endpoint.data(), address.data(), address.size());
    endpoint.resize(address.size());
    error_code error;
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(kBacklog, error);
    if (!error) address = address.with_port(acceptor.local_endpoint(error).port());
    return error;
  }

  void accept() {
    acceptor.async_accept([this](error_code error, tcp::socket socket) {
      if (error == asio::error::operation_aborted) return;
      if (!error && service.connections < kConnections) {
        std::make_shared<Exchange>(std::move(socket), service)->read();
      }
      if (error) {  // descriptors ran out: look again a little later
        pause.expires_after(std::chrono::milliseconds(100));
        pause.async_wait([this](error_code stopped) {
          if (!stopped) accept();
        });
      } else {
        accept();
      }
    });
  }

  Address address;
  Service service;  // outlives the exchanges, which end with the context
  asio::io_context context{1};
  tcp::acceptor acceptor;
  asio::steady_timer pause{context};
  std::jthread thread;
};

Result<std::unique_ptr<HttpServer>> HttpServer::start(const Address& address, Answer answer) {
  auto state = std::make_unique<State>(address, std::move(answer));
  if (const error_code error = state->listen()) {
    if (error == asio::error::address_in_use) {
      return fail(Code::kConflict, "the port is in use: stop the other program or pick a port");
    }
    if (error == asio::error::access_denied) {
      return fail(Code::kForbidden, "ports below 1024 need CAP_NET_BIND_SERVICE: pick another");
    }
    return fail(Code::kIo, "the operating system refuses to listen there");
  }
  state->accept();
  state->thread = std::jthread([raw = state.get()] { raw->context.run(); });
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(state)));
}

Result<std::unique_ptr<HttpServer>> HttpServer::take(int listener, Answer answer) {
  sockaddr_storage raw{};
  socklen_t size = sizeof raw;
  error_code error;
  if (getsockname(listener, reinterpret_cast<sockaddr*>(&raw), &size) != 0) {
    return fail(Code::kCorrupt, "what was handed over is no listener");
  }
  auto state = std::make_unique<State>(Address::from(raw), std::move(answer));
  state->acceptor.assign(raw.ss_family == AF_INET6 ? tcp::v6() : tcp::v4(), listener, error);
  if (error) return fail(Code::kIo, "the operating system refuses to listen there");
  state->accept();
  state->thread = std::jthread([raw = state.get()] { raw->context.run(); });
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(state)));
}

int HttpServer::descriptor() const { return state_->acceptor.native_handle(); }

HttpServer::HttpServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

HttpServer::~HttpServer() {
  state_->context.stop();
  state_->thread.join();
}

const Address& HttpServer::address() const { return state_->address; }

}  // namespace godwit::io
