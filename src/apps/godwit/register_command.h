// `godwit register`: asks the server for a code, takes it from the person, creates the account.
//
// With --code nothing is requested: the code of an earlier run is used. Without a terminal the
// code is requested and the command ends, saying how to go on.
#pragma once

#include "apps/godwit/command.h"

namespace godwit::cli {

class RegisterCommand final : public Command {
 public:
  RegisterCommand(Context context, Options options);

  void start() override;
  void on_event(const client::Event& event) override;
  void on_link_failed() override;
  void on_input(std::string_view octets) override;
  void on_input_end() override;

 private:
  enum class Step : std::uint8_t { kRequested, kPrompting, kRegistering };

  void request_code();
  void prompt();
  void submit(std::string code);
  void code_sent();
  void registered();
  void failed(const client::Failed& failure);
  void timed_out();

  Step step_ = Step::kRequested;
  client::RequestId request_ = 0;
  std::string typed_;
  int tries_ = 0;
  Timer timeout_;
};

}  // namespace godwit::cli
