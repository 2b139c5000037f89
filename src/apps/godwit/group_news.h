// Group news: what changed in a group, in sentences for people. Pure.
#pragma once

#include <string>
#include <vector>

#include "client/types.h"

namespace godwit::cli {

// From `before` to `after`; `actor`: who did it, nil where that is not known; `me`: the own number,
// which is "you". Names are as the server and members say: not made harmless yet (printable()).
// Empty: nothing that people care about.
std::vector<std::string> group_news(const client::GroupView& before, const client::GroupView& after,
                                    UserId actor, const std::string& me);

}  // namespace godwit::cli
