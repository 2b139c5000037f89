#include "apps/godwit/options.h"

#include <CLI/CLI.hpp>
#include <cmath>
#include <sstream>

#include "apps/godwit/exit_code.h"
#include "apps/godwit/output.h"
#include "client/types.h"

namespace godwit::cli {
namespace {

constexpr const char* kIntroduction =
    "godwit: private messages from your terminal.\n"
    "\n"
    "  godwit register +33612345678 --server chat.example.org:7400\n"
    "  godwit send +33687654321 \"Hello\"      godwit receive --follow\n"
    "  godwit chat +33687654321";
constexpr const char* kEpilogue =
    "Numbers are written in full, with + and the country code.\n"
    "`godwit bench --help`: for those who run a server, what it can take.\n"
    "Environment: GODWIT_HOME, GODWIT_SERVER, GODWIT_PASSPHRASE, NO_COLOR.\n"
    "Exit codes: 0 done, 2 wrong input, 3 refused or not registered, 4 no such number, group\n"
    "or message, 5 timeout, 6 server unreachable, 7 disk or store, 8 passphrase, 9 server key "
    "changed.";

constexpr std::pair<std::string_view, const char*> kExamples[] = {
    {"register",
     "  godwit register +33612345678 --server chat.example.org:7400\n"
     "  godwit register +33612345678 --server chat.example.org:7400 --code 403117"},
    {"send",
     "  godwit send +33687654321 \"How was the flight?\"\n"
     "  godwit send \"Bird Watchers\" --mention +33687654321 \"@+33687654321 look!\"\n"
     "  godwit send +33687654321 --reply 3f9a \"Eleven days, no stop.\" --wait read\n"
     "  df -h | godwit send +33687654321"},
    {"receive",
     "  godwit receive --follow\n"
     "  godwit receive --count 1 --timeout 60 --json"},
    {"chat", "  godwit chat +33687654321\n  godwit chat \"Bird Watchers\""},
    {"history", "  godwit history \"Bird Watchers\" -n 20"},
    {"contacts", "  godwit contacts --json"},
    {"status", "  godwit status"},
    {"verify", "  godwit verify +33687654321\n  godwit verify +33687654321 --mark"},
    {"group", "  godwit group create \"Bird Watchers\" +33687654321 +33655555555"},
    {"group create",
     "  godwit group create \"Bird Watchers\" +33687654321 +33655555555\n"
     "  godwit group create \"Bird Watchers\" --json          prints {\"id\":…}"},
    {"group add", "  godwit group add \"Bird Watchers\" +33655555555"},
    {"group remove", "  godwit group remove \"Bird Watchers\" +33655555555"},
    {"group promote", "  godwit group promote \"Bird Watchers\" +33687654321"},
    {"group demote", "  godwit group demote \"Bird Watchers\" +33687654321"},
    {"group rename", "  godwit group rename \"Bird Watchers\" Birders"},
    {"group announce",
     "  godwit group announce \"Bird Watchers\"\n"
     "  godwit group announce \"Bird Watchers\" --off"},
    {"group describe", "  godwit group describe \"Bird Watchers\" \"Herons, mostly\""},
    {"group picture",
     "  godwit group picture \"Bird Watchers\" heron.png\n"
     "  godwit group picture \"Bird Watchers\" --save heron.png"},
    {"group edit", "  godwit group edit \"Bird Watchers\" --add all --info admins"},
    {"group link",
     "  godwit group link \"Bird Watchers\"\n"
     "  godwit group link \"Bird Watchers\" --new --expires 7d --uses 20 --approval\n"
     "  godwit group link \"Bird Watchers\" --revoke"},
    {"group join", "  godwit group join godwit:join/mzxw…"},
    {"group approve", "  godwit group approve \"Bird Watchers\" +33655555555"},
    {"group decline", "  godwit group decline \"Bird Watchers\" +33655555555"},
    {"group leave", "  godwit group leave \"Bird Watchers\""},
    {"group info", "  godwit group info \"Bird Watchers\""},
    {"group list", "  godwit group list"},
    {"react", "  godwit react 3f9a 👍\n  godwit react 3f9a --remove"},
    {"edit", "  godwit edit 3f9a \"At eight, not at seven\""},
    {"delete", "  godwit delete 3f9a\n  godwit delete 3f9a --for-me"},
    {"forward", "  godwit forward 3f9a +33655555555 \"Bird Watchers\""},
    {"pin", "  godwit pin 3f9a"},
    {"unpin", "  godwit unpin 3f9a"},
    {"star", "  godwit star 3f9a"},
    {"unstar", "  godwit unstar 3f9a"},
    {"starred", "  godwit starred"},
    {"vote", "  godwit vote 3f9a 2\n  godwit vote 3f9a"},
    {"open", "  godwit open 3f9a"},
    {"info", "  godwit info 3f9a"},
    {"search", "  godwit search heron pond --chat \"Bird Watchers\" -n 5"},
    {"poll", "  godwit poll \"Bird Watchers\" \"When do we go?\" dawn dusk --multi"},
    {"archive", "  godwit archive \"Bird Watchers\""},
    {"unarchive", "  godwit unarchive \"Bird Watchers\""},
    {"mute", "  godwit mute \"Bird Watchers\" --for 8h"},
    {"unmute", "  godwit unmute \"Bird Watchers\""},
    {"draft", "  godwit draft +33687654321 \"half a thought\"\n  godwit draft +33687654321"},
    {"disappear",
     "  godwit disappear +33687654321 24h\n"
     "  godwit disappear \"Bird Watchers\" off"},
    {"settings", "  godwit settings\n  godwit settings read-receipts off"},
    {"broadcast",
     "  godwit broadcast create friends +33687654321 +33655555555\n"
     "  godwit broadcast send friends \"Party at eight\"\n"
     "  godwit broadcast list"},
};

// Adds one command; its options land in `o`.
class Grammar {
 public:
  Grammar(CLI::App& app, Options& o) : app_(app), o_(o) {
    app.set_version_flag("--version", "godwit " GODWIT_VERSION);
    app.add_option("--home", o.home, "Where keys and messages live")->type_name("DIR");
    app.add_option("--server", o.server, "The server to connect to")->type_name("HOST:PORT");
    app.add_option("--passphrase-file", o.passphrase_file, "File whose first line unlocks the home")
        ->type_name("FILE");
    app.add_flag("--json", o.json, "One JSON object per line on stdout");
    app.add_flag("--accept-server-key", o.accept_server_key,
                 "Trust the server's new key after it changed");
    app.require_subcommand(1);
    app.footer(kEpilogue);
    conversation();
    groups();
    records();
    messages();
    chats();
    add_examples(app, "");
  }

