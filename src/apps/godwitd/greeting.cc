#include "apps/godwitd/greeting.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <sstream>

namespace godwit::godwitd {

namespace {

namespace fs = std::filesystem;

// How a person in this directory calls the client that lies beside this program.
std::string client_program() {
  std::error_code error;
  const fs::path beside = fs::read_symlink("/proc/self/exe", error).parent_path() / "godwit";
  if (error || !fs::exists(beside, error)) return "godwit";
  const char* path = std::getenv("PATH");
  std::istringstream directories(path != nullptr ? path : "");
  for (std::string directory; std::getline(directories, directory, ':');) {
    if (fs::path(directory) == beside.parent_path()) return "godwit";
  }
  const fs::path near = beside.lexically_relative(fs::current_path(error));
  const bool below = !near.empty() && *near.begin() != "..";
  return below ? "./" + near.string() : beside.string();
}

}  // namespace

std::string greeting_text(const Greeting& greeting) {
  std::ostringstream out;
  const std::string clients = greeting.clients.text();
  const bool loopback = clients.starts_with("127.") || clients.starts_with("[::1]");
  out << "godwitd " GODWIT_VERSION " is ready; stop it with Ctrl-C.\n  clients  " << clients;
  if (loopback) {
    out << "  (this machine only; --listen 0.0.0.0:" << greeting.clients.port()
        << " lets others in)";
  }
  out << "\n  health   " << (greeting.http.empty() ? "off" : "http://" + greeting.http + "/readyz")
      << "\n  data     " << greeting.data << "\n  key      " << greeting.key << "\n";
  if (greeting.quickstart) {
    const bool wildcard = clients.starts_with("0.0.0.0:") || clients.starts_with("[::]:");
    const std::string server =
        wildcard ? "127.0.0.1:" + std::to_string(greeting.clients.port()) : clients;
    const std::string godwit = client_program();
    out << "\nNow, in another terminal (the codes to register appear here):\n"
        << "  " << godwit << " --home alice register +33612345678 --server " << server << "\n"
        << "  " << godwit << " --home bob register +33687654321 --server " << server << "\n"
        << "  " << godwit << " --home alice send +33687654321 \"Hello Bob\"\n";
  }
  return out.str();
}

void notify_systemd(std::string_view state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  const std::size_t size = path != nullptr ? std::strlen(path) : 0;
  if (size < 2 || size >= sizeof address.sun_path) return;
  std::memcpy(address.sun_path, path, size);
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';  // an abstract name
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  sendto(fd, state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address),
         static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size));
  close(fd);
}

}  // namespace godwit::godwitd
