// Group news: what changed in a group, in sentences for people. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "client/types.h"

namespace godwit::cli {

// From `before` to `after`; `actor`: who did it, nil where that is not known; `me`: the own number,
// which is "you". Names are as the server and members say: not made harmless yet (printable()).
// Empty: nothing that people care about.
std::vector<std::string> group_news(const client::GroupView& before, const client::GroupView& after,
                                    UserId actor, const std::string& me);

// The same of one group, change by change. Who came in is told when their number is known, which
// the directory says a moment later: not before the next change, if it never does.
class GroupTeller {
 public:
  explicit GroupTeller(client::GroupView now = {}) : told_(std::move(now)) {}
  std::vector<std::string> tell(const client::GroupChanged& change, const std::string& me);

 private:
  client::GroupView told_;
  std::optional<client::GroupChanged> late_;
};

}  // namespace godwit::cli