 private:
  static void add_examples(CLI::App& app, const std::string& above) {
    for (CLI::App* sub : app.get_subcommands([](CLI::App*) { return true; })) {
      const std::string name = above + sub->get_name();
      for (const auto& [command, examples] : kExamples) {
        if (name == command) sub->footer("Examples:\n" + std::string(examples));
      }
      add_examples(*sub, name + " ");
    }
  }
  CLI::App* command(Verb verb, const char* name, const char* text) {
    CLI::App* sub = app_.add_subcommand(name, text);
    sub->fallthrough();
    sub->parse_complete_callback([this, verb] { o_.verb = verb; });
    return sub;
  }
  void phone(CLI::App* sub, const char* text) {
    sub->add_option("number", o_.phone, text)
        ->required()
        ->type_name("+NUMBER")
        ->transform(CLI::Validator(number, ""));
  }
  void chat(CLI::App* sub, const char* text) {
    sub->add_option("chat", o_.phone, text)
        ->required()
        ->type_name("+NUMBER|GROUP")
        ->transform(CLI::Validator(number_or_group, ""));
  }
  static std::string number_or_group(std::string& text) {
    constexpr std::string_view kOfNumbers = "+0123456789 -.()/";
    const bool digits = text.find_first_not_of(kOfNumbers) == std::string::npos;
    return text.starts_with('+') || digits ? number(text) : std::string();
  }
  // Takes away what people put between digits, and checks what is left.
  static std::string number(std::string& text) {
    std::string bare;
    for (const char c : text) {
      if (std::string_view(" -.()/").find(c) == std::string_view::npos) bare += c;
    }
    if (!client::is_phone(bare)) {
      return "write the number in full, with + and the country code: +33612345678";
    }
    text = bare;
    return {};
  }
  void timeout(CLI::App* sub, const char* text) {
    sub->add_option_function<double>(
           "--timeout", [this](double s) { o_.timeout = milliseconds(std::llround(s * 1000)); },
           text)
        ->type_name("SECONDS")
        ->check(CLI::Range(0.0, 1e9).description(""));
  }

