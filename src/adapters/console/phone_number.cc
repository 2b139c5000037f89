#include "adapters/console/phone_number.h"

#include <phonenumbers/logger.h>
#include <phonenumbers/phonenumberutil.h>

namespace godwit::adapters {
namespace {

using i18n::phonenumbers::PhoneNumber;
using Numbers = i18n::phonenumbers::PhoneNumberUtil;

constexpr std::size_t kMaxWritten = 40;  // 15 digits, generously punctuated

constexpr Error kNotInternational = {
    Code::kInvalid, "write the number with + and its country code, like +33 6 12 34 56 78"};
constexpr Error kNotANumber = {Code::kInvalid,
                               "this is not a phone number of its country: check its digits"};

// The library's own writes to standard output, and what it writes holds the number.
const Numbers& numbers() {
  static Numbers* const instance = [] {
    Numbers* const util = Numbers::GetInstance();
    util->SetLogger(new i18n::phonenumbers::NullLogger);  // takes it over
    return util;
  }();
  return *instance;
}

}  // namespace

Result<std::string> parse_phone(std::string_view text) {
  if (text.empty() || text.front() != '+') return fail(kNotInternational);
  const bool plain = text.find_first_not_of("0123456789 -./()", 1) == std::string_view::npos;
  if (!plain || text.size() > kMaxWritten) return fail(kNotANumber);
  PhoneNumber number;
  const auto parsed = numbers().Parse(std::string(text), "ZZ", &number);  // ZZ: no home country
  if (parsed == Numbers::INVALID_COUNTRY_CODE_ERROR) return fail(kNotInternational);
  if (parsed != Numbers::NO_PARSING_ERROR || !numbers().IsValidNumber(number)) {
    return fail(kNotANumber);
  }
  std::string e164;
  numbers().Format(number, Numbers::E164, &e164);
  return e164;
}

}  // namespace godwit::adapters
