#include "io/http.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

namespace godwit::io {
namespace {

class HttpTest : public testing::Test {
 protected:
  void SetUp() override {
    auto server = HttpServer::start((*Address::resolve("127.0.0.1:0"))[0],
                                    [](std::string_view path) -> HttpAnswer {
                                      if (path == "/healthz") return {200, "ok\n"};
                                      return {404, "nothing here\n"};
                                    });
    ASSERT_TRUE(server);
    server_ = std::move(*server);
  }
  // All that the server answers until it closes.
  std::string ask(std::string_view request) {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    EXPECT_EQ(connect(fd, server_->address().data(), server_->address().size()), 0);
    EXPECT_GT(send(fd, request.data(), request.size(), MSG_NOSIGNAL), 0);
    std::string all;
    char part[4096];
    for (ssize_t got = 0; (got = recv(fd, part, sizeof part, 0)) > 0;) {
      all.append(part, static_cast<std::size_t>(got));
    }
    close(fd);
    return all;
  }
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpTest, Answers) {
  const std::string answer =
      ask("GET /healthz?verbose HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
  EXPECT_TRUE(answer.ends_with("\r\n\r\nok\n")) << answer;
  const std::string head = ask("HEAD /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(head.contains("Content-Length: 3\r\n")) << head;
  EXPECT_TRUE(head.ends_with("\r\n\r\n")) << head;
}

TEST_F(HttpTest, SeveralRequestsOnOneConnection) {
  const std::string both =
      ask("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
          "GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(both.starts_with("HTTP/1.1 200 OK\r\n")) << both;
  EXPECT_TRUE(both.contains("HTTP/1.1 404 Not Found\r\n")) << both;
}

TEST_F(HttpTest, RefusesWhatItDoesNotServe) {
  EXPECT_TRUE(ask("DELETE /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                  .starts_with("HTTP/1.1 405 "));
  EXPECT_TRUE(ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
                  .starts_with("HTTP/1.1 413 "));
  EXPECT_TRUE(ask("\x16\x03\x01 what is this\r\n\r\n").starts_with("HTTP/1.1 400 "));
  EXPECT_TRUE(ask("GET / HTTP/1.1\r\nX: " + std::string(9000, 'x') + "\r\n\r\n")
                  .starts_with("HTTP/1.1 431 "));
}

TEST_F(HttpTest, APortInUseIsAConflict) {
  const auto second = HttpServer::start(server_->address(), nullptr);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kConflict);
}

}  // namespace
}  // namespace godwit::io