  void conversation() {
    CLI::App* reg = command(Verb::kRegister, "register", "Create your account on a server");
    phone(reg, "Your number");
    reg->add_option("--code", o_.code, "The code that the server sent")->type_name("DIGITS");
    timeout(reg, "Give up after this long (30)");

    CLI::App* send = command(Verb::kSend, "send", "Send a message; text from stdin when absent");
    chat(send, "To whom: a number, or a group's id or name");
    send->add_option("text", o_.text, "What to say")->type_name("TEXT");
    send->add_option("--wait", o_.wait, "Wait until it is: sent, delivered, read")
        ->type_name("STATUS")
        ->check(CLI::IsMember({"sent", "delivered", "read"}));
    timeout(send, "Wait at most this long (30)");
    send->add_flag("--lines", o_.lines, "One message per line of stdin");
    send->add_option("--reply", o_.reply_to, "Answer this message")->type_name("ID");
    send->add_option("--mention", o_.mentions, "Mention somebody; may be repeated")
        ->type_name("+NUMBER")
        ->allow_extra_args(false)
        ->transform(CLI::Validator(number, ""));
    send->add_flag("--view-once", o_.view_once, "It can be opened once, then it is gone");
    send->add_option("--preview-url", o_.preview_url,
                     "A link that goes with it; nothing is fetched")
        ->type_name("URL");
    send->add_option("--preview-title", o_.preview_title, "The link's title");
    send->add_option("--preview-text", o_.preview_text, "The link's description");
    send->add_option("--contact", o_.contact, "A contact card")
        ->expected(2)
        ->allow_extra_args(false)
        ->type_name("NAME +NUMBER");
    send->add_option("--location", o_.location, "A place")->type_name("LATITUDE,LONGITUDE[,NAME]");

    CLI::App* receive = command(Verb::kReceive, "receive", "Print messages not printed before");
    receive->add_flag("--follow,-f", o_.follow, "Stay, and print what arrives");
    receive->add_option("--count,-n", o_.count, "Stop after this many messages")
        ->type_name("N")
        ->check(CLI::Range(1, 1000000000).description(""));
    timeout(receive, "Stop after this long");
    receive->add_flag("--read", o_.read, "Tell the senders that you read them");
    receive->add_flag("--lines", o_.lines, "Print bare texts, one line each");

    CLI::App* chat = command(Verb::kChat, "chat", "Chat, full screen");
    this->chat(chat, "With whom: a number, or a group's id or name");
  }

  void groups() {
    CLI::App* group = command(Verb::kGroup, "group", "Make, change and show groups");
    group->require_subcommand(1);
    const auto action = [&](const char* name, const char* text) {
      CLI::App* sub = group->add_subcommand(name, text);
      sub->fallthrough();
      sub->parse_complete_callback([this, name] { o_.action = name; });
      return sub;
    };
    const auto which = [&](CLI::App* sub, const char* text) {
      sub->add_option("group", o_.group, text)->required()->type_name("GROUP");
    };
    const auto people = [&](CLI::App* sub) {
      return sub->add_option("numbers", o_.members, "Whom")
          ->required()
          ->type_name("+NUMBER...")
          ->transform(CLI::Validator(number, ""));
    };
    CLI::App* create = action("create", "Make a group: its name, then who is in it beside you");
    which(create, "Its name");
    people(create)->required(false);
    for (const auto& [name, text] : {std::pair{"add", "Add people"},
                                     {"remove", "Remove people: they read nothing more"},
                                     {"promote", "Make people admins"},
                                     {"demote", "Make admins ordinary members"}}) {
      CLI::App* sub = action(name, text);
      which(sub, "Its id or name");
      people(sub);
    }
    CLI::App* rename = action("rename", "Give the group another name");
    which(rename, "Its id or name");
    rename->add_option("name", o_.text, "The new name")->required()->type_name("NAME");
    CLI::App* announce = action("announce", "Let only admins send, or everybody again (--off)");
    which(announce, "Its id or name");
    announce->add_flag("--off", o_.clear, "Everybody sends again");
    group_info(action, which);
    group_links(action, which);
    which(action("leave", "Leave the group"), "Its id or name");
    which(action("info", "Show the group and who is in it"), "Its id or name");
    action("list", "List your groups");
  }

