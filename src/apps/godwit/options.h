// The command line: what may be asked of `godwit`, and the help that teaches it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/time.h"

namespace godwit::cli {

enum class Verb : std::uint8_t {
  kRegister,
  kSend,
  kReceive,
  kHistory,
  kContacts,
  kStatus,
  kVerify,
  kChat,
  kGroup,
  // with messages (message_commands.h)
  kReact,
  kEdit,
  kDelete,
  kForward,
  kPin,
  kUnpin,
  kStar,
  kUnstar,
  kVote,
  kOpen,
  kInfo,
  kStarred,
  kSearch,
  // with chats (message_commands.h)
  kPoll,
  kArchive,
  kUnarchive,
  kMute,
  kUnmute,
  kDraft,
  kDisappear,
  kSettings,
  kBroadcast,
};

struct Options {
  Verb verb{};
  // of every command
  std::string home;
  std::string server;
  std::string passphrase_file;
  bool json = false;
  bool accept_server_key = false;
  // of some
  std::string phone;
  std::string code;
  std::string action;                // of group, broadcast, settings: create, …
  std::string group;                 // its id or name
  std::vector<std::string> members;  // numbers
  std::string file;                  // of a picture
  std::string who_edits, who_adds;   // all, admins
  std::uint32_t uses = 0;            // of a link; 0: any number
  bool approval = false;
  bool revoke = false;
  std::optional<std::string> text;
  std::optional<std::string> wait;   // sent, delivered, read
  std::optional<Duration> timeout;
  std::size_t count = 0;             // 0: not given
  std::size_t limit = 0;             // 0: not given
  bool follow = false;
  bool read = false;
  bool lines = false;
  bool mark = false;
  bool unmark = false;
  // with messages
  std::string message;  // an id, or the first digits of one
  std::vector<std::string> words;  // options of a poll, votes, numbers
  std::string chat;                // a number
  bool for_me = false;
  bool multiple = false;
  bool view_once = false;
  std::string reply_to;
  std::vector<std::string> mentions;
  std::string preview_url, preview_title, preview_text;
  std::vector<std::string> contact;  // name, number
  std::string location;              // LATITUDE,LONGITUDE[,NAME]
  std::string lifetime;              // 24h, 7d, off
  bool clear = false;
};

// Either options, or what to print and the code to exit with (help, version, a mistake).
struct Parsed {
  std::optional<Options> options;
  std::string out;
  std::string err;
  int exit_code = 0;
};
// `args` without the program's name.
Parsed parse(const std::vector<std::string>& args);

}  // namespace godwit::cli
