#include <string>
WORK_BEGIN_NAMESPACE

/// Writes the text to the log.
WORK_API void log_text(const std::string& text) WORK_NOEXCEPT {
    sink().write(text.data(), text.size());
}

/// Reads `R"(raw)"` text.
inline auto raw() { return std::string(R"x(a " ) } b)x") + suffix(); }

struct Plain { int value; bool empty() const { return value == 0 || value > limit(); } };

WORK_END_NAMESPACE