  // What it says of itself, and who may change that.
  void group_info(const auto& action, const auto& which) {
    CLI::App* describe = action("describe", "Say what the group is about");
    which(describe, "Its id or name");
    describe->add_option("text", o_.text, "The description; empty takes it away")->required();
    CLI::App* picture = action("picture", "Give the group a picture, or save the one it has");
    which(picture, "Its id or name");
    picture->add_option("file", o_.text, "JPEG, PNG or WebP, at most 12 KiB")->type_name("FILE");
    picture->add_option("--save", o_.file, "Write the picture here")->type_name("FILE");
    picture->add_flag("--clear", o_.clear, "Take it away");
    CLI::App* edit = action("edit", "Who may change its name, and who may add people");
    which(edit, "Its id or name");
    edit->add_option("--info", o_.who_edits, "Who changes name, description and picture")
        ->check(CLI::IsMember({"all", "admins"}));
    edit->add_option("--add", o_.who_adds, "Who adds people")
        ->check(CLI::IsMember({"all", "admins"}));
  }

  // How people come in by a link.
  void group_links(const auto& action, const auto& which) {
    CLI::App* link = action("link", "Show the link by which people join, or make one");
    which(link, "Its id or name");
    link->add_flag("--new", o_.mark, "Make another one; the old one ends");
    link->add_option("--expires", o_.lifetime, "When it ends (never)")->type_name("24h|7d");
    link->add_option("--uses", o_.uses, "For how many people (any number)")
        ->type_name("N")
        ->check(CLI::Range(1, 1'000'000).description(""));
    link->add_flag("--approval", o_.approval, "An admin lets in each");
    link->add_flag("--revoke", o_.revoke, "Take it back");
    action("join", "Join a group by its link")
        ->add_option("link", o_.group, "godwit:join/…")
        ->required()
        ->type_name("LINK");
    for (const auto& [name, text] :
         {std::pair{"approve", "Let in who waits"}, {"decline", "Do not let in who waits"}}) {
      CLI::App* sub = action(name, text);
      which(sub, "Its id or name");
      sub->add_option("people", o_.members, "Numbers, or as group info shows them")
          ->required()
          ->type_name("+NUMBER|user:ID...");
    }
  }

  void records() {
    CLI::App* history = command(Verb::kHistory, "history", "Print a conversation");
    chat(history, "With whom: a number, or a group's id or name");
    history->add_option("--limit,-n", o_.limit, "Only the last N messages")
        ->type_name("N")
        ->check(CLI::Range(1, 1000000000).description(""));

    command(Verb::kContacts, "contacts", "List whom you have written with");
    command(Verb::kStatus, "status", "Show account, server, connection, outbox");

    CLI::App* verify = command(Verb::kVerify, "verify",
                               "Show the safety number of a contact, to compare with theirs");
    phone(verify, "Of whom");
    CLI::Option* mark = verify->add_flag("--mark", o_.mark, "Note that you compared it");
    verify->add_flag("--unmark", o_.unmark, "Take that back")->excludes(mark);
  }

  CLI::App* on_message(Verb verb, const char* name, const char* text) {
    CLI::App* sub = command(verb, name, text);
    sub->add_option("id", o_.message, "The message's id, or its first 4 digits or more")
        ->required();
    return sub;
  }

  void messages() {
    CLI::App* react = on_message(Verb::kReact, "react", "React to a message with an emoji");
    react->add_option("emoji", o_.text, "The emoji");
    react->add_flag("--remove", o_.clear, "Take the reaction back");
    on_message(Verb::kEdit, "edit", "Change what you wrote, within 15 minutes")
        ->add_option("text", o_.text, "The new text")
        ->required();
    on_message(Verb::kDelete, "delete",
               "Delete what you wrote (an admin: any), for everyone, within 2 days")
        ->add_flag("--for-me", o_.for_me, "Only here; any message, at any time");
    on_message(Verb::kForward, "forward", "Forward a message to at most 5 chats")
        ->add_option("chats", o_.words, "To whom: numbers, or groups' ids or names")
        ->required()
        ->type_name("+NUMBER|GROUP...")
        ->transform(CLI::Validator(number_or_group, ""));
    on_message(Verb::kPin, "pin", "Pin a message in its chat, for everybody in it");
    on_message(Verb::kUnpin, "unpin", "Take a pin off");
    on_message(Verb::kStar, "star", "Star a message, for yourself");
    on_message(Verb::kUnstar, "unstar", "Take a star off");
    on_message(Verb::kVote, "vote", "Vote in a poll; without a number, take the vote back")
        ->add_option("options", o_.words, "The numbers of the options")
        ->type_name("N");
    on_message(Verb::kOpen, "open", "Open a view-once message: it is gone afterwards");
    on_message(Verb::kInfo, "info", "Show when a message was sent, delivered and read");
    command(Verb::kStarred, "starred", "List starred messages");
    CLI::App* search =
        command(Verb::kSearch, "search", "Find messages by words that they begin with");
    search
        ->add_option_function<std::vector<std::string>>(
            "words",
            [this](const std::vector<std::string>& words) {
              o_.text = "";
              for (const std::string& word : words) *o_.text += word + " ";
            },
            "The words; all have to be there")
        ->required()
        ->type_name("WORD...");
    search->add_option("--chat", o_.chat, "Only in this chat")
        ->type_name("+NUMBER|GROUP")
        ->transform(CLI::Validator(number_or_group, ""));
    search->add_option("--limit,-n", o_.limit, "At most this many (50)")
        ->type_name("N")
        ->check(CLI::Range(1, 1000).description(""));
  }

