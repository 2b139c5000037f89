// toml++ for files that people write, with its assumptions about them switched off.
//
// Release 3.3 asserts of the character after a table's bracket what a file is free to break
// ("[!x]"), and with NDEBUG lets the compiler assume it. Without either it reports an error.
#pragma once

#pragma push_macro("NDEBUG")
#undef NDEBUG
#define TOML_ASSERT(condition) static_cast<void>(0)
#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")