  void chats() {
    CLI::App* poll = command(Verb::kPoll, "poll", "Ask a question with 2 to 12 answers");
    chat(poll, "Whom");
    poll->add_option("question", o_.text, "The question")->required();
    poll->add_option("options", o_.words, "The answers")->required()->expected(2, 12);
    poll->add_flag("--multi", o_.multiple, "Several answers may be chosen");
    chat(command(Verb::kArchive, "archive", "Archive a chat"), "With whom");
    chat(command(Verb::kUnarchive, "unarchive", "Take a chat out of the archive"), "With whom");
    CLI::App* mute = command(Verb::kMute, "mute", "Mute a chat");
    chat(mute, "With whom");
    mute->add_option("--for", o_.lifetime, "How long (always)")->type_name("8h|7d");
    chat(command(Verb::kUnmute, "unmute", "Unmute a chat"), "With whom");
    CLI::App* draft = command(Verb::kDraft, "draft", "Show or keep what you are writing");
    chat(draft, "To whom");
    draft->add_option("text", o_.text, "What to keep");
    draft->add_flag("--clear", o_.clear, "Throw it away");
    CLI::App* disappear =
        command(Verb::kDisappear, "disappear", "Let a chat's messages disappear after a time");
    chat(disappear, "With whom");
    disappear->add_option("time", o_.lifetime, "24h, 7d, 90d, another time, or off")->required();
    CLI::App* settings = command(Verb::kSettings, "settings", "Show or change your settings");
    settings->add_option("name", o_.action, "read-receipts")
        ->check(CLI::IsMember({"read-receipts"}));
    settings->add_option("value", o_.text, "on or off")->check(CLI::IsMember({"on", "off"}));
    CLI::App* broadcast = command(Verb::kBroadcast, "broadcast", "Write to many people one by one");
    broadcast->add_option("action", o_.action, "create, list, delete or send")
        ->required()
        ->check(CLI::IsMember({"create", "list", "delete", "send"}));
    broadcast->add_option("name", o_.chat, "The list's name");
    broadcast->add_option("rest", o_.words, "create: the numbers; send: the text");
  }

  CLI::App& app_;
  Options& o_;
};

bool wants_json(const std::vector<std::string>& args) {
  return std::find(args.begin(), args.end(), "--json") != args.end();
}

}  // namespace

Parsed parse(const std::vector<std::string>& args) {
  Options options;
  CLI::App app(kIntroduction, "godwit");
  Grammar grammar(app, options);
  Parsed parsed;
  try {
    // CLI11 takes the arguments in reverse.
    app.parse(std::vector<std::string>(args.rbegin(), args.rend()));
    parsed.options = std::move(options);
  } catch (const CLI::ParseError& error) {
    std::ostringstream out, err;
    if (error.get_exit_code() == 0) {
      app.exit(error, out, err);
      parsed.out = out.str();
    } else if (wants_json(args)) {
      parsed.err = json_line(error_json("invalid", error.what()));
      parsed.exit_code = kExitUsage;
    } else {
      std::string command = "godwit";
      for (const CLI::App* sub = &app; !sub->get_subcommands().empty();) {
        sub = sub->get_subcommands().front();
        command += " " + sub->get_name();
      }
      parsed.err = "godwit: " + printable(error.what()) + "\nTry: " + command + " --help\n";
      parsed.exit_code = kExitUsage;
    }
  }
  return parsed;
}

}  // namespace godwit::cli
